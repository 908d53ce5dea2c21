"""Surgery: taking units out of a network for real, and the same by zeros, to compare.

Removing a channel touches every layer that makes it, normalises it or reads it, and through
residual additions other layers' channels too. ``Groups`` holds these couplings as plain data
(``coupling.py`` finds them); here they are cut along.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from compression.models.structure import CONVOLUTIONS, Layer, copy_with, remove, resize, width_fields
from compression.registry import UserError, in_a_line, pick

PER_CHANNEL = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.PReLU)
"""The layers that hold something of each channel and mix none of them."""
Kind = Literal["rows", "channels", "heads", "blocks"]
Indices = NDArray[np.int64]
Sides = dict[str, NDArray[np.bool_]]
Kept = Mapping[str, Indices]
"""The units that stay, by group name, in rising order; groups left out stay whole."""


@dataclass(frozen=True, eq=False)
class Member:
    """One side of one layer that holds units of a group.

    Attributes:
        layer: the module's name.
        side: ``out`` where it makes the units (or normalises them), ``in`` where it reads them.
        makes: whether its weights make the units: linear layers and convolutions on side ``out``.
        owner: for every index of that side the unit that it belongs to; -1 for none of this
            group. After flattening, k·k inputs of a linear layer belong to one channel.
    """

    layer: str
    side: Literal["in", "out"]
    makes: bool
    owner: Indices


@dataclass(frozen=True, eq=False)
class Group:
    """Units that can only be removed together.

    Attributes:
        name: the first layer, in the order of the model, that makes the units; of a block its own.
        kind: ``channels`` where a convolution makes them, ``rows`` where linear layers do,
            ``heads`` of attention, or ``blocks``: a whole residual block is a unit by itself.
        width: how many units there are.
        members: every side of every layer that holds them.
        blocks: units are removed in equal numbers from so many equal blocks (grouped
            convolutions, GroupNorm).
        protected: why the group cannot be cut; empty where it can.
    """

    name: str
    kind: Kind
    width: int
    members: tuple[Member, ...]
    blocks: int = 1
    protected: str = ""

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that make the units."""
        return tuple(member.layer for member in self.members if member.makes)


@dataclass(frozen=True, eq=False)
class Groups:
    """All coupled groups of a model, found once and good for every cut of it."""

    groups: tuple[Group, ...]
    input_shape: tuple[int, ...]

    def cuttable(self, kind: str) -> dict[str, Group]:
        """The groups of a kind that can be cut, by name."""
        return {group.name: group for group in self.groups if group.kind == kind and not group.protected}


def cut(model: nn.Module, groups: Groups, kept: Kept) -> nn.Module:
    """A smaller copy of the model that holds the kept units alone; the model stays as it is.

    The identity takes the place of a block that is not kept. Training mode and ``requires_grad`` of
    every part are those of the model. The copy is run once on a zero input.

    Raises:
        UserError: an unknown group, one of which nothing is kept, nothing to remove, or a copy
            that does not run.
    """
    _check(groups, kept)
    modules = dict(model.named_modules())
    replaced: list[tuple[Tensor, Tensor]] = []
    widths: dict[str, dict[str, int]] = {}
    blocks = [name for name, units in kept.items() if not len(units)]
    for layer, sides in staying(groups, {name: kept[name] for name in kept if name not in blocks}).items():
        tensors, widths[layer] = _narrowed(modules[layer], sides)
        replaced += tensors
    smaller = copy_with(model, replaced)
    for layer, changed in widths.items():
        resize(smaller.get_submodule(layer), changed)
    remove(smaller, blocks)
    try:
        outputs(smaller, zero_input(smaller, groups.input_shape))
    except (RuntimeError, ValueError, IndexError) as fault:
        reason = in_a_line(fault, 160)
        raise UserError(f"The model cannot be cut: with fewer units it does not run ({reason})") from None
    return smaller


def masked(model: nn.Module, groups: Groups, kept: Kept) -> nn.Module:
    """A copy of the model at full size, with zeros for what ``cut`` removes.

    Zero are the weights and biases that make a removed unit, its γ and β, and the weights
    that read it. The outputs are those of ``cut``, save where a normalisation averages over
    several units (GroupNorm), since zeros count in an average.
    """
    _check(groups, kept)
    twin = copy.deepcopy(model)
    parameters = dict(twin.named_parameters())
    with torch.no_grad():
        for name, mask in unit_masks(model, groups, kept).items():
            parameters[name].mul_(mask.to(parameters[name].device))
    return twin


def unit_masks(model: nn.Module, groups: Groups, kept: Kept) -> dict[str, Tensor]:
    """What ``masked`` multiplies with, by parameter name: True where a parameter belongs to a kept unit.

    A mask has the dimensions of its parameter, those of a kernel with size 1.
    """
    return {
        f"{layer}.{name}": _mask(module, name, sides)
        for layer, sides in staying(groups, kept).items()
        for module in [model.get_submodule(layer)]
        for name, _ in module.named_parameters(recurse=False)
    }


def staying(groups: Groups, kept: Kept) -> dict[str, Sides]:
    """What stays of each layer that is touched: by layer and side, True at the indices kept."""
    layers: dict[str, Sides] = {}
    for group in groups.groups:
        if group.name not in kept:
            continue
        unit_stays = np.zeros(group.width, dtype=bool)
        unit_stays[kept[group.name]] = True
        for member in group.members:
            local = (member.owner < 0) | unit_stays[member.owner]
            sides = layers.setdefault(member.layer, {})
            # Concatenation brings several groups to one side, where each takes its own part.
            sides[member.side] = local & sides[member.side] if member.side in sides else local
    return layers


def outputs(model: nn.Module, images: Tensor) -> Tensor:
    """What the model gives in ``eval()`` mode; every module's training mode is put back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            result: Tensor = model.eval()(images)
    finally:
        for module, training in modes:
            module.training = training
    return result


def zero_input(model: nn.Module, input_shape: tuple[int, ...], batch: int = 1) -> Tensor:
    """A batch of zeros in the model's own type and on its device."""
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(batch, *input_shape, dtype=like.dtype, device=like.device)


def side_size(module: nn.Module, side: str) -> int:
    """How many units one side of a layer holds."""
    if not isinstance(module, Layer):
        return int(getattr(module, width_fields(module)[0]))
    size = module.weight.shape[0] if side == "out" else module.weight.shape[1] * getattr(module, "groups", 1)
    return int(size)


def is_depthwise(module: nn.Module) -> bool:
    """Whether each channel of a convolution has a filter of its own: it then has one side, not two."""
    return isinstance(module, CONVOLUTIONS) and 1 < module.groups == module.in_channels == module.out_channels


def _check(groups: Groups, kept: Kept) -> None:
    known = {group.name: group for group in groups.groups}
    for name, indices in kept.items():
        group = pick(known, name, "group of units")
        if not len(indices) and group.kind != "blocks":
            raise UserError(f"All {group.width} units of layer '{name}' would be removed; keep at least one")
        each = np.bincount(np.asarray(indices) * group.blocks // group.width, minlength=group.blocks)
        if len(each) > group.blocks or each.min() != each.max():
            raise UserError(
                f"Kept of layer '{name}' must be indices below {group.width}, as many in each of its "
                f"{group.blocks} blocks"
            )
    if all(len(indices) == known[name].width for name, indices in kept.items()):
        raise UserError("Nothing to remove: every unit is kept")


def _narrowed(module: nn.Module, sides: Sides) -> tuple[list[tuple[Tensor, Tensor]], dict[str, int]]:
    """Each old tensor of a layer with its narrower one, and the layer's new widths."""
    index = {side: torch.from_numpy(np.flatnonzero(stays)) for side, stays in sides.items()}
    pairs = []
    tensors = [*module._parameters.items(), *module._buffers.items()]
    for name, old in tensors:
        if old is None or not old.dim():  # an absent bias; BatchNorm's count of batches
            continue
        new = old.detach()
        if name == "weight" and "in" in index:
            new = _narrow_both(new, index, getattr(module, "groups", 1))
        elif "out" in index:
            new = new.index_select(0, index["out"].to(old.device))
        else:
            continue  # the bias of a layer that only reads fewer units
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, requires_grad=old.requires_grad)
        pairs.append((old, new))
    return pairs, _widths(module, {side: len(kept) for side, kept in index.items()})


def _narrow_both(weight: Tensor, index: dict[str, Tensor], blocks: int) -> Tensor:
    """Rows and columns; in a grouped convolution each block of rows has columns of its own."""
    inputs = index["in"].view(blocks, -1) - weight.shape[1] * torch.arange(blocks)[:, None]
    rows = index.get("out", torch.arange(weight.shape[0])).view(blocks, -1)
    parts = [
        weight.index_select(0, out.to(weight.device)).index_select(1, into.to(weight.device))
        for out, into in zip(rows, inputs, strict=True)
    ]
    return parts[0] if blocks == 1 else torch.cat(parts)


def _widths(module: nn.Module, sizes: dict[str, int]) -> dict[str, int]:
    if isinstance(module, nn.Linear):
        names = {"in": "in_features", "out": "out_features"}
    elif is_depthwise(module):
        return dict.fromkeys(("in_channels", "out_channels", "groups"), sizes["out"])
    elif isinstance(module, CONVOLUTIONS):
        names = {"in": "in_channels", "out": "out_channels"}
    else:
        names = {"out": next(iter(width_fields(module)))}
    return {names[side]: size for side, size in sizes.items()}


def _mask(module: nn.Module, name: str, sides: Sides) -> Tensor:
    """False where a parameter of a layer belongs to a removed unit."""
    parameter: Tensor = getattr(module, name)
    mask = torch.ones(parameter.shape[:2] if name == "weight" else parameter.shape, dtype=torch.bool)
    if "out" in sides:
        mask[torch.from_numpy(~sides["out"])] = False
    if "in" in sides and name == "weight":
        blocks = getattr(module, "groups", 1)
        reads = torch.from_numpy(sides["in"]).view(blocks, -1)
        mask &= reads.repeat_interleave(mask.shape[0] // blocks, 0)
    return mask.view(*mask.shape, *[1] * (parameter.dim() - mask.dim()))
