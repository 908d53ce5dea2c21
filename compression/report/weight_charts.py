"""Charts of what is inside a network: its weights, the scores of its units, its first filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from compression.report import titles
from compression.report.bins import FilterGrid, density
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart
from compression.report.text import count, percent, share
from compression.report.themes import Theme, faded

GAP = -101
"""The cell value that is drawn clear; weights are -100..100."""


def histogram_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    threshold: float | None = None,
    what: str = "weights",
    where: str = "all layers",
    x_title: str = "Weight",
    log: bool = False,
    width: int = NARROW,
    height: int = 300,
) -> Chart:
    """A histogram with the threshold drawn and the pruned mass shaded.

    ``table`` is a :func:`histogram_table` of signed weights (lines at ±threshold) or a
    :func:`unit_table` of scores, which are not negative (one line). ``log`` draws counts on a
    logarithmic axis, which shows the tails.
    """
    total, gone = float(table["count"].sum()), float(table["pruned"].sum())
    signed = bool(len(table) and table["left"].iloc[0] < 0)
    if not total:
        return empty_chart(f"There are no {what} to show", "Choose another layer.", theme, width, height)
    title = titles.histogram_title(total, gone, threshold, signed, what)
    by = "value" if signed else "score"
    left, right, beyond = _span(table, threshold, all_of_it=log or not signed)
    subtitle = f"Number of {what} by {by}, {count(total)} in {where}{', log scale' if log else ''} · measured"
    subtitle += f"; {percent(beyond, 2)} lie beyond the edges" if beyond else ""
    bins = density(table)
    x = _short(np.append(bins["left"].to_numpy(), bins["right"].iloc[-1]))
    traces = [_area(x, bins["count"], _solid(theme, what)), _area(x, bins["pruned"], _hatched(theme))]
    cuts = [] if threshold is None else [-threshold, threshold] if signed else [threshold]
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": x_title}, "range": [left, right], "nticks": 7},
        "yaxis": _counts(float(bins["count"].max()), log),
        "shapes": [_cut(cut, theme) for cut in cuts if left <= cut <= right],
        "annotations": [
            _corner(f'<span style="color:{theme.pruned}">▨</span> pruned {share(gone / total)}', 0.0, theme),
            _corner(f'<span style="color:{theme.kept}">■</span> kept {share(1 - gone / total)}', 1.0, theme),
        ],
        "hovermode": "x",
    }
    return chart(traces, theme, title, subtitle, Frame(width, height), layout)


def _span(table: pd.DataFrame, threshold: float | None, all_of_it: bool) -> tuple[float, float, float]:
    """The ends of the axis, and the share of weights beyond them.

    A few outliers would press all others into a spike too narrow to see the cut in, so the
    axis is closed where it holds 99.5 % of the weights, and three thresholds.
    """
    left, right = float(table["left"].iloc[0]), float(table["right"].iloc[-1])
    if all_of_it:
        return left, right, 0.0
    far = np.maximum(-table["left"].to_numpy(), table["right"].to_numpy())
    counts = table["count"].to_numpy()
    order = far.argsort()
    held = counts[order].cumsum() / counts.sum()
    reach = max(float(far[order][np.searchsorted(held, 0.995)]), 3 * (threshold or 0.0))
    beyond = float(counts[far > reach * (1 + 1e-9)].sum() / counts.sum())
    return max(left, -reach), min(right, reach), beyond


def _counts(top: float, log: bool) -> dict[str, Any]:
    """The axis of counts, with room on top for the words there."""
    if log:
        return {"type": "log", "range": [-0.3, math.log10(top) * 1.22 + 0.1], "dtick": 1, "tickformat": "~s"}
    few = {"dtick": 1, "tickformat": "d"} if top <= 4 else {"nticks": 5, "tickformat": "~s"}
    return {"range": [0, top * 1.25], **few}


def _short(values: Any) -> list[float]:
    """Five significant digits: all that a pixel can show, and a third of the bytes."""
    return [float(f"{value:.5g}") for value in values]


def _area(x: list[float], heights: Any, look: dict[str, Any]) -> dict[str, Any]:
    """One path for the whole histogram, which a browser draws faster than a bar a bin."""
    y = _short([*heights, heights.iloc[-1]])
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "fill": "tozeroy", **look}


def _solid(theme: Theme, what: str) -> dict[str, Any]:
    return {
        "fillcolor": faded(theme.kept, 0.5),
        "line": {"color": theme.kept, "width": 1, "shape": "hv"},
        "hovertemplate": f"from %{{x:.3g}}: %{{y:,.0f}} {what}<extra></extra>",
    }


def _hatched(theme: Theme) -> dict[str, Any]:
    pattern = {"shape": "/", "size": 6, "solidity": 0.4, "fgcolor": theme.page, "bgcolor": theme.pruned}
    return {
        "fillcolor": theme.pruned,
        "fillpattern": pattern | {"fillmode": "overlay"},
        "line": {"width": 0, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _cut(at: float, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.text, "width": 1.5, "dash": "dash"}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 0.92, "line": line}


def _corner(text: str, side: float, theme: Theme) -> dict[str, Any]:
    return {
        "text": text,
        "x": side,
        "y": 1.0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "right" if side else "left",
        "yanchor": "top",
        "showarrow": False,
        "font": {"size": 12, "color": theme.text},
    }


def filter_chart(grid: FilterGrid, theme: Theme, *, width: int = NARROW, height: int = 300) -> Chart:
    """The first layer's filters side by side: sign by colour, zeros grey, removed filters crossed."""
    title = titles.filter_title(grid)
    part = f"the first {grid.shown} of {grid.total} filters" if grid.shown < grid.total else f"{grid.total} filters"
    subtitle = f"Weights of {part}, each square one weight, scaled to the largest · measured"
    rows, columns = grid.cells.shape
    heat = {
        "type": "heatmap",
        "z": np.where(np.isnan(grid.cells), GAP, grid.cells).astype(np.int8),
        "zmin": GAP,
        "zmax": 100,
        "colorscale": _diverging(theme),
        "showscale": False,
        "hoverinfo": "skip",
    }
    if grid.cells.size <= 2000:  # small enough to go as text, with true gaps, so that cells can be hovered over
        cells = [[None if cell != cell else int(cell) for cell in row] for row in grid.cells.tolist()]
        heat |= {"z": cells, "hoverongaps": False, "hovertemplate": "%{z} % of the largest weight<extra></extra>"}
        heat.pop("hoverinfo")
    hidden = {"visible": False, "constrain": "domain"}
    key = "   ".join(
        f'<span style="color:{colour}">{glyph}</span> {name}'
        for colour, glyph, name in (
            (theme.pruned, "■", "negative"),
            (theme.kept, "■", "positive"),
            (theme.zero, "■", "zero"),
            (theme.muted, "☒", "removed"),
        )[: 4 if grid.removed else 3]
    )
    layout = {
        "xaxis": hidden | {"range": [-0.5, columns - 0.5]},
        "yaxis": hidden | {"range": [rows - 0.5, -0.5], "scaleanchor": "x"},
        "annotations": [_corner(key, 0.0, theme) | {"y": 0.0, "yshift": -4}],
    }
    frame = Frame(width, height, left=8, right=8, bottom=28)
    return chart([heat, *_crosses(grid, theme)], theme, title, subtitle, frame, layout)


def _diverging(theme: Theme) -> list[list[Any]]:
    """Negative to positive through the page's own colour, with a band of its own for exactly zero."""
    clear = "rgba(0,0,0,0)"

    def at(value: float) -> float:
        return (value - GAP) / (100 - GAP)

    return [
        [0.0, clear],
        [at(GAP + 0.5), clear],
        [at(GAP + 0.5), theme.pruned],
        [at(-0.5), theme.page],
        [at(-0.5), theme.zero],
        [at(0.5), theme.zero],
        [at(0.5), theme.page],
        [1.0, theme.kept],
    ]


def _crosses(grid: FilterGrid, theme: Theme) -> list[dict[str, Any]]:
    x: list[float | None] = []
    y: list[float | None] = []
    for left, top, right, bottom in grid.crossed:
        x += [left, right, None, left, right, None, left, right, right, left, left, None]
        y += [top, bottom, None, bottom, top, None, top, top, bottom, bottom, top, None]
    line = {"color": theme.muted, "width": 1}
    return [{"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "hoverinfo": "skip"}] if x else []
