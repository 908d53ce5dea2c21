"""What falls: the lowest scores, compared within each layer or across all of them.

Masks are True where something is kept. Ties are broken by position: of equal scores, those
that come first fall first, so that the same scores always give the same mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compression.recipe import Prune
from compression.registry import Method, UserError

Scores = Mapping[str, Tensor]
"""One score for each unit of a layer, by layer name; higher is more important."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What is kept, and where each layer was cut.

    Attributes:
        keep: boolean masks by layer, shaped like the scores.
        thresholds: by layer the number below which scores fell; 0 where nothing did.
    """

    keep: dict[str, Tensor]
    thresholds: dict[str, float]


def within_layers(scores: Scores, sparsity: float) -> Selection:
    """Drop the lowest round(sparsity · n) scores of every layer by itself."""
    keep: dict[str, Tensor] = {}
    thresholds: dict[str, float] = {}
    for name, values in scores.items():
        (keep[name],), thresholds[name] = keep_all_but([values], round(sparsity * values.numel()))
    return Selection(keep, thresholds)


def across_layers(scores: Scores, sparsity: float) -> Selection:
    """Drop the lowest round(sparsity · n) scores of all layers together."""
    total = sum(values.numel() for values in scores.values())
    masks, threshold = keep_all_but(list(scores.values()), round(sparsity * total))
    return Selection(dict(zip(scores, masks, strict=True)), dict.fromkeys(scores, threshold))


SCOPES: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "layer",
            "Within each layer",
            "Every layer loses the same fraction of its own units.",
            r"|\{i \in \ell : s_i < t_\ell\}| = \mathrm{round}(\text{sparsity} \cdot n_\ell) \;\forall \ell",
            "Li et al. 2017, Pruning filters for efficient ConvNets, arXiv 1608.08710",
            within_layers,
        ),
        Method(
            "global",
            "Across all layers",
            "All units of the model compete, so that layers with much to spare give more.",
            r"|\{i : s_i < t\}| = \mathrm{round}(\text{sparsity} \cdot \textstyle\sum_\ell n_\ell)",
            "Blalock et al. 2020, What is the state of neural network pruning?, arXiv 2003.03033",
            across_layers,
        ),
    )
}
"""Compared with what: ``call`` takes scores by layer and a sparsity to a ``Selection``."""


def select(scores: Scores, stage: Prune, amounts: Mapping[str, float], sparsity: float | None) -> Selection:
    """Drop what the stage asks: layers with an amount of their own by it, the others together.

    Args:
        scores: by layer.
        stage: gives the scope or the threshold.
        amounts: the sparsities of single layers, which then do not compete with the others.
        sparsity: of the others; None where the stage has a threshold.
    """
    free = {name: values for name, values in scores.items() if name not in amounts}
    if sparsity is None:
        parts = [below(free, stage.threshold or 0.0)]
    else:
        parts = [SCOPES[stage.scope].call(free, sparsity)] if free else []
    parts += [within_layers({name: scores[name]}, amount) for name, amount in amounts.items()]
    keep = {name: mask for part in parts for name, mask in part.keep.items()}
    thresholds = {name: value for part in parts for name, value in part.thresholds.items()}
    return Selection({name: keep[name] for name in scores}, thresholds)


def below(scores: Scores, threshold: float) -> Selection:
    """Drop every score below the threshold.

    Raises:
        UserError: that would be all scores of a layer.
    """
    keep = {name: values >= threshold for name, values in scores.items()}
    for name, values in scores.items():
        if not keep[name].any():
            raise UserError(
                f"threshold {threshold:g} would remove all of layer '{name}', whose highest score is "
                f"{float(values.max()):.3g}; give a lower one, or override the sparsity of that layer"
            )
    return Selection(keep, dict.fromkeys(scores, threshold))


def keep_all_but(scores: Sequence[Tensor], count: int) -> tuple[list[Tensor], float]:
    """Masks that drop exactly the ``count`` lowest of all scores together.

    Also returns the threshold: the smallest number with at least ``count`` scores below it,
    0 when nothing is dropped.
    """
    if count == 0:
        return [torch.ones_like(values, dtype=torch.bool) for values in scores], 0.0
    # Concatenating copies, so the partition may shuffle in place: O(n), where sorting is O(n log n).
    pool = np.concatenate([values.numpy() for values in scores])
    pool.partition(count - 1)
    highest = pool[count - 1]
    masks = [values > float(highest) for values in scores]
    kept = sum(np.count_nonzero(mask.numpy()) for mask in masks)
    spare = pool.size - count - kept  # as high as the highest that falls, but not needed for the count
    for values, mask in zip(reversed(scores), reversed(masks), strict=True):
        if spare == 0:
            break
        ties = (values == float(highest)).nonzero().squeeze(1)[-spare:]
        mask[ties] = True
        spare -= len(ties)
    return masks, just_above(highest)


def just_above(value: Any) -> float:
    """The next larger number of a NumPy scalar's type, though never a denormal one.

    Denormal numbers count as zero where processors flush them, as they do when pruned models run.
    """
    return float(max(np.nextafter(value, type(value)(np.inf)), np.finfo(value.dtype).tiny))


def asked_in_all(sizes: Mapping[str, int], amounts: Mapping[str, float], sparsity: float | None) -> float | None:
    """The fraction asked of all units together: each layer's own amount, or ``sparsity``.

    None where the layers without an amount of their own have a threshold.
    """
    if sparsity is None:
        return None
    total = sum(size * amounts.get(name, sparsity) for name, size in sizes.items())
    return total / sum(sizes.values())
