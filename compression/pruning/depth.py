"""Depth: whole residual blocks as units, each of which the identity can stand in for.

No list of types says what a residual block is. It is found by trial: a module that gives back its
very input once all that its layers make is zero. What is left of it then is its shortcut, so that
taking the block out equals masking it, as for every other unit.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compression.models.structure import Layer
from compression.pruning.selection import Scores, Selection, keep_all_but
from compression.pruning.surgery import PER_CHANNEL, Group, Member, outputs
from compression.recipe import Prune
from compression.registry import UserError

MAKING = (Layer, *PER_CHANNEL, nn.LayerNorm)
"""The layers of a block that make something of their own."""


def block_groups(model: nn.Module, images: Tensor) -> list[Group]:
    """A group of one unit for every residual block whose shortcut is the identity.

    Of nested ones the innermost count. A model's only block is protected, since one stays.

    Source: Veit et al. 2016, "Residual networks behave like ensembles of relatively shallow
    networks" (arXiv 1605.06431).

    Args:
        model: left as it is.
        images: N×C×H×W that the trial runs on.
    """
    twin = copy.deepcopy(model)  # hooks on the caller's module would fire in other threads too
    found: dict[str, Group] = {}
    seen = _inputs(twin, images)
    for name in sorted(seen, key=lambda name: -name.count(".")):
        inner = any(block.startswith(f"{name}.") for block in found)
        if not inner and _is_identity_when_zero(block := twin.get_submodule(name), seen[name]):
            found[name] = Group(name, "blocks", 1, _members(name, block))
    if len(found) == 1:
        reason = "it is the only block that the identity could stand in for, and one stays"
        return [dataclasses.replace(group, protected=reason) for group in found.values()]
    return list(found.values())


def _inputs(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What enters every module that holds layers, runs once, on one tensor, and keeps its shape."""
    calls: dict[str, list[Tensor | None]] = {}

    def note(name: str, given: tuple[Any, ...], made: Any) -> None:
        alike = len(given) == 1 and isinstance(given[0], Tensor) and isinstance(made, Tensor)
        calls.setdefault(name, []).append(given[0].clone() if alike and given[0].shape == made.shape else None)

    for name, module in model.named_modules():
        if name and not isinstance(module, Layer) and any(isinstance(part, Layer) for part in module.modules()):
            module.register_forward_hook(lambda _, given, made, name=name: note(name, given, made))
    outputs(model, images)
    for module in model.modules():
        module._forward_hooks.clear()
    return {name: given[0] for name, given in calls.items() if len(given) == 1 and given[0] is not None}


def _is_identity_when_zero(block: nn.Module, given: Tensor) -> bool:
    """Whether the block gives back its input where all that its layers make is zero."""
    zeroed = copy.deepcopy(block)
    with torch.no_grad():
        for part in zeroed.modules():
            if isinstance(part, MAKING):
                for parameter in part.parameters(recurse=False):
                    parameter.zero_()
    return torch.equal(outputs(zeroed, given), given)


def _members(name: str, block: nn.Module) -> tuple[Member, ...]:
    """Every layer inside: all of its outputs belong to the one unit."""
    return tuple(
        Member(f"{name}.{path}", "out", isinstance(part, Layer), np.zeros(len(part.weight), dtype=np.int64))
        for path, part in block.named_modules()
        if isinstance(part, MAKING) and part.weight is not None
    )


def select_blocks(scores: Scores, stage: Prune, amounts: Mapping[str, float]) -> Selection:
    """Drop the blocks that score lowest; they are one pool whatever the scope, and one of it stays.

    Args:
        scores: one for each block, by its name.
        stage: gives the sparsity, the fraction of the blocks that go, or the threshold.
        amounts: 0 for each block that is kept whatever it scores.

    Raises:
        UserError: an amount other than 0, or a threshold above all scores.
    """
    for name, amount in amounts.items():
        if amount:
            raise UserError(f"overrides gives block '{name}' {amount:g}; a block stays or goes, so only 0 is allowed")
    free = {name: values for name, values in scores.items() if name not in amounts}
    most = len(free) - (not amounts)
    if stage.sparsity is not None:
        count = min(round(stage.sparsity * len(free)), most)
    else:
        count = sum(bool(values < (stage.threshold or 0.0)) for values in free.values())
        if count > most:
            highest = max(float(values) for values in free.values())
            raise UserError(
                f"threshold {stage.threshold:g} would remove every block, the highest of which scores "
                f"{highest:.3g}; give a lower one"
            )
    masks, threshold = keep_all_but(list(free.values()), count)
    keep = dict(zip(free, masks, strict=True))
    whole = torch.ones(1, dtype=torch.bool)
    return Selection({name: keep.get(name, whole) for name in scores}, dict.fromkeys(free, threshold))
