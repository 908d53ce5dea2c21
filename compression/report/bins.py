"""Weights, scores and filters as small arrays that are safe to put in a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from compression.registry import UserError


def histogram_table(
    edges: ArrayLike, counts: ArrayLike, threshold: float | None = None, pruned: ArrayLike | None = None
) -> pd.DataFrame:
    """A histogram of signed weights with what is pruned in each bin: left, right, count, pruned.

    ``edges`` is one longer than ``counts``. ``pruned`` (counts, one a bin) is what the criterion
    took, whichever it is; without it what lies within ±``threshold`` goes, a bin's weights taken
    as evenly spread. A bin that the threshold crosses is cut there, with what is pruned
    inside and what is kept outside, so that the shading ends on the line. Give ``threshold``
    only where it is the cut, not with a criterion that does not go by the weight's own size.

    Raises:
        UserError: the lengths do not fit, or a bin prunes more than it holds.
    """
    sides, heights = np.asarray(edges, float), np.asarray(counts, float)
    if sides.ndim != 1 or len(sides) != len(heights) + 1:
        raise UserError(f"edges has {sides.size} values for {heights.size} counts; it must have one more")
    cut = 0.0 if threshold is None else float(threshold)
    if pruned is None:
        gone = heights * _inside(sides[:-1], sides[1:], cut) / np.diff(sides)
    else:
        gone = np.asarray(pruned, float)
    if gone.shape != heights.shape or (gone > heights * (1 + 1e-9)).any() or (gone < 0).any():
        raise UserError("pruned must hold one count a bin, from 0 to the bin's own count")
    return _cut_at(sides, heights, gone, cut)


def _inside(left: NDArray[Any], right: NDArray[Any], cut: float) -> NDArray[Any]:
    """How much of each bin's width lies within ±cut."""
    width: NDArray[Any] = np.minimum(right, cut) - np.maximum(left, -cut)
    return width.clip(min=0.0)


def _cut_at(sides: NDArray[Any], heights: NDArray[Any], gone: NDArray[Any], cut: float) -> pd.DataFrame:
    cuts = [at for at in (-cut, cut) if cut and sides[0] < at < sides[-1]]
    fine = np.unique(np.concatenate([sides, cuts]))
    left, right = fine[:-1], fine[1:]
    home = np.searchsorted(sides, left, side="right") - 1
    inner = _inside(sides[:-1], sides[1:], cut)[home]
    whole = np.diff(sides)[home]
    crossed = (inner > 0) & (inner < whole)
    within = _inside(left, right, cut) > 0
    width = np.where(crossed, np.where(within, inner, whole - inner), whole)
    part = (right - left) / width
    lost = np.where(crossed & ~within, 0.0, gone[home]) * part
    kept = np.where(crossed & within, 0.0, (heights - gone)[home]) * part
    return pd.DataFrame({"left": left, "right": right, "count": lost + kept, "pruned": lost})


def density(table: pd.DataFrame) -> pd.DataFrame:
    """The counts per widest bin, so that bins that were cut in two keep their height."""
    width = table["right"] - table["left"]
    scale = width.max() / width
    return table.assign(count=table["count"] * scale, pruned=table["pruned"] * scale)


def unit_table(scores: ArrayLike, removed: ArrayLike, bins: int = 40) -> pd.DataFrame:
    """A histogram of the scores of units (channels, rows) with how many of each bin are removed.

    The columns are those of :func:`histogram_table`. Few units get few bins.

    Raises:
        UserError: there are no scores, or not one flag for each.
    """
    values, gone = np.asarray(scores, float).ravel(), np.asarray(removed, bool).ravel()
    if not len(values) or len(values) != len(gone):
        raise UserError(f"removed has {len(gone)} flags for {len(values)} scores; it must have one for each")
    number = int(min(bins, max(5, 2 * np.sqrt(len(values)))))
    counts, edges = np.histogram(values, bins=number)
    return histogram_table(edges, counts, pruned=np.histogram(values[gone], bins=edges)[0])


@dataclass(frozen=True)
class FilterGrid:
    """Filters laid out as one picture.

    Attributes:
        cells: rows × columns of whole percents of the largest |weight|, −100..100, and exactly 0
            only where the weight is zero; NaN in the gaps and in removed filters.
        crossed: for every removed filter its box, (left, top, right, bottom) in cells.
        shown, total: how many filters are drawn, of how many.
        zeros: the share of zero weights among all filters, the removed ones counted as zero.
        removed: how many filters are gone, of all.
    """

    cells: NDArray[np.float64]
    crossed: tuple[tuple[float, float, float, float], ...]
    shown: int
    total: int
    zeros: float
    removed: int


def filter_grid(weights: ArrayLike, removed: ArrayLike | None = None, cap: int = 64) -> FilterGrid:
    """Lay filters F×h×w, or F×c×h×w, side by side with a gap of one cell.

    Of several input channels the mean is shown, and a cell counts as zero only where all are.
    ``removed`` flags the filters that surgery took out: they stay as crossed, empty boxes. At
    most ``cap`` filters are shown, and no more than 20000 cells of them, the first ones.

    Raises:
        UserError: the shape is another one, or ``removed`` has not one flag a filter.
    """
    values_FCHW = np.asarray(weights, float)
    if values_FCHW.ndim == 3:
        values_FCHW = values_FCHW[:, None]
    if values_FCHW.ndim != 4 or not values_FCHW.size:
        raise UserError(f"weights has shape {np.shape(weights)}; it must be F×h×w or F×c×h×w")
    total, _, height, width = values_FCHW.shape
    gone = np.zeros(total, bool) if removed is None else np.asarray(removed, bool)
    if gone.shape != (total,):
        raise UserError(f"removed has {gone.size} flags for {total} filters; it must have one for each")
    empty_FHW = (values_FCHW == 0).all(axis=1) | gone[:, None, None]
    shown = max(1, min(cap, total, 20000 // (height * width)))
    percents_FHW = _percents(values_FCHW.mean(axis=1)[:shown], empty_FHW[:shown])
    columns = min(shown, max(1, round(np.sqrt(1.9 * shown * height / width))))
    rows = -(-shown // columns)
    cells = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    crossed = []
    for index in range(shown):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        if gone[index]:
            crossed.append((left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5))
        else:
            cells[top : top + height, left : left + width] = percents_FHW[index]
    return FilterGrid(cells, tuple(crossed), shown, total, float(empty_FHW.mean()), int(gone.sum()))


def _percents(values: NDArray[Any], empty: NDArray[np.bool_]) -> NDArray[np.float64]:
    largest = np.abs(values).max() or 1.0
    percents = np.round(100 * values / largest)
    small = (percents == 0) & ~empty
    return np.where(empty, 0.0, np.where(small, np.where(values < 0, -1.0, 1.0), percents))
