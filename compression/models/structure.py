"""The widths of a model's layers as plain numbers: what surgery changes and a file must keep.

A pruned model is its architecture, its widths, the blocks taken out of it and its tensors.
``structure`` reads the widths and ``removed`` the blocks, ``restructure`` and ``remove`` do the
same to a freshly built model, and ``load_state_dict`` does the rest: a pruned model travels
without pickle.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from compression.models.quantized import Quantized
from compression.models.transformers import PerHead
from compression.registry import UserError, unknown

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
"""The layers that have weights to prune."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
WIDTHS: tuple[tuple[tuple[type[nn.Module], ...], tuple[str, ...]], ...] = (
    ((nn.Linear,), ("in_features", "out_features")),
    (CONVOLUTIONS, ("in_channels", "out_channels", "groups")),
    ((_BatchNorm, _InstanceNorm), ("num_features",)),
    ((nn.GroupNorm,), ("num_channels", "num_groups")),
    ((nn.PReLU,), ("num_parameters",)),
    ((PerHead,), ("heads",)),
)
"""The layers that have a width, and the attributes that hold it."""


class Removed(nn.Identity):
    """Stands where a whole block was taken out, so that a file can say so."""


def removed(model: nn.Module) -> tuple[str, ...]:
    """The names of the blocks that were taken out of a model."""
    return tuple(name for name, module in model.named_modules() if isinstance(module, Removed))


def remove(model: nn.Module, names: Iterable[str]) -> nn.Module:
    """Put the identity in the place of whole modules, in place, and return the model.

    Raises:
        UserError: a name that no part of the model has.
    """
    for name in names:
        parts = [part for part, _ in model.named_modules() if part]
        if name not in parts:
            raise UserError(unknown("block among the removed", name, tuple(parts)))
        model.set_submodule(name, Removed())
    return model


def structure(model: nn.Module) -> dict[str, dict[str, int]]:
    """The widths of every layer that has any: module name to attribute to number."""
    return {
        name: {field: getattr(module, field) for field in fields}
        for name, module in model.named_modules()
        if (fields := width_fields(module))
    }


def outline(model: nn.Module) -> str:
    """All that a runtime sees of a model: its widths, or its graph where it is quantised; where zeros lie is not."""
    return model.outline if isinstance(model, Quantized) else json.dumps(structure(model))


def restructure(model: nn.Module, widths: Mapping[str, Mapping[str, int]]) -> nn.Module:
    """Give a model's layers new widths, in place, and return it.

    Tensors whose shape changes become uninitialised memory, to be filled by
    ``load_state_dict``; the others stay as they are.

    Args:
        model: freshly built from the architecture that ``widths`` was read from.
        widths: what ``structure`` returned; layers that it leaves out stay as they are.

    Raises:
        UserError: an unknown layer or attribute, or a width that is not a whole number from 1
            to the present one. A width cannot grow, so that a file cannot ask for any amount
            of memory.
    """
    modules = dict(model.named_modules())
    present = structure(model)
    if not isinstance(widths, Mapping) or not all(isinstance(w, Mapping) for w in widths.values()):
        raise UserError("The structure must map layer names to their widths, each by name")
    for name, wanted in widths.items():
        if name not in present:
            raise UserError(unknown("layer in the structure", name, present))
        _check(name, wanted, present[name])
        if wanted != present[name]:
            resize(modules[name], wanted)
    return model


def copy_with(model: nn.Module, replaced: Iterable[tuple[Tensor, Tensor]]) -> nn.Module:
    """A deep copy of a model in which some tensors are others; what they replace is never copied.

    Args:
        model: left as it is.
        replaced: pairs of a tensor of the model and the one to take its place.
    """
    memo: dict[int, Any] = {id(old): new for old, new in replaced}
    for module in model.modules():
        for value in vars(module).values():
            # A module holds a dozen empty tables of hooks, and copying those takes most of the time.
            if isinstance(value, dict) and not value:
                memo[id(value)] = type(value)()
    return copy.deepcopy(model, memo)


def resize(module: nn.Module, widths: Mapping[str, int]) -> None:
    """Set the widths of one layer; tensors whose shape changes become uninitialised memory."""
    for field, value in widths.items():
        setattr(module, field, value)
    tensors = {**module._parameters, **module._buffers}
    for name, shape in _shapes(module).items():
        old = tensors.get(name)
        if old is not None and tuple(old.shape) != shape:
            setattr(module, name, _empty(old, shape))


def _empty(old: Tensor, shape: tuple[int, ...]) -> Tensor:
    new = torch.empty(shape, dtype=old.dtype, device=old.device)
    return nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new


def width_fields(module: nn.Module) -> tuple[str, ...]:
    """The attributes that hold a layer's widths; none for layers without."""
    return next((fields for kinds, fields in WIDTHS if isinstance(module, kinds)), ())


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    if isinstance(module, nn.Linear):
        return {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
    if isinstance(module, CONVOLUTIONS):
        inputs = module.in_channels // module.groups
        return {
            "weight": (module.out_channels, inputs, *module.kernel_size),
            "bias": (module.out_channels,),
        }
    if isinstance(module, PerHead):
        return {"weight": (module.heads, *module.weight.shape[1:])}
    width: int = getattr(module, width_fields(module)[0])
    return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (width,))


def _check(name: str, wanted: Mapping[str, int], present: Mapping[str, int]) -> None:
    for field, value in wanted.items():
        if field not in present:
            raise UserError(unknown(f"width of layer '{name}'", field, present))
        if type(value) is not int or not 1 <= value <= present[field]:
            raise UserError(
                f"{field} of layer '{name}' is {value!r}; it must be a whole number from 1 to {present[field]}"
            )
    merged = {**present, **wanted}
    parts = merged.get("groups") or merged.get("num_groups") or 1
    for field in ("in_channels", "out_channels", "num_channels"):
        if merged.get(field, parts) % parts:
            raise UserError(
                f"{field} of layer '{name}' is {merged[field]}; it must be a multiple of its {parts} groups"
            )
