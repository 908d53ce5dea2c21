"""Zeros in place: masks over single weights, N:M patterns and kernels.

A mask is boolean, shaped like its weight, and True where the weight is kept. No hooks are
used: a masked weight is simply zero, so that a model keeps its speed and its file its size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from compression.models.structure import CONVOLUTIONS, Layer, copy_with
from compression.pruning.criteria import CRITERIA, GRANULARITIES, check, check_layers
from compression.pruning.evidence import Evidence, seen_of
from compression.pruning.scores import Units
from compression.pruning.selection import Selection, select
from compression.recipe import Prune, fixed_sparsity
from compression.registry import UserError, pick


def prunable(model: nn.Module, granularity: str = "weights") -> dict[str, Layer]:
    """The layers whose weights count as prunable, by name, in the order of the model.

    These are all linear layers and convolutions, the output layer included, as in the
    literature; not biases, not normalisation. Kernels are those of convolutions alone. A
    weight that two layers share counts once.

    Raises:
        UserError: there are none, or one carries hooks of ``torch.nn.utils``.
    """
    kinds: tuple[type[Layer], ...] = CONVOLUTIONS if granularity == "kernels" else (nn.Linear, *CONVOLUTIONS)
    layers: dict[str, Layer] = {}
    seen: set[int] = set()
    for name, module in model.named_modules():
        if not isinstance(module, kinds):
            continue
        if "weight" not in module._parameters:
            raise UserError(f"Layer '{name}' carries a mask or parametrization of torch.nn.utils; remove it first")
        if id(module.weight) not in seen:
            seen.add(id(module.weight))
            layers[name] = module
    if not layers:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise UserError(f"The model has no {granularity} to prune: it has none of {names}")
    return layers


def check_finite(model: nn.Module) -> None:
    """Raise UserError naming the first tensor of the model that holds NaN or infinite values."""
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        low, high = torch.aminmax(tensor)  # NaN comes through; one pass, nothing allocated
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise UserError(f"Tensor '{name}' of the model holds NaN or infinite values")


def weight_scores(model: nn.Module, stage: Prune, seed: int = 0, evidence: Evidence | None = None) -> dict[str, Tensor]:
    """The score of every weight or kernel, by layer: flat, on the CPU.

    Raises:
        UserError: settings that contradict each other, or no evidence that the criterion needs.
    """
    check(stage)
    score, split = CRITERIA[stage.criterion].call, GRANULARITIES[stage.granularity].call
    scores: dict[str, Tensor] = {}
    for name, layer in prunable(model, stage.granularity).items():
        seen = seen_of(evidence, stage.criterion, f"{name}.weight", layer.weight)
        seen_UN = None if seen is None else split(plain(seen))
        scores[name] = score(Units(split(plain(layer.weight)), name=name, seed=seed, seen_UN=seen_UN))
    return scores


def plain(weight: Tensor) -> Tensor:
    """A weight outside autograd, on the CPU, in a type that NumPy knows."""
    weight = weight.detach().cpu()
    return weight if weight.dtype in (torch.float32, torch.float64) else weight.float()


def select_weights(model: nn.Module, stage: Prune, seed: int = 0, evidence: Evidence | None = None) -> Selection:
    """Which weights or kernels stay, by layer: flat boolean masks, one entry a unit.

    Exactly round(sparsity · n) fall in every layer (or of all, for the global scope), or
    those that score below the threshold. An N:M pattern is local: the scope does not matter.

    Raises:
        UserError: settings that contradict each other, no evidence that the criterion needs, an
            unknown layer in ``overrides``, or a layer of which a threshold, its own sparsity or
            the scope ``layer`` leaves nothing.
    """
    scores = weight_scores(model, stage, seed, evidence)
    check_layers(stage.overrides, tuple(scores))
    if fixed_sparsity(stage.granularity) is not None:
        return _patterns(model, stage, scores)
    selection = select(scores, stage, stage.overrides, stage.sparsity)
    for name, keep in selection.keep.items():
        amount = stage.overrides.get(name, stage.sparsity if stage.scope == "layer" else None)
        if amount is not None and not keep.any():
            raise UserError(
                f"sparsity {amount:g} leaves none of the {keep.numel()} {stage.granularity} of layer '{name}'"
            )
    return selection


def _patterns(model: nn.Module, stage: Prune, scores: Mapping[str, Tensor]) -> Selection:
    kept, group = (int(part) for part in stage.granularity.split(":"))
    layers = prunable(model)
    keep = {
        name: torch.ones(values.shape, dtype=torch.bool)
        if stage.overrides.get(name) == 0
        else n_of_m(values.view(layers[name].weight.shape), kept, group).flatten()
        for name, values in scores.items()
    }
    return Selection(keep, {})


def n_of_m(scores: Tensor, kept: int, group: int) -> Tensor:
    """Keep the ``kept`` highest of every ``group`` consecutive weights along the inputs.

    A layer whose inputs are no multiple of the group is treated as if filled up with zeros,
    as hardware does: the last, incomplete group keeps at most ``kept`` weights, so fewer of
    them fall, and none where there are no more than that.

    Args:
        scores: O×I or O×I×k×k; groups run along I.
        kept: N.
        group: M.

    Returns:
        A boolean mask of the same shape.
    """
    last = scores.movedim(1, -1)
    inputs = last.shape[-1]
    filled = nn.functional.pad(last, (0, -inputs % group), value=-torch.inf)
    cells = filled.view(*filled.shape[:-1], -1, group).unbind(-1)
    # M is at most 8, so counting for each place how many beat it is much faster than sorting.
    beaten = [
        sum((b >= a if j > i else b > a).to(torch.int8) for j, b in enumerate(cells) if j != i)
        for i, a in enumerate(cells)
    ]
    keep = torch.stack([torch.as_tensor(count) < kept for count in beaten], -1)
    return keep.flatten(-2)[..., :inputs].movedim(-1, 1).contiguous()


def weight_masks(model: nn.Module, stage: Prune, seed: int = 0, evidence: Evidence | None = None) -> dict[str, Tensor]:
    """Boolean masks shaped like the weights, by layer; raises as ``select_weights`` does."""
    return expand(model, select_weights(model, stage, seed, evidence))


def expand(model: nn.Module, selection: Selection) -> dict[str, Tensor]:
    """The flat masks of a selection as masks shaped like the weights; a kernel's covers its slice."""
    layers = prunable(model)
    masks: dict[str, Tensor] = {}
    for name, keep in selection.keep.items():
        shape = layers[name].weight.shape
        if keep.numel() == shape.numel():
            masks[name] = keep.view(shape)
        else:
            masks[name] = keep.view(*shape[:2], *[1] * (len(shape) - 2)).expand(shape).contiguous()
    return masks


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set to zero, in place, the weights that the masks of the named layers drop."""
    layers = prunable(model)
    with torch.no_grad():
        for name, mask in masks.items():
            weight = pick(layers, name, "layer").weight
            weight.mul_(mask.to(weight.device))


def masked_copy(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the model with the dropped weights at zero; the model stays as it is."""
    replaced: list[tuple[Tensor, Tensor]] = []
    for name, layer in prunable(model).items():
        if name in masks:
            values = _zeroed(layer.weight.detach(), masks[name])
            replaced.append((layer.weight, nn.Parameter(values, requires_grad=layer.weight.requires_grad)))
    return copy_with(model, replaced)


def _zeroed(weight: Tensor, mask: Tensor) -> Tensor:
    if weight.is_cpu and weight.dtype == torch.float32:
        # NumPy multiplies by booleans several times faster; adding 0 turns -0 into 0.
        product = np.multiply(weight.numpy(), mask.numpy())
        product += 0.0
        return torch.from_numpy(product)
    return torch.where(mask.to(weight.device), weight, 0.0)
