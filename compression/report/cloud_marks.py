"""What a cloud of trials is made of: the plane, points by group, front, baselines, rings, bounds and labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from compression.report.drawing import error_bars, staircase
from compression.report.labels import Scale
from compression.report.measures import MEASURES, Axis, short
from compression.report.text import escaped, interval, percent, unit_of
from compression.report.themes import STYLES, Style, Theme, faded

Row = dict[str, Any]
Spot = tuple[float, float]
BARS, WEBGL = 150, 3000
"""Up to so many points have error bars; more than so many are drawn by the graphics card, where there is one."""
LOOKS = (
    *(STYLES[name] for name in ("weights", "channels", "rows", "kernels", "2:4")),
    Style(0, "triangle-left", "◀"),
    Style(1, "triangle-right", "▶"),
    Style(2, "pentagon", "⬟"),
    Style(3, "hexagon", "⬢"),
)
REST = {"other": Style(4, "cross", "✚"), "not set": Style(4, "hourglass", "⧗")}
"""What stands for no group of its own."""


@dataclass(frozen=True)
class Side:
    """One axis: what it measures, in which unit, over which stretch; ``least`` is the floor of a first view."""

    key: str
    divisor: float
    unit: str
    scale: Scale
    least: float

    @property
    def axis(self) -> Axis:
        """What is known of the measure."""
        return MEASURES[self.key]

    @property
    def up(self) -> bool:
        """Whether more of it is better."""
        return self.axis.more_is_better


@dataclass(frozen=True)
class Plane:
    """What of the two measures is shown, by which kind of trace, and whether with error bars."""

    x: Side
    y: Side
    kind: str
    bars: bool

    def at(self, row: Row) -> Spot:
        """Where the row is drawn."""
        return float(f"{row['x'] / self.x.divisor:.5g}"), float(f"{row['y'] / self.y.divisor:.5g}")

    def shows(self, row: Row) -> bool:
        """Whether the row lies in the first view."""
        return bool(row["x"] >= self.x.least and row["y"] >= self.y.least)


def side(rows: Sequence[Row], name: str, log: bool | None, least: float, bars: bool, bounds: Sequence[float]) -> Side:
    """The axis over the rows; ``length`` of its scale is 1 until the frame is known.

    Bounds that shut out all rows are within it, and those that do not make it much longer.
    """
    key = rows[0][f"{name}_axis"]
    axis = MEASURES[key]
    low = min(row[f"{name}_low" if bars else name] for row in rows)
    high = max(row[f"{name}_high" if bars else name] for row in rows)
    divisor, unit = unit_of(high, axis.scale)
    low, high = low / divisor, high / divisor
    log = low > 0 and (high / low > 8 and axis.scale != "fraction" if log is None else log)
    for bound in (bound / divisor for bound in bounds):
        outside = bound > high if axis.more_is_better else bound < low
        reach = _stretch(min(low, bound), max(high, bound), log) / (_stretch(low, high, log) or 1.0)
        if (outside or reach <= 1.6) and (bound > 0 or not log):
            low, high = min(low, bound), max(high, bound)
    return Side(key, divisor, unit, _roomy(low, high, log, axis.scale == "fraction"), least)


def _stretch(low: float, high: float, log: bool) -> float:
    if log:
        return math.log(high / low) if low > 0 else math.inf
    return high - low


def _roomy(low: float, high: float, log: bool, fraction: bool) -> Scale:
    if log:
        return Scale(low / 1.2, high * 1.2, 1.0, True)
    room = 0.06 * (high - low or abs(high) or 1.0)
    return Scale(max(0.0, low - room), min(high + room, max(1.0, high) + 0.4 * room) if fraction else high + room, 1.0)


def looks_of(groups: Sequence[str]) -> dict[str, Style]:
    """A symbol and a colour for each group: a granularity keeps its own, no symbol is used twice."""
    chosen = {name: STYLES[name] for name in groups if name in STYLES and STYLES[name] in LOOKS}
    spare = [look for look in LOOKS if look not in chosen.values()]
    for name in groups:
        if name not in chosen:
            chosen[name] = REST[name] if name in REST else spare.pop(0)
    return chosen


def points_traces(name: str, own: Sequence[Row], look: Style, plane: Plane, theme: Theme) -> list[dict[str, Any]]:
    """The points of one group, faded by their standing: those that meet the constraints, and hollow those that fail."""
    parts = [[row for row in own if row["feasible"]], [row for row in own if not row["feasible"]]]
    return [_points(name, rows, look, plane, theme, not turn) for turn, rows in enumerate(parts) if rows]


def _points(name: str, rows: list[Row], look: Style, plane: Plane, theme: Theme, sound: bool) -> dict[str, Any]:
    colour = theme.palette[look.colour]
    front, near, beaten = (1, 0.6, 0.35) if sound else (1, 0.7, 0.45)  # a thin line needs more ink than a disc
    marker = {
        "symbol": look.symbol if sound else f"{look.symbol}-open",
        "size": 9 if plane.bars else 7,
        "color": colour,
        "line": {"color": theme.page, "width": 0.5} if sound else {"width": 1.5},
        "opacity": [front if row["front"] else near if row["near"] else beaten for row in rows],
    }
    return _spots(name, rows, plane, marker) | _bars(rows, plane, colour) | hovers(rows, plane, sound)


def _spots(name: str, rows: Iterable[Row], plane: Plane, marker: dict[str, Any]) -> dict[str, Any]:
    """Markers at the rows, each of which says its study and trial to whoever is clicked."""
    rows = list(rows)
    spots = [plane.at(row) for row in rows]
    return {
        "type": plane.kind,
        "mode": "markers",
        "name": name,
        "x": [x for x, _ in spots],
        "y": [y for _, y in spots],
        "customdata": [f"{row['trial']} of {row['study']}" for row in rows],
        "marker": marker,
        "showlegend": False,
    }


def hovers(rows: Sequence[Row], plane: Plane, sound: bool = True) -> dict[str, Any]:
    """What is told of a point: its settings, accuracy, costs and standing; once a trace what all its points share."""
    lines = ["<b>%{text}</b>", "accuracy %{hovertext}"]
    for name, one in (("x", plane.x), ("y", plane.y)):
        if one.key != "accuracy":
            unit = {"thousands": "K", "millions": "M", "billions": "G"}.get(one.unit, one.unit)
            lines.append(f"{short(one.key)} %{{{name}:.3~g}} {unit}".rstrip())
    lines += [] if sound else ["fails a constraint"]
    lines.append("trial %{customdata}<extra></extra>")
    told = {"text": [escaped(row["label"]) for row in rows], "hovertext": [_standing(row) for row in rows]}
    return {**told, "hovertemplate": "<br>".join(lines)}


def _standing(row: Row) -> str:
    words = percent(row["accuracy"])
    if row["accuracy_low"] < row["accuracy_high"]:
        words += f" ({interval(row['accuracy_low'], row['accuracy_high'])})"
    if row["seeds"] > 1:
        words += f", {row['seeds']} seeds"
    if row["front"] or row["near"]:
        words += ", on the front" if row["front"] else ", within noise of the front"
    return words


def trial_of(customdata: str) -> tuple[str, int]:
    """Study and trial of a point from its ``customdata``, a text since Plotly copies lists slowly: "7 of a study"."""
    number, _, study = customdata.partition(" of ")
    return study, int(number)


def _bars(rows: Sequence[Row], plane: Plane, colour: str) -> dict[str, Any]:
    """The intervals of the rows, on the axes that have some."""
    bars = {}
    for name, one in (("x", plane.x), ("y", plane.y)):
        keys = (f"{name}_low", name, f"{name}_high")
        if plane.bars and any(row[keys[0]] < row[keys[2]] for row in rows):
            ends = [{key: row[key] / one.divisor for key in keys} for row in rows]
            bars[f"error_{name}"] = error_bars(ends, keys, faded(colour, 0.3))
    return bars


def key_trace(name: str, look: Style, plane: Plane, theme: Theme) -> dict[str, Any]:
    """A legend entry at full strength, since a group's own points may be faded."""
    marker = {"symbol": look.symbol, "size": 9, "color": theme.palette[look.colour]}
    return {"type": plane.kind, "mode": "markers", "name": escaped(name), "x": [None], "y": [None], "marker": marker}


def front_trace(rows: Sequence[Row], plane: Plane, theme: Theme) -> dict[str, Any]:
    """A staircase through the front: between two trials there is none."""
    front = sorted({plane.at(row) for row in rows if row["front"]})
    return staircase(front, plane.x.up, theme, plane.kind)


def baseline_trace(rows: Sequence[Row], plane: Plane, theme: Theme) -> dict[str, Any]:
    """The baselines, as stars."""
    own = [row for row in rows if row["baseline"]]
    marker = {"symbol": STYLES["baseline"].symbol, "size": 14, "color": theme.baseline}
    marker |= {"line": {"color": theme.page, "width": 1}}
    return _spots("baseline", own, plane, marker) | _bars(own, plane, theme.baseline) | hovers(own, plane)


def ring_trace(name: str, rows: Sequence[Row], plane: Plane, theme: Theme) -> dict[str, Any]:
    """Rings round some rows; the marked ones have a larger one of their own colour."""
    chosen = name == "marked"
    size, colour, line = (23, theme.pruned, 2.5) if chosen else (17, theme.text, 2)
    marker = {"symbol": "circle-open", "size": size, "color": colour, "line": {"width": line}}
    return _spots(name, rows, plane, marker) | {"hoverinfo": "skip"}


def front_paths(rows: Sequence[Row], plane: Plane) -> list[list[Spot]]:
    """The staircase, that labels should keep off."""
    steps = sorted({plane.at(row) for row in rows if row["front"]})
    stairs = steps[:1]
    for (x, y), (later, up) in zip(steps, steps[1:], strict=False):
        stairs += [(x, up) if plane.x.up else (later, y), (later, up)]
    return [stairs] if stairs else []
