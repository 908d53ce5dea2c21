"""Labels written beside what they name, where they cover the fewest points."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compression.report.themes import Theme

LABEL_PX = 12
LETTER_PX = 0.52 * LABEL_PX
"""How broad a letter of a label is, on average."""
SIDES = (
    ("left", "bottom", 1, 0.8),
    ("left", "top", 1, -0.8),
    ("left", "middle", 1, 0),
    ("center", "bottom", 0, 1),
    ("center", "top", 0, -1),
    ("right", "bottom", -1, 0.8),
    ("right", "top", -1, -0.8),
    ("right", "middle", -1, 0),
)
"""Which point of the text is tied, and the direction in which it is moved off its point.

Not at 45 degrees: Plotly looks along that diagonal to see whether the leader starts inside the text.
"""
MARGIN = np.array([-3.0, -3.0, 3.0, 3.0])
REACHES = (7, 24, 44, 66)
"""How far the text is moved, in pixels; the further ones get a leader line."""


@dataclass(frozen=True)
class Scale:
    """From data to pixels on one axis, as drawn at the chart's least width."""

    low: float
    high: float
    length: float
    log: bool = False

    def __call__(self, values: Any) -> Any:
        """Pixels from the axis' start."""
        array = np.asarray(values, float)
        if self.log:
            return np.log(np.maximum(array, 1e-12) / self.low) / math.log(self.high / self.low) * self.length
        return (array - self.low) / (self.high - self.low) * self.length

    @property
    def range(self) -> list[float]:
        """The range as Plotly wants it: exponents on a logarithmic axis."""
        return [math.log10(self.low), math.log10(self.high)] if self.log else [self.low, self.high]


@dataclass(frozen=True)
class Label:
    """A text, the points (x, y in data) it may stand beside, the best first, and whether to lead to one."""

    text: str
    spots: Sequence[tuple[float, float]]
    leader: bool = False
    clear: float = 0.0


@dataclass(frozen=True)
class Placed:
    """A label's point, the side and the reach chosen, and how many things it still covers."""

    label: Label
    spot: int
    side: int
    reach: float
    covers: int


def place(labels: Sequence[Label], paths: Sequence[Sequence[tuple[float, float]]], x: Scale, y: Scale) -> list[Placed]:
    """Choose for each label the point, side and reach where its text covers least.

    ``paths`` (each a list of x, y in data; a single point is a path) is all that should stay
    visible. Texts keep inside the plot, off each other and off leaders while there is room. It is judged at
    the least width: on a wider chart points part and texts do not, so nothing new overlaps.
    """
    sums = _map(_shown(paths, x, y), x, y)
    taken: list[Any] = []
    led: list[Any] = []
    placed = []
    for label in labels:
        reaches = [reach + label.clear for reach in (REACHES if label.leader else REACHES[:1])]
        at = pixels(label.spots, x, y)
        boxes = _boxes(at, _letters(label.text), reaches)
        ways = _ways(at, reaches)
        faults = _within(sums, boxes + MARGIN) + _within(sums, ways).sum(axis=-1)
        pierced = _touching(ways.reshape(-1, 4), taken).reshape(-1, STEPS).max(axis=-1)
        faults += 50.0 * (_touching(boxes, taken + led) + pierced)
        faults += 1000.0 * _outside(boxes, x.length + 12, y.length + 12)
        spots, rest = len(label.spots), len(SIDES)
        order = np.arange(len(boxes)) // rest // len(reaches) * 0.9 / max(spots, 1)
        distance = np.tile(np.repeat(np.arange(len(reaches)), rest), spots) * 0.8
        best = int((faults + order + distance).argmin())
        taken.append(boxes[best])
        led.extend(ways[best])
        spot, left = divmod(best, rest * len(reaches))
        placed.append(Placed(label, spot, left % rest, reaches[left // rest], int(faults[best])))
    return placed


def notes(placed: Sequence[Placed], x: Scale, y: Scale, theme: Theme, panel: str = "") -> list[dict[str, Any]]:
    """The placed labels as Plotly annotations, fixed in pixels to their points."""
    made = []
    for item in placed:
        at_x, at_y = item.label.spots[item.spot]
        xanchor, yanchor, right, up = SIDES[item.side]
        note: dict[str, Any] = {
            "x": math.log10(at_x) if x.log else at_x,
            "y": math.log10(at_y) if y.log else at_y,
            "xref": f"x{panel}",
            "yref": f"y{panel}",
            "text": item.label.text,
            "xanchor": xanchor,
            "yanchor": yanchor,
            "borderpad": 0,
            "font": {"size": LABEL_PX, "color": theme.text},
        }
        if item.reach - item.label.clear > REACHES[0]:
            note |= {"ax": right * item.reach, "ay": -up * item.reach, "arrowhead": 0, "arrowwidth": 1}
            note |= {"showarrow": True, "arrowcolor": theme.muted, "standoff": 5 + item.label.clear}
        else:
            note |= {"showarrow": False, "xshift": right * item.reach, "yshift": up * item.reach}
        made.append(note)
    return made


def _shown(paths: Sequence[Sequence[tuple[float, float]]], x: Scale, y: Scale) -> Any:
    """All that should stay visible as points in pixels; single points, which may be thousands, in one go."""
    single = pixels([path[0] for path in paths if len(path) == 1], x, y)
    return np.vstack([single, *(_sampled(pixels(path, x, y)) for path in paths if len(path) > 1)])


def pixels(spots: Sequence[tuple[float, float]], x: Scale, y: Scale) -> Any:
    """Where points in data are drawn: a line (across, upward) each."""
    array = np.asarray(spots, float).reshape(-1, 2)
    return np.column_stack([x(array[:, 0]), y(array[:, 1])])


def breadth(texts: Iterable[str]) -> int:
    """Room in pixels for the longest of some labels, a little more than it takes on average; tags are not counted."""
    return round(1.04 * LETTER_PX * max(map(_letters, texts), default=0))


def _letters(text: str) -> int:
    return len(re.sub(r"<[^>]*>", "", text))


def _boxes(at: Any, letters: int, reaches: Sequence[float]) -> Any:
    width, height = LETTER_PX * letters, 1.35 * LABEL_PX
    shift = {"left": 0.0, "bottom": 0.0, "center": -0.5, "middle": -0.5, "right": -1.0, "top": -1.0}
    offsets = np.array(
        [
            (shift[h] * width + right * reach, shift[v] * height + up * reach)
            for reach in reaches
            for h, v, right, up in SIDES
        ]
    )
    lows = (at[:, None, :] + offsets[None]).reshape(-1, 2)
    return np.hstack([lows, lows + [width, height]])


CELL = 4.0
"""Pixels a cell of the map of what must stay visible."""


def _sampled(path: Any) -> Any:
    """Points no more than a cell apart along the path."""
    steps = np.maximum(1, np.ceil(np.abs(np.diff(path, axis=0)).max(axis=1) / CELL)).astype(int)
    where = np.concatenate([[0], np.cumsum(steps)])
    along = np.arange(where[-1] + 1)
    return np.column_stack([np.interp(along, where, path[:, 0]), np.interp(along, where, path[:, 1])])


def _map(shown: Any, x: Scale, y: Scale) -> Any:
    """Sums of the cloud over all cells left of and below each one, so that a box costs four look-ups."""
    sides = [np.arange(-CELL, length + 2 * CELL, CELL) for length in (x.length, y.length)]
    counts, _, _ = np.histogram2d(shown[:, 0], shown[:, 1], bins=sides)
    return np.pad(counts.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _within(sums: Any, boxes: Any) -> Any:
    """How many points of the cloud each box holds, to the accuracy of a cell."""
    low = np.floor(boxes[..., :2] / CELL).astype(int) + 1
    high = np.ceil(boxes[..., 2:] / CELL).astype(int) + 1
    top = np.array(sums.shape) - 1
    (left, below), (right, above) = (np.moveaxis(np.clip(edge, 0, top), -1, 0) for edge in (low, high))
    return sums[right, above] - sums[left, above] - sums[right, below] + sums[left, below]


STEPS, FAR = 5, 1e6
"""Small boxes along a leader; pixels at which nothing is."""


def _ways(at: Any, reaches: Sequence[float]) -> Any:
    """The way from each point to its text as a row of small boxes, far away where no leader is drawn."""
    steps = np.array([(right * reach, up * reach) for reach in reaches for _, _, right, up in SIDES])
    way = at[:, None, None, :] + steps[None, :, None, :] * np.linspace(0.35, 1.0, STEPS)[:, None]
    boxes = np.concatenate([way - 2.0, way + 2.0], axis=-1)
    boxes[:, : len(SIDES)] = FAR
    return boxes.reshape(-1, STEPS, 4)


def _touching(boxes: Any, taken: list[Any]) -> Any:
    if not taken:
        return np.zeros(len(boxes))
    other = np.array(taken)
    apart = (
        (boxes[:, None, 0] >= other[:, 2])
        | (boxes[:, None, 2] <= other[:, 0])
        | (boxes[:, None, 1] >= other[:, 3])
        | (boxes[:, None, 3] <= other[:, 1])
    )
    return (~apart).sum(axis=1).astype(float)


def _outside(boxes: Any, right: float, top: float) -> Any:
    out = (boxes[:, 0] < 0) | (boxes[:, 1] < 0) | (boxes[:, 2] > right) | (boxes[:, 3] > top)
    return out.astype(float)
