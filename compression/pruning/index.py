"""Sorted weights: thresholds, sparsities and histograms by binary search.

Sorting 25 million weights takes half a second, once a model; after that every question that
a slider asks is answered in a few milliseconds. Cache the index, not the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from compression.pruning.masks import plain, prunable
from compression.pruning.selection import just_above
from compression.registry import UserError, pick

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ScoreIndex:
    """The weights, or the scores, of each layer in rising order, as float32."""

    layers: dict[str, Floats]

    def of(self, layer: str | None) -> dict[str, Floats]:
        """All layers, or the one named. Raises UserError for an unknown one."""
        return self.layers if layer is None else {layer: pick(self.layers, layer, "layer")}


@dataclass(frozen=True, eq=False)
class WeightHistogram:
    """Counts of weights over the same bins for every layer.

    Attributes:
        edges: bins + 1 numbers; a bin holds its left edge, the last one both.
        counts: by layer, one number a bin.
    """

    edges: Floats
    counts: dict[str, NDArray[np.int64]]

    @property
    def total(self) -> NDArray[np.int64]:
        """The counts of all layers together."""
        total: NDArray[np.int64] = np.sum(list(self.counts.values()), axis=0, dtype=np.int64)
        return total


def weight_index(model: nn.Module) -> ScoreIndex:
    """The index of a model's prunable weights, signed, by layer.

    Raises:
        UserError: a weight is NaN or infinite.
    """
    return score_index({name: plain(layer.weight) for name, layer in prunable(model).items()})


def score_index(scores: Mapping[str, Tensor]) -> ScoreIndex:
    """The index of any scores by layer, such as ``scores_of`` gives. Raises UserError on NaN or inf."""
    layers: dict[str, Floats] = {}
    for name, values in scores.items():
        layers[name] = np.array(values.numpy(), dtype=np.float32).ravel()
        layers[name].sort()
        if layers[name].size and not np.isfinite(layers[name][[0, -1]]).all():  # NaN sorts last
            raise UserError(f"Layer '{name}' holds NaN or infinite values")
    return ScoreIndex(layers)


def count_below(layers: Mapping[str, Floats], threshold: float) -> int:
    """How many have |value| < threshold."""
    t = np.float32(threshold)
    if t <= 0:
        return 0
    return sum(int(np.searchsorted(v, t, "left") - np.searchsorted(v, -t, "right")) for v in layers.values())


def sparsity_at(index: ScoreIndex, threshold: float, layer: str | None = None) -> float:
    """The fraction of weights with |w| < threshold, of one layer or of all.

    Raises:
        UserError: unknown layer.
    """
    layers = index.of(layer)
    return count_below(layers, threshold) / sum(values.size for values in layers.values())


def threshold_of(index: ScoreIndex, sparsity: float, layer: str | None = None) -> float:
    """The smallest threshold below which at least round(sparsity · n) weights lie; 0 for none.

    Without ties ``sparsity_at`` of it is the sparsity again, to the nearest weight.

    Raises:
        UserError: unknown layer, or a sparsity outside [0, 1].
    """
    if not 0 <= sparsity <= 1:
        raise UserError(f"sparsity is {sparsity:g}; it must lie in [0, 1]")
    layers = index.of(layer)
    count = round(sparsity * sum(values.size for values in layers.values()))
    if count == 0:
        return 0.0
    # Floats that are not negative are ordered as their bits are: halve the range of bit
    # patterns until one is left, the first threshold with enough weights below it.
    low, high = _bits(float(np.finfo(np.float32).tiny)), _bits(just_above(np.float32(_largest(layers))))
    while low < high:
        middle = (low + high) // 2
        if count_below(layers, _float(middle)) >= count:
            high = middle
        else:
            low = middle + 1
    return _float(low)


def histogram(
    index: ScoreIndex, bins: int = 200, limit: float | None = None, magnitudes: bool = False
) -> WeightHistogram:
    """Counts over equal bins from -limit to limit, or from 0 to limit for ``magnitudes``.

    Args:
        index: of weights or scores.
        bins: how many.
        limit: the largest |w| when left out; what lies beyond counts in the outermost bins.
        magnitudes: count |w| instead of w.

    Raises:
        UserError: ``bins`` or ``limit`` is not greater than 0.
    """
    if bins < 1 or (limit is not None and not limit > 0):
        raise UserError(f"bins is {bins} and limit is {limit}; both must be greater than 0")
    reach = limit or _largest(index.layers) or 1.0
    edges = np.linspace(0 if magnitudes else -reach, reach, bins + 1, dtype=np.float32)
    counts = {}
    for name, values in index.layers.items():
        inner = np.searchsorted(values, edges[1:-1], "left")
        if magnitudes:
            inner = inner - np.searchsorted(values, -edges[1:-1], "right")
        counts[name] = np.diff(inner, prepend=0, append=values.size).astype(np.int64)
    return WeightHistogram(edges, counts)


def dropped(model: nn.Module, masks: Mapping[str, Tensor], within: WeightHistogram) -> WeightHistogram:
    """The weights that the masks (by layer) drop, counted over the bins of another histogram.

    ``model`` is the one before pruning; layers without a mask drop nothing.
    """
    edges = within.edges
    counts = {name: np.zeros(len(edges) - 1, dtype=np.int64) for name in within.counts}
    for name, layer in prunable(model).items():
        if name in masks:
            fallen = ~masks[name].numpy().ravel()
            # compress is several times faster than indexing by a mask, in torch most of all.
            values = np.compress(fallen, plain(layer.weight).numpy().ravel()).clip(-edges[-1], edges[-1])
            counts[name] = np.histogram(np.abs(values) if edges[0] == 0 else values, bins=edges)[0]
    return WeightHistogram(edges, counts)


def _largest(layers: Mapping[str, Floats]) -> float:
    return max((float(max(-v[0], v[-1])) for v in layers.values() if v.size), default=0.0)


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.int32))


def _float(bits: int) -> float:
    return float(np.int32(bits).view(np.float32))
