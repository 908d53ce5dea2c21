"""What constraints rule out of a cloud, and the labels in it: bounds, baselines, the best, the knee, marked points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from compression.goals import Constraint
from compression.report.cloud_marks import Plane, Row, Side, Spot
from compression.report.cloud_titles import bound_words, numbers
from compression.report.labels import LETTER_PX, Label
from compression.report.text import escaped, percent
from compression.report.themes import Theme, faded

KNEE = "knee (furthest from chord)"
DOTS = 40
"""Gaps between the dots that stand for a line across the chart."""
LABEL_PART = 0.66
"""Of the plot's width that a label may take: one beside, below or above any point then fits."""


@dataclass(frozen=True)
class Bound:
    """One end of a constraint on an axis: which axis, where on it, and whether less is ruled out."""

    across: bool
    at: float
    less: bool
    words: str


def bounds_on(key: str, constraints: Iterable[Constraint]) -> list[tuple[float, bool, str]]:
    """The finite ends of the constraints on a measure: the bound, whether less is ruled out, and its words."""
    found = []
    for one in constraints:
        if one.metric == key:
            for bound, less in ((one.least, True), (one.most, False)):
                if math.isfinite(bound):
                    end = Constraint(metric=key, **({"least": bound} if less else {"most": bound}))
                    found.append((bound, less, bound_words(end)))
    return found


def bounds_in(plane: Plane, constraints: Sequence[Constraint]) -> tuple[list[Bound], list[str]]:
    """The bounds in view, and of those that are not in view what they are."""
    shown, hidden = [], []
    for across, one in ((True, plane.x), (False, plane.y)):
        for bound, less, words in bounds_on(one.key, constraints):
            at = bound / one.divisor
            if one.scale.low <= at <= one.scale.high:
                shown.append(Bound(across, at, less, words))
            else:
                hidden.append(f"{words} is off the chart")
    return shown, list(dict.fromkeys(hidden))


def bound_shapes(bounds: Sequence[Bound], plane: Plane, theme: Theme) -> list[dict[str, Any]]:
    """A dashed line at each bound, and a shade over what it rules out."""
    shapes: list[dict[str, Any]] = []
    for bound in bounds:
        own, other, one = ("x", "y", plane.x) if bound.across else ("y", "x", plane.y)
        away = {f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1, f"{own}0": bound.at}
        edge = one.scale.low if bound.less else one.scale.high
        fill = {"line": {"width": 0}, "fillcolor": faded(theme.muted, 0.16)}
        shapes.append({"type": "rect", "layer": "below", f"{own}1": edge, **fill, **away})
        line = {"color": theme.muted, "width": 1.5, "dash": "dash"}
        shapes.append({"type": "line", "layer": "below", f"{own}1": bound.at, "line": line, **away})
    return shapes


def bound_paths(bounds: Sequence[Bound], plane: Plane) -> list[list[Spot]]:
    """The bounds' lines, that labels should keep off."""
    return [_line(bound, plane) for bound in bounds]


def _line(bound: Bound, plane: Plane) -> list[Spot]:
    other = plane.y if bound.across else plane.x
    return [_spot(bound, end) for end in (other.scale.low, other.scale.high)]


def _spot(bound: Bound, other: float) -> Spot:
    return (bound.at, other) if bound.across else (other, bound.at)


def bound_labels(bounds: Sequence[Bound], plane: Plane, theme: Theme) -> list[Label]:
    """The words of each bound, somewhere along its line."""
    labels = []
    for bound in bounds:
        other = plane.y if bound.across else plane.x
        spots = [_spot(bound, _between(other, part)) for part in (0.04, 0.93, 0.2, 0.8, 0.35, 0.65, 0.5)]
        labels.append(Label(f'<span style="color:{theme.muted}">{bound.words}</span>', spots))
    return labels


def _between(one: Side, part: float) -> float:
    low, high = one.scale.low, one.scale.high
    return low * (high / low) ** part if one.scale.log else low + part * (high - low)


def dotted(level: float, plane: Plane) -> list[Spot]:
    """A baseline's line as dots so far apart that a letter covers one at most, and a long name many."""
    return [(_between(plane.x, at / DOTS), level) for at in range(DOTS + 1)]


def remark_labels(
    rows: Sequence[Row], best: Row | None, turn: Row | None, marked: Sequence[Row], plane: Plane, sound: bool
) -> list[Label]:
    """The words at the baselines, the best point, the knee and the marked ones."""
    labels = []
    told: set[Spot] = set()
    for row in rows:
        if row["baseline"] and plane.shows(row) and plane.at(row) not in told:
            told.add(plane.at(row))
            more = f" {percent(row['accuracy'])}" if "accuracy" in (plane.x.key, plane.y.key) else ""
            labels.append(Label(f"{escaped(row['label'])}{more}", [plane.at(row)], leader=True, clear=3))
    for letter, row in zip("ABCDEF", marked if len(marked) <= 6 else marked[:0], strict=False):
        labels.append(Label(f"<b>{letter}</b>", [plane.at(row)], leader=True, clear=6))
    if best and plane.shows(best):
        lead = "best feasible" if sound else "best"
        words = f"{lead} and {KNEE}" if best is turn else _short_name(best, lead, plane.x.scale.length)
        labels.append(Label(f"<b>{words}</b>", [plane.at(best)], leader=True, clear=5))
    if turn and turn is not best:
        labels.append(Label(KNEE, [plane.at(turn)], leader=True, clear=5))
    return labels


def _short_name(row: Row, lead: str, across: float) -> str:
    """A row's name with its numbers, cut at a comma until a label holds it; without the name where nothing does."""
    most = LABEL_PART * across / LETTER_PX
    parts = escaped(row["label"]).split(", ")
    for kept in range(len(parts), 0, -1):
        name = f"{lead}: {', '.join(parts[:kept])}{'…' if kept < len(parts) else ''}, {numbers(row)}"
        if len(name) <= most:
            return name
    return f"{lead}: {numbers(row)}"
