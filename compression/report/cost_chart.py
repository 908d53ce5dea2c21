"""Teacher, student alone and distilled student on the trade-off: accuracy against what the model costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from compression.registry import UserError
from compression.report import cost_titles as titles
from compression.report.compare import records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, error_bars, headroom
from compression.report.labels import LETTER_PX, Label, Scale, notes, place
from compression.report.measures import AXES
from compression.report.runs import label, looks, marked
from compression.report.text import amount, interval, percent, points, shortened, times, unit_of
from compression.report.themes import OPEN, Style, Theme, faded
from compression.report.tradeoff_marks import ACCURACY, View

Row = dict[str, Any]
Spot = tuple[float, float]
EDGE_PX, MARK_PX, RIM_PX = 26, 11, 7
"""Room round the outermost points, the size of a marker, and what one grows by for each that lies on it."""
WIDE_RANGE = 4.0
"""Costs further apart stand on a logarithmic axis."""


def cost_chart(
    table: pd.DataFrame, theme: Theme, *, x: str | None = None, width: int = NARROW, height: int = 340
) -> Chart:
    """Accuracy against a cost for teacher, student alone and distilled student, with intervals.

    ``table`` is a :func:`cost_table`; ``x``, where given, must be the cost that it was made for.
    A line leads from the student alone to each that was taught and costs the same: what the
    teacher's hint is worth, dotted where that is within noise. Where one mark would cover another,
    the one beneath is open and larger, like a ring round the other.

    Raises:
        UserError: ``x`` is not the table's cost.
    """
    everything = records(table)
    if everything and x not in (None, everything[0]["axis"]):
        raise UserError(f"x is {x!r}; this table holds {everything[0]['axis']}")
    rows = [row for row in everything if math.isfinite(row["x"])]
    if not rows:
        if everything:
            name = AXES[everything[0]["axis"]].label
            return empty_chart(f"{name}: not known yet", "Measure these models first.", theme, width, height)
        hint = "Train the student with its teacher and alone to see what the teacher's hint is worth."
        return empty_chart("No student has been judged yet", hint, theme, width, height)
    title, subtitle = titles.cost_title(rows), titles.cost_subtitle(rows)
    frame = Frame(width, height, left=50, top=headroom(title, subtitle, width))
    view = _view(rows, frame)
    marks, hints = _marks(rows, view), _hints(rows)
    traces = [_hint_line(row, marks, theme) for row in hints]
    traces += [_point(row, marks[row["run"]], view, theme) for row in rows]
    told = [] if all(titles.level(row, rows[0]) for row in rows) else hints
    labels = [_label(row, row in told, marks[row["run"]], frame, theme) for row in rows]
    lines = [[marks["alone"].spot, marks[row["run"]].spot] for row in hints]
    bars = [[(marks[row["run"]].spot[0], row[end]) for end in ACCURACY] for row in rows]
    placed = place(labels, lines + bars, view.x, view.y)
    return chart(
        traces, theme, title, subtitle, frame, _axes(rows, view) | {"annotations": notes(placed, view.x, view.y, theme)}
    )


def _view(rows: list[Row], frame: Frame) -> View:
    axis = AXES[rows[0]["axis"]]
    costs = [row["x"] for row in rows]
    divisor, unit = unit_of(max(costs), axis.scale)
    low, high = min(costs) / divisor, max(costs) / divisor
    x = _roomy(low, high, frame.across, low > 0 and high / low > WIDE_RANGE)
    bottom, top = min(row["accuracy_low"] for row in rows), max(row["accuracy_high"] for row in rows)
    return View(axis, divisor, unit, x, _roomy(bottom, top, frame.upward))


def _roomy(low: float, high: float, length: float, log: bool = False) -> Scale:
    """An axis with the same room in pixels before its first and after its last value."""
    room = EDGE_PX / (length - 2 * EDGE_PX)
    if log:
        more = (high / low) ** room
        return Scale(low / more, high * more, length, True)
    more = (high - low) * room if high - low > 1e-9 * high else 0.2 * high or 1.0
    return Scale(low - more, high + more, length)


@dataclass(frozen=True)
class Mark:
    """Where and how a run is drawn; ``covered`` counts the marks drawn later that lie on it."""

    spot: Spot
    look: Style
    covered: int

    @property
    def size(self) -> int:
        """Pixels across; a star's points reach less far than a circle."""
        return MARK_PX + RIM_PX * self.covered + (3 if self.look.symbol.startswith("star") else 0)


def _marks(rows: list[Row], view: View) -> dict[str, Mark]:
    """A mark for each run, open where others lie on it."""
    spots = [view.at(row) for row in rows]
    pixels = [(float(view.x(x)), float(view.y(y))) for x, y in spots]
    marks = {}
    for turn, (run, look) in enumerate(looks(row["run"] for row in rows).items()):
        covered = sum(math.dist(pixels[turn], later) < MARK_PX for later in pixels[turn + 1 :])
        if covered:
            look = replace(look, symbol=f"{look.symbol}-open", glyph=OPEN[look.glyph])
        marks[run] = Mark(spots[turn], look, covered)
    return marks


def _hints(rows: list[Row]) -> list[Row]:
    """The students that were taught and cost what the student alone does."""
    alone = next((row for row in rows if row["run"] == "alone"), None)
    return [row for row in rows if alone and not math.isnan(row["gain"]) and titles.level(row, alone)]


def _hint_line(row: Row, marks: dict[str, Mark], theme: Theme) -> dict[str, Any]:
    mark = marks[row["run"]]
    (left, start), (right, end) = marks["alone"].spot, mark.spot
    dash = "solid" if titles.clear(row, "gain") else "dot"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"hint to {row['run']}",
        "x": [left, right],
        "y": [start, end],
        "line": {"color": theme.palette[mark.look.colour], "width": 2, "dash": dash},
        "hoverinfo": "skip",
    }


def _point(row: Row, mark: Mark, view: View, theme: Theme) -> dict[str, Any]:
    colour, (x, y) = theme.palette[mark.look.colour], mark.spot
    rim = {"color": theme.page, "width": 2 if mark.covered else 1}
    # Bars on one line are told apart by their ends.
    bars = error_bars([row], ACCURACY, faded(colour, 0.6), thickness=1.5, width=4 + RIM_PX * mark.covered)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(row["run"]),
        "x": [x],
        "y": [y],
        "marker": {"symbol": mark.look.symbol, "size": mark.size, "color": colour, "line": rim},
        "error_y": bars,
        "text": [_hover(row, view)],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(row: Row, view: View) -> str:
    lines = [f"<b>{label(row['run'])}</b>"]
    around = interval(row["accuracy_low"], row["accuracy_high"])
    spread = f"mean ± sd of {row['seeds']} seeds" if row["spread"] == "sd" else "95 % interval"
    lines.append(f"accuracy {percent(row['accuracy'], 2)} ({around}, {spread})")
    for key, base in (("change", "the teacher"), ("gain", "the student alone")):
        if not math.isnan(row[key]):
            ends = f"{points(row[f'{key}_low']).removesuffix(' points')} to {points(row[f'{key}_high'])}"
            lines.append(f"{points(row[key])} against {base} (95 % interval {ends})")
    cost = f"{view.axis.label}: {amount(row['x'], view.axis.scale)}"
    if row["ratio"] > 1.05:
        cost += f", {times(row['ratio'])} {view.axis.gain} than the teacher"
    return "<br>".join([*lines, cost])


def _label(row: Row, told: bool, mark: Mark, frame: Frame, theme: Theme) -> Label:
    """The run with its accuracy, and what the hint is worth where there is room to say it, at its point or bar."""
    name = shortened(label(row["run"]))
    own = f" {percent(row['accuracy'])}"
    more = f", {titles.worth(row)}" if told else ""
    fits = LETTER_PX * len(f"● {name}{own}{more}") < 0.85 * frame.across
    text = marked(name, mark.look, theme, own + (more if fits else ""))
    ends = [(mark.spot[0], row[end]) for end in ("accuracy_high", "accuracy_low")]
    return Label(text, [mark.spot, *ends], leader=True, clear=(mark.size - MARK_PX) / 2 + 1)


def _axes(rows: list[Row], view: View) -> dict[str, Any]:
    costs = [row["x"] / view.divisor for row in rows]
    ticks: dict[str, Any] = (
        {"nticks": 5} if max(costs) > 1.01 * min(costs) else {"tickvals": [float(f"{costs[0]:.3g}")]}
    )
    if view.x.log:
        ticks = {"type": "log", "dtick": "D2" if view.x.high / view.x.low < 1000 else 1}
    name = f"{view.axis.label} ({view.unit})" if view.unit else view.axis.label
    return {
        "xaxis": {"title": {"text": f"{name} · left is better"}, "range": view.x.range, "tickformat": "~g", **ticks},
        "yaxis": {"range": view.y.range, "tickformat": "~%", "tickvals": _shares(view.y)},
    }


def _shares(y: Scale) -> list[float]:
    """About five round accuracies, none above 100 %."""
    span = y.high - y.low
    steps = [digit * 10.0**power for power in range(-5, 1) for digit in (1, 2, 5)]
    step = next((step for step in steps if span / step <= 5.5), 1.0)
    first, last = math.ceil(max(y.low, 0.0) / step), math.floor(min(y.high, 1.0) / step + 1e-9)
    return [round(at * step, 6) for at in range(first, last + 1)]
