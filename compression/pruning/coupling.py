"""Which units go together: the coupled groups of a model, found once and proven by trial.

Torch-Pruning traces the model and follows its dependencies (Fang et al. 2023, arXiv
2301.12900). It is used for nothing else, and not trusted: every group is read out as plain
indices, what we cannot cut is protected with a reason, and the rest is tried, half of every
group cut against the same half masked. A group whose outputs differ is protected too.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from compression.models.structure import CONVOLUTIONS
from compression.pruning.depth import block_groups
from compression.pruning.heads import head_groups
from compression.pruning.masks import check_finite, prunable
from compression.pruning.surgery import (
    PER_CHANNEL,
    Group,
    Groups,
    Indices,
    Member,
    cut,
    is_depthwise,
    masked,
    outputs,
    side_size,
    zero_input,
)
from compression.pruning.tracing import Items, coupled_items, trace
from compression.registry import UserError

MAKERS = (nn.Linear, *CONVOLUTIONS)
LOST = "what it is coupled to cannot be followed through the model's reshapes"


def coupled_groups(model: nn.Module, input_shape: tuple[int, ...]) -> Groups:
    """Find the groups of units that can only be removed together.

    These are rows and channels, the heads of attention, and whole blocks. Protected, with a
    reason, are groups that reach the model's output, that pass through a layer which cannot be
    narrowed (LayerNorm, a bare parameter), whose weights are shared, or where cutting does not
    equal masking.

    Args:
        model: left as it is.
        input_shape: of one input, without the batch.

    Raises:
        UserError: the model does not run on such an input, does not return one tensor, cannot
            be traced, or holds NaN or infinite values.
    """
    check_finite(model)
    prunable(model)  # names a layer with hooks on its weight, which tracing would not see
    with torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():  # tracing follows the gradients
        warnings.simplefilter("ignore")  # the tracer's own doubts: what it finds is tried out below
        twin = copy.deepcopy(model).eval().requires_grad_(True)
        graph, head = trace(twin, input_shape)
        reader = _Reader(head=head, names={module: name for name, module in twin.named_modules()}, shared=_shared(twin))
        heads = head_groups(twin, reader.shared)
        known = {twin.get_submodule(m.layer) for group in heads for m in group.members if m.side == "out"}
        traced = [
            _group(items, reader) if items else _unknown(root, reader) for root, items in coupled_items(graph, known)
        ]
    order = list(reader.names.values())
    subject = _stirred(model)
    found = [*traced, *heads, *block_groups(subject, _noise(model, input_shape))]
    found.sort(key=lambda group: order.index(group.name))
    return _proven(subject, Groups(tuple(found), tuple(input_shape)))


@dataclass(frozen=True)
class _Reader:
    """What is known of a traced model: its output's autograd node, module names, shared weights."""

    head: Any
    names: dict[nn.Module, str]
    shared: set[str]


def _unknown(root: Any, reader: _Reader) -> Group:
    """The group of a layer whose couplings have no end."""
    kind: Literal["rows", "channels"] = "rows" if isinstance(root, nn.Linear) else "channels"
    return Group(reader.names[root], kind, side_size(root, "out"), (), protected=LOST)


def _group(items: Items, reader: _Reader) -> Group:
    """Read one traced group out as plain data, with a reason where it cannot be cut."""
    width = len(items[0].idxs)
    members: list[Member] = []
    reasons: list[str] = []
    blocks = 1
    for item in items:
        module, names = item.dep.target.module, reader.names
        side: Literal["in", "out"] = "in" if _reads(module, item.dep.handler) else "out"
        if item.dep.target.grad_fn is reader.head and side == "out":
            reasons.append("it gives the model's output")
        if not isinstance(module, nn.Parameter) and (module not in names or _is_plain(module)):
            continue  # an operation between layers: nothing in it to cut
        reasons += _unfit(module, names.get(module, "a bare parameter"), reader.shared)
        if not isinstance(module, (*MAKERS, *PER_CHANNEL)):
            continue
        if max(item.idxs) >= side_size(module, side):
            reasons.append(LOST)
            continue
        owner = _owner(module, side, item)
        members.append(Member(names[module], side, side == "out" and isinstance(module, MAKERS), owner))
        parts = 1 if is_depthwise(module) else getattr(module, "groups", getattr(module, "num_groups", 1))
        if parts > 1 and not np.array_equal(owner, np.arange(width)):
            reasons.append(f"'{names[module]}' splits it into blocks out of step")
        blocks = math.lcm(blocks, parts)
    order = list(reader.names.values())
    members.sort(key=lambda member: (order.index(member.layer), member.side))
    return Group(
        name=_title(members, items, reader),
        kind="channels" if _convolved(members, items, reader) else "rows",
        width=width,
        members=tuple(members),
        blocks=blocks,
        protected="; ".join(reasons[:1]),
    )


def _title(members: list[Member], items: Any, reader: _Reader) -> str:
    """The first layer that makes every unit; the traced root where it is of no kind that we cut."""
    whole = (member.layer for member in members if member.makes and member.owner.min() >= 0)
    return next(whole, reader.names[items[0].dep.target.module])


def _convolved(members: list[Member], items: Any, reader: _Reader) -> bool:
    makers = {member.layer for member in members if member.makes} | {_title(members, items, reader)}
    return any(not isinstance(module, nn.Linear) for module, name in reader.names.items() if name in makers)


def _reads(module: Any, handler: Any) -> bool:
    """Whether an item of a traced group stands on the input side of its layer."""
    return isinstance(module, MAKERS) and not is_depthwise(module) and handler.__name__ == "prune_in_channels"


def _is_plain(module: nn.Module) -> bool:
    """Whether a layer holds nothing that belongs to single units."""
    if isinstance(module, nn.PReLU):
        return module.num_parameters == 1
    return not any(True for _ in module.parameters()) and not isinstance(module, PER_CHANNEL)


def _unfit(module: Any, name: str, shared: set[str]) -> list[str]:
    """Why a layer stands in the way of cutting its group, if it does."""
    if not isinstance(module, (*MAKERS, *PER_CHANNEL)):
        return [f"it passes through '{name}' ({type(module).__name__}), which cannot be narrowed"]
    if name in shared:
        return [f"'{name}' shares its weights with another layer"]
    if isinstance(module, CONVOLUTIONS) and 1 < module.groups == module.out_channels < module.in_channels:
        return [f"'{name}' reads several channels into each of its own"]
    return []


def _owner(module: nn.Module, side: str, item: Any) -> Indices:
    """For every index of one side of a layer its unit in the group, -1 for none."""
    owner = np.full(side_size(module, side), -1, dtype=np.int64)
    owner[np.asarray(item.idxs, dtype=np.int64)] = np.asarray(item.root_idxs, dtype=np.int64)
    return owner


def _shared(model: nn.Module) -> set[str]:
    """The names of layers that hold a parameter which another layer holds too."""
    holders: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                holders.setdefault(id(parameter), []).append(name)
    return {name for names in holders.values() if len(names) > 1 for name in names}


def _stirred(model: nn.Module) -> nn.Module:
    """A copy for the trials, in which parameters of one number throughout are drawn anew.

    A fresh network often has a head of zeros or scales of 1e-6, behind which nothing could be seen to fail.
    """
    twin, draw = copy.deepcopy(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in twin.parameters():
            if parameter.numel() and parameter.min() == parameter.max():
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=draw))
    return twin


def _proven(model: nn.Module, groups: Groups) -> Groups:
    """Protect the groups where cutting half of the units differs from masking them."""
    averaging = {name for name, module in model.named_modules() if isinstance(module, nn.GroupNorm)}
    trial = {g.name: _half(g) for g in groups.groups if not g.protected and g.width > g.blocks}
    loose = {g.name for g in groups.groups if any(member.layer in averaging for member in g.members)}
    failing = _failing(model, groups, {n: half for n, half in trial.items() if n not in loose}, True)
    failing |= _failing(model, groups, {n: half for n, half in trial.items() if n in loose}, False)
    reason = "cutting it does not give the outputs of masking it"
    return dataclasses.replace(
        groups,
        groups=tuple(
            dataclasses.replace(group, protected=reason) if group.name in failing else group for group in groups.groups
        ),
    )


def _failing(model: nn.Module, groups: Groups, trial: dict[str, Indices], compare: bool) -> set[str]:
    """The groups that fail: all are tried at once, and one by one only where that fails."""
    if not trial:
        return set()
    if _agrees(model, groups, trial, compare):
        return set()
    alone = {name for name, half in trial.items() if not _agrees(model, groups, {name: half}, compare)}
    return alone or set(trial)


def _half(group: Group) -> Indices:
    """An arbitrary half of a group's units, as many in each block."""
    units = np.arange(group.width).reshape(group.blocks, -1)
    shuffled = np.random.default_rng(0).permuted(units, axis=1)
    return np.sort(shuffled[:, : (units.shape[1] + 1) // 2].ravel())


def _agrees(model: nn.Module, groups: Groups, kept: dict[str, Indices], compare: bool) -> bool:
    """Whether the cut model runs and, to ``compare``, gives the outputs of the masked one."""
    try:
        smaller = cut(model, groups, kept)
    except UserError:
        return False
    images = _noise(model, groups.input_shape)
    found, wanted = outputs(smaller, images), outputs(masked(model, groups, kept), images)
    if found.shape != wanted.shape or not compare:
        return found.shape == wanted.shape
    slack = torch.finfo(found.dtype).eps ** 0.5
    return bool((found - wanted).abs().max() <= slack * wanted.abs().max())


def _noise(model: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """Two random images, wide-spread, so that what they do to the outputs is not lost beside the biases."""
    images = zero_input(model, input_shape, batch=2)
    return (4 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))).to(images)
