"""What a cut would leave, counted without making it: a search over allocations asks thousands of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from compression.measure import file_bytes, layer_macs, macs, nonzero, packed_bytes, params, stored
from compression.measure.packing import packed_length
from compression.pruning.masks import prunable
from compression.pruning.oneshot import Pruned
from compression.pruning.surgery import Group, Groups, Indices, Sides, staying
from compression.recipe import STRUCTURED

Sparsities = Mapping[str, float]


@dataclass(frozen=True)
class Left:
    """What a pruned model is.

    Attributes:
        sparsity: the fraction of all units removed.
        params: parameters that are not zero; where units are cut out, all that are left.
        macs: multiply-accumulates of one image; a zero is multiplied as any number is.
        bytes: of the packed file; where units are cut out, of the plain one.
    """

    sparsity: float
    params: float
    macs: float
    bytes: float


Counter = Callable[[Sparsities], Left]


def counter(model: nn.Module, granularity: str, groups: Groups) -> Counter:
    """From the sparsity of each layer to what is left; layers without one stay whole.

    Zeros are counted exactly in a model that had none. For whole units the numbers follow from
    the widths: those of a file but for a few bytes of its header, and MACs but for those of
    operations without weights, of which attention alone is known to shrink with its heads.
    """
    if granularity in STRUCTURED:
        return _cut(model, groups, groups.cuttable(granularity))
    return _zeroed(model, granularity, groups.input_shape)


def left_by(pruned: Pruned, granularity: str, input_shape: tuple[int, ...]) -> Left:
    """The same of a model that was really pruned, measured."""
    structured = granularity in STRUCTURED
    model = pruned.model
    return Left(
        sparsity=pruned.achieved,
        params=params(model) if structured else nonzero(model),
        macs=macs(model, input_shape),
        bytes=file_bytes(model) if structured else packed_bytes(model),
    )


def units_of(model: nn.Module, granularity: str, groups: Groups) -> dict[str, int]:
    """How many units each layer that can be pruned has, by name."""
    if granularity in STRUCTURED:
        return {name: group.width for name, group in groups.cuttable(granularity).items()}
    layers = prunable(model, granularity)
    return {name: _units(layer.weight, granularity) for name, layer in layers.items()}


def kept_units(sparsity: float, units: int) -> int:
    """How many of a layer's units a sparsity leaves, as pruning rounds."""
    return units - round(sparsity * units)


def _units(weight: Tensor, granularity: str) -> int:
    return weight.shape[:2].numel() if granularity == "kernels" else weight.numel()


def _zeroed(model: nn.Module, granularity: str, input_shape: tuple[int, ...]) -> Counter:
    units = units_of(model, granularity, Groups((), input_shape))
    each = {name: layer.weight.numel() // units[name] for name, layer in prunable(model, granularity).items()}
    state = stored(model)
    before = {name: int(tensor.count_nonzero()) for name, tensor in state.items()}
    total, work, numbers = sum(units.values()), macs(model, input_shape), nonzero(model)

    def left(sparsities: Sparsities) -> Left:
        kept = {name: kept_units(sparsity, units[name]) for name, sparsity in sparsities.items()}
        after = {f"{name}.weight": min(before[f"{name}.weight"], count * each[name]) for name, count in kept.items()}
        return Left(
            sparsity=sum(units[name] - count for name, count in kept.items()) / total,
            params=numbers - sum(before[name] - count for name, count in after.items()),
            macs=work,
            bytes=packed_length(state, before | after),
        )

    return left


def _cut(model: nn.Module, groups: Groups, cuttable: dict[str, Group]) -> Counter:
    work, modules = layer_macs(model, groups.input_shape), dict(model.named_modules())
    total = sum(group.width for group in cuttable.values())
    heads = {group.name for group in cuttable.values() if group.kind == "heads"}
    numbers, all_work, size = params(model), sum(work.values()), file_bytes(model)

    def left(sparsities: Sparsities) -> Left:
        kept = {name: _first(cuttable[name], sparsity) for name, sparsity in sparsities.items()}
        gone = {"params": 0.0, "macs": 0.0, "bytes": 0.0}
        for layer, sides in staying(groups, kept).items():
            across = float(np.prod([side.mean() for side in sides.values()]))
            for name, tensor in (*modules[layer]._parameters.items(), *modules[layer]._buffers.items()):
                if tensor is None or not tensor.dim():
                    continue
                lost = tensor.numel() * (1 - (across if name == "weight" else _made(sides)))
                gone["bytes"] += lost * tensor.itemsize
                gone["params"] += lost if isinstance(tensor, nn.Parameter) else 0
            gone["macs"] += work.get(layer, 0) * (1 - across)
            if layer in heads:  # what attention does between its layers goes by heads too
                gone["macs"] += work.get(layer.rpartition(".")[0], 0) * (1 - across)
        return Left(
            sparsity=sum(cuttable[name].width - len(units) for name, units in kept.items()) / total,
            params=numbers - gone["params"],
            macs=all_work - gone["macs"],
            bytes=size - gone["bytes"],
        )

    return left


def _first(group: Group, sparsity: float) -> Indices:
    """As many units as a sparsity leaves, in each block of the group the first: which they are does not count."""
    each = kept_units(sparsity, group.width) // group.blocks
    return np.arange(group.width).reshape(group.blocks, -1)[:, :each].ravel()


def _made(sides: Sides) -> float:
    return float(sides["out"].mean()) if "out" in sides else 1.0
