"""A small network as a graph: every weight an edge, which vanishes when the threshold passes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, headroom
from compression.report.text import brief, share
from compression.report.themes import Theme, faded

Row = dict[str, Any]
Spot = tuple[float, float]
WIDTHS = (0.6, 1.4, 2.6)
"""Of an edge, by the third in which the size of its weight lies among those of its layer."""


def edges_table(layers: Sequence[NDArray[Any]], threshold: float) -> pd.DataFrame:
    """One line a weight: layer, source, target, weight, rank (its size's part of its layer in [0, 1]) and kept.

    ``layers`` are the weight matrices O×I from the first to the last; what is smaller than the threshold goes.
    """
    body = []
    for number, weights_OI in enumerate(layers):
        sizes = np.abs(weights_OI).ravel()
        ranks = sizes.argsort().argsort() / max(1, len(sizes) - 1)
        for place, ((target, source), weight) in enumerate(np.ndenumerate(weights_OI)):
            body.append((number, source, target, float(weight), float(ranks[place]), bool(abs(weight) >= threshold)))
    return pd.DataFrame(body, columns=["layer", "source", "target", "weight", "rank", "kept"])


def network_chart(
    table: pd.DataFrame, theme: Theme, *, threshold: float, width: int = WIDE, height: int = 420
) -> Chart:
    """The graph of an :func:`edges_table`, inputs on the left; blue edges are above zero, dashed orange below."""
    rows = records(table)
    gone = 1 - sum(row["kept"] for row in rows) / len(rows)
    title = f"At a threshold of {brief(threshold)}, {share(gone)} of the edges are gone"
    subtitle = "Every edge is a weight: solid above zero, dashed below, thick where large in its layer · counted"
    spots = _spots(rows)
    frame = Frame(width, height, left=10, right=10, top=headroom(title, subtitle, width), bottom=10)
    traces = [_edges(rows, spots, positive, third, theme) for positive in (True, False) for third in range(3)]
    alive = {(row["layer"], row["source"]) for row in rows if row["kept"]}
    alive |= {(row["layer"] + 1, row["target"]) for row in rows if row["kept"]}
    nodes = {
        "type": "scatter", "mode": "markers", "x": [x for x, _ in spots.values()], "y": [y for _, y in spots.values()],
        "marker": {"size": 8, "color": [theme.text if node in alive else theme.grid for node in spots],
                   "line": {"width": 1, "color": theme.muted}},
        "hoverinfo": "skip",
    }  # fmt: skip
    hidden = {"visible": False, "range": [-0.03, 1.03]}
    return chart([*traces, nodes], theme, title, subtitle, frame, {"xaxis": hidden, "yaxis": hidden})


def _spots(rows: list[Row]) -> dict[tuple[int, int], Spot]:
    """Where the nodes stand: a column a layer, evenly from top to bottom."""
    last = max(row["layer"] for row in rows) + 1
    count = dict.fromkeys(range(last + 1), 0)
    for row in rows:
        count[row["layer"]] = max(count[row["layer"]], row["source"] + 1)
        count[row["layer"] + 1] = max(count[row["layer"] + 1], row["target"] + 1)
    return {
        (layer, node): (layer / last, 1 - (node + 0.5) / number)
        for layer, number in count.items()
        for node in range(number)
    }


def _edges(
    rows: list[Row], spots: dict[tuple[int, int], Spot], positive: bool, third: int, theme: Theme
) -> dict[str, Any]:
    x: list[float | None] = []
    y: list[float | None] = []
    for row in rows:
        if row["kept"] and (row["weight"] > 0) == positive and min(2, int(3 * row["rank"])) == third:
            (left, from_), (right, to) = spots[row["layer"], row["source"]], spots[row["layer"] + 1, row["target"]]
            x += [round(left, 3), round(right, 3), None]
            y += [round(from_, 3), round(to, 3), None]
    colour = theme.kept if positive else theme.pruned
    line = {"color": faded(colour, 0.75), "width": WIDTHS[third], "dash": "solid" if positive else "dash"}
    return {"type": "scatter", "mode": "lines", "x": x or [None], "y": y or [None], "line": line, "hoverinfo": "skip"}
