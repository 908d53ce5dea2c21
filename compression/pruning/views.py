"""What a picture of one pruning needs, as NumPy arrays: its first filters, its histogram."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from compression.pruning.index import ScoreIndex, dropped, histogram
from compression.pruning.masks import plain, prunable
from compression.pruning.oneshot import Pruned

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """The first prunable layer as images: weights F×C×h×w with zeros, and which filters are gone F."""

    layer: str
    weights: Array
    removed: Array


def first_layer(model: nn.Module, pruned: Pruned, input_shape: tuple[int, ...]) -> FirstLayer | None:
    """The filters of the first layer after pruning, at the places that they had before.

    A linear layer that reads whole images shows its rows as images. None where the first layer
    reads anything else.
    """
    name, layer = next(iter(prunable(model).items()))
    weights = plain(layer.weight).numpy()
    mask = pruned.masks.get(f"{name}.weight")
    if mask is not None:
        weights = np.where(mask.numpy(), weights, 0)
    if weights.ndim == 2 and weights.shape[1] == math.prod(input_shape):
        weights = weights.reshape(-1, *input_shape)
    kept = pruned.kept.get(name)
    removed = np.zeros(len(weights), bool) if kept is None else ~kept
    return FirstLayer(name, weights, removed) if weights.ndim == 4 else None


@dataclass(frozen=True, eq=False)
class Bins:
    """Signed weights in equal bins: edges, and how many weights each bin holds and loses."""

    edges: Array
    counts: Array
    pruned: Array


def weight_bins(model: nn.Module, index: ScoreIndex, pruned: Pruned, layer: str | None = None, bins: int = 300) -> Bins:
    """The histogram of one layer's weights, or of all, and what the masks drop of each bin."""
    whole = histogram(index, bins)
    masks = {name.removesuffix(".weight"): mask for name, mask in pruned.masks.items()}
    lost = dropped(model, masks, whole)
    if layer is None:
        return Bins(whole.edges, whole.total, lost.total)
    return Bins(whole.edges, whole.counts[layer], lost.counts[layer])


def unit_scores_of(scores: Mapping[str, Tensor], pruned: Pruned, layer: str | None = None) -> tuple[Array, Array]:
    """The scores of the units of one layer, or of all, made finite; and which of them are removed."""
    names = list(scores) if layer is None else [layer]
    removed = [~pruned.kept[name] if name in pruned.kept else np.zeros(len(scores[name]), bool) for name in names]
    values = np.concatenate([scores[name].numpy() for name in names])
    lowest = values[np.isfinite(values)].min(initial=0)
    return np.maximum(values, lowest), np.concatenate(removed)
