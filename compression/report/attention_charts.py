"""Pictures of a transformer's heads: where each looks in an image, and how much each counts.

Shapes: B blocks, H heads of a block, T tokens, P×P patches, S×S pixels of a small image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compression.registry import UserError
from compression.report.drawing import NARROW, WIDE, Chart, Frame, chart, headroom
from compression.report.labels import LABEL_PX
from compression.report.text import brief, capital, part, percent
from compression.report.themes import Theme, faded

Array = NDArray[Any]
PALEST = 0.08
"""How much of the colour the least important head still has, so that it is told from the page."""
CLEAREST = 0.85
"""How much of the colour covers the image where a head looks most."""
FINE, PIXELS = 4, 20_000
"""An image is drawn with at most so many pixels along each side of a patch, and all its copies with so many."""
EVEN = 3.0
"""The full colour stands for the most that a head gives one patch, or for so many even shares where it gives less."""
CELL_PX = 26


@dataclass(frozen=True, eq=False)
class HeadMaps:
    """Where each head looks.

    Attributes:
        shares_BHPP: the attention that each patch gets, NaN for heads that are not there.
        cut_BH: the heads that were cut out.
    """

    shares_BHPP: Array
    cut_BH: Array


def attention_table(maps: Mapping[str, ArrayLike], kept: Mapping[str, ArrayLike] | None = None) -> HeadMaps:
    """The attention that each patch of one image gets, head by head.

    It is the mean over all tokens that look, or, where there is a class token, what that one
    takes; its own share is then left out.

    Args:
        maps: h×T×T of the heads that there are, by layer; T is P² patches, after a class token or not.
        kept: by layer, True for each head of the whole model that stays, all False where the
            block itself is gone; left out, no head is cut.

    Raises:
        UserError: no square number of patches, or flags that do not fit the maps.
    """
    seen = {layer: _received(np.asarray(each, float)) for layer, each in maps.items()}
    flags = {layer: np.ones(len(each), bool) for layer, each in seen.items()} if kept is None else dict(kept)
    side = next(iter(seen.values())).shape[1]
    heads = max(len(np.asarray(each)) for each in flags.values())
    shares_BHPP, cut_BH = np.full((len(flags), heads, side, side), np.nan), np.zeros((len(flags), heads), bool)
    for block, (layer, stays) in enumerate(flags.items()):
        stays = np.asarray(stays, bool)
        present = seen.get(layer, np.empty((0, side, side)))
        if len(present) != stays.sum():
            raise UserError(
                f"kept says that layer '{layer}' has {stays.sum()} heads, but {len(present)} maps are given"
            )
        shares_BHPP[block, np.flatnonzero(stays)] = present
        cut_BH[block, : len(stays)] = ~stays
    return HeadMaps(shares_BHPP, cut_BH)


def _received(maps_HTT: Array) -> Array:
    tokens = maps_HTT.shape[-1]
    side = math.isqrt(tokens)
    if side**2 == tokens:
        shares_HT: Array = maps_HTT.mean(1)
    elif (side := math.isqrt(tokens - 1)) ** 2 == tokens - 1:
        shares_HT = maps_HTT[:, 0, 1:]
    else:
        raise UserError(f"The maps have {tokens} tokens; they must be P×P patches, after a class token or not")
    return shares_HT.reshape(-1, side, side)


def attention_chart(table: HeadMaps, image: ArrayLike, theme: Theme, *, when: str = "", width: int = WIDE) -> Chart:
    """Blocks × heads of small pictures: the image in grey, coloured where the head looks; cut heads crossed.

    ``image`` is H×W or C×H×W, of any scale; ``when`` leads the title where the chart stands beside another.
    """
    shares_BHPP = table.shares_BHPP
    blocks, heads, side, _ = shares_BHPP.shape
    gap = max(1, side // 8)
    pitch = side + gap
    title, peak = _looking(table, when), float(np.nanmax(shares_BHPP, initial=0.0))
    subtitle = (
        f"Attention that each of {side}×{side} patches gets: each picture from the image alone to the head's own most, "
        f"{percent(peak)} at the highest · computed on one image{'; × cut' if table.cut_BH.any() else ''}"
    )
    high = (width - 66) * (blocks * pitch - gap) / (heads * pitch - gap)
    frame = Frame(width, headroom(title, subtitle, width) + round(high) + 34, left=58, right=8, bottom=34)
    middle = (side - 1) / 2
    layout = {
        "xaxis": _axis("head", heads, pitch, middle) | {"range": [-0.5, heads * pitch - gap - 0.5]},
        "yaxis": _axis("block", blocks, pitch, middle)
        | {"range": [blocks * pitch - gap - 0.5, -0.5], "scaleanchor": "x"},
    }
    traces = [
        _ground(image, table, pitch, theme),
        _looks(table, pitch, theme),
        _crossed(table.cut_BH, pitch, side, theme),
    ]
    return chart(traces, theme, title, subtitle, frame, layout)


def _looking(table: HeadMaps, when: str) -> str:
    """The title: when, how many heads there are, and which of them looks at the fewest patches."""
    shares_BHPP, cut = table.shares_BHPP, int(table.cut_BH.sum())
    there = int((~np.isnan(shares_BHPP[..., 0, 0])).sum())
    heads = f"{there} of {there + cut} heads left" if cut else f"{there} heads"
    lead = f"{when}: " if when else ""
    if not there:
        return f"{lead}{'no' if when else 'No'} heads are left to look at the image"
    block, head = np.unravel_index(np.nanargmax(shares_BHPP.max((2, 3))), shares_BHPP.shape[:2])
    return f"{lead}{'where' if when else 'Where'} {heads} look: head {head} of block {block} most narrowly"


def _axis(name: str, count: int, pitch: int, middle: float) -> dict[str, Any]:
    at = [number * pitch + middle for number in range(count)]
    # From 0, as the layers of a network are counted in its other charts.
    words = [f"{name} {number}" if name == "block" or count <= 8 else str(number) for number in range(count)]
    return {
        "tickvals": at,
        "ticktext": words,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "constrain": "domain",
        "tickfont": {"size": LABEL_PX},
    }


def _tiled(cells_BHSS: Array, gap: int) -> Array:
    """Panels side by side with gaps of NaN."""
    padded = np.pad(cells_BHSS, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    blocks, heads, high, wide = padded.shape
    return padded.transpose(0, 2, 1, 3).reshape(blocks * high, heads * wide)


def _ground(image: ArrayLike, table: HeadMaps, pitch: int, theme: Theme) -> dict[str, Any]:
    """The image in grey under every head, cut or not."""
    blocks, heads, side, _ = table.shares_BHPP.shape
    grey_SS = _coarse(np.asarray(image, float), side, math.isqrt(PIXELS // (blocks * heads)) // side)
    fine = len(grey_SS) // side
    there_BH = table.cut_BH | ~np.isnan(table.shares_BHPP[..., 0, 0])
    panels = np.where(there_BH[..., None, None], grey_SS, np.nan)
    return {
        "type": "heatmap",
        "z": _cells(_tiled(panels, (pitch - side) * fine), 0),
        "x0": -0.5 + 0.5 / fine,
        "dx": 1 / fine,
        "y0": -0.5 + 0.5 / fine,
        "dy": 1 / fine,
        "zmin": 0,
        "zmax": 100,
        "colorscale": [[0.0, faded(theme.muted, 0.15)], [1.0, theme.muted]],
        "showscale": False,
        "hoverinfo": "skip",
    }


def _coarse(image: Array, side: int, most: int) -> Array:
    """Percents from the darkest to the brightest pixel, at most ``most`` or ``FINE`` pixels along a patch: S×S."""
    grey = image.mean(0) if image.ndim == 3 else image
    fine = max(1, min(FINE, most, grey.shape[0] // side))
    rows, columns = (np.arange(side * fine) * size // (side * fine) for size in grey.shape)
    spread = float(np.ptp(grey)) or 1.0
    coarse: Array = 100 * (grey[np.ix_(rows, columns)] - grey.min()) / spread
    return coarse


def _looks(table: HeadMaps, pitch: int, theme: Theme) -> dict[str, Any]:
    """The attention over it, clear where a head does not look."""
    shares_BHPP = table.shares_BHPP
    side = shares_BHPP.shape[2]
    # A head that looks everywhere alike stays pale.
    most_BH11 = np.maximum(np.nan_to_num(shares_BHPP).max((2, 3), keepdims=True), EVEN / side**2)
    return {
        "type": "heatmap",
        "z": _cells(_tiled(shares_BHPP / most_BH11, pitch - side), 3),
        "text": _words(_tiled(shares_BHPP, pitch - side)),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0.0, faded(theme.kept, 0.0)], [1.0, faded(theme.kept, CLEAREST)]],
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "%{text} of the attention<extra></extra>",
    }


def _cells(values: Array, digits: int) -> list[list[float | None]]:
    return [[None if value != value else round(value, digits) for value in row] for row in values.tolist()]


def _words(values: Array) -> list[list[str]]:
    return [["" if value != value else percent(value) for value in row] for row in values.tolist()]


def _crossed(cut_BH: Array, pitch: int, side: int, theme: Theme) -> dict[str, Any]:
    """Two strokes through each head that is gone."""
    x: list[float | None] = []
    y: list[float | None] = []
    for block, head in np.argwhere(cut_BH).tolist():
        left, top = head * pitch - 0.5, block * pitch - 0.5
        x += [left, left + side, None, left, left + side, None]
        y += [top, top + side, None, top + side, top, None]
    line = {"color": theme.pruned, "width": 1.5}
    return {"type": "scatter", "mode": "lines", "x": x or [None], "y": y or [None], "line": line, "hoverinfo": "skip"}


@dataclass(frozen=True, eq=False)
class HeadScores:
    """How much each head counts, B×H, NaN where there is none, and which are cut."""

    scores_BH: Array
    cut_BH: Array


def head_table(scores: Mapping[str, ArrayLike], kept: Mapping[str, ArrayLike] | None = None) -> HeadScores:
    """Scores of heads by layer, one row for each; ``kept`` says by layer which of them stay."""
    heads = max(len(np.asarray(each)) for each in scores.values())
    scores_BH, cut_BH = np.full((len(scores), heads), np.nan), np.zeros((len(scores), heads), bool)
    for block, (layer, each) in enumerate(scores.items()):
        values = np.asarray(each, float)
        scores_BH[block, : len(values)] = values
        if kept is not None and layer in kept:
            cut_BH[block, : len(values)] = ~np.asarray(kept[layer], bool)
    return HeadScores(scores_BH, cut_BH)


def head_chart(table: HeadScores, theme: Theme, *, criterion: str, width: int = NARROW) -> Chart:
    """A heat map of how much each head (column) of each block (row) counts; cut heads are crossed out."""
    blocks, heads = table.scores_BH.shape
    title = _counting(table)
    low, high = float(np.nanmin(table.scores_BH)), float(np.nanmax(table.scores_BH))
    subtitle = f"Score of each head by {criterion}, pale {brief(low)} to dark {brief(high)} · computed"
    heat = {
        "type": "heatmap",
        "z": [[None if value != value else float(f"{value:.4g}") for value in row] for row in table.scores_BH.tolist()],
        "zmin": low,
        "zmax": high if high > low else low + 1,
        "colorscale": [[0.0, faded(theme.kept, PALEST)], [1.0, theme.kept]],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": "head %{x:.0f} of block %{y:.0f}: %{z}<extra></extra>",
        "x0": 1,
        "y0": 1,
    }
    crossed = np.argwhere(table.cut_BH) + 1
    marker = {"symbol": "x-thin-open", "size": 11, "color": theme.pruned, "line": {"width": 2}}
    crosses = {
        "type": "scatter",
        "mode": "markers",
        "x": crossed[:, 1].tolist() or [None],
        "y": crossed[:, 0].tolist() or [None],
        "marker": marker,
        "hoverinfo": "skip",
    }
    frame = Frame(width, headroom(title, subtitle, width) + max(3, blocks) * CELL_PX + 40, left=58, right=8, bottom=40)
    layout = {
        "xaxis": _axis("head", heads, 1, 1) | {"range": [0.5, heads + 0.5], "constrain": None},
        "yaxis": _axis("block", blocks, 1, 1) | {"range": [blocks + 0.5, 0.5], "constrain": None},
    }
    return chart([heat, crosses], theme, title, subtitle, frame, layout)


def _counting(table: HeadScores) -> str:
    """The title: what is cut and where most, or which head counts most."""
    total, cut = int((~np.isnan(table.scores_BH)).sum()), int(table.cut_BH.sum())
    if cut:
        most = int(table.cut_BH.sum(1).argmax())
        of = int((~np.isnan(table.scores_BH[most])).sum())
        return f"{part(cut, total)} heads go, most in block {most}: {part(int(table.cut_BH[most].sum()), of)}"
    block, head = np.unravel_index(np.nanargmax(table.scores_BH), table.scores_BH.shape)
    return capital(f"head {head} of block {block} counts most of {total} heads")
