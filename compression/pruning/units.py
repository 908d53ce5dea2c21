"""Which units stay: scores of rows and channels, and widths that run fast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compression.models.structure import Layer
from compression.pruning.criteria import CRITERIA, check, check_layers
from compression.pruning.depth import select_blocks
from compression.pruning.evidence import Evidence, kind_of, seen_of
from compression.pruning.looks import BY_GRADIENT
from compression.pruning.masks import plain
from compression.pruning.scores import Units
from compression.pruning.selection import asked_in_all, select
from compression.pruning.surgery import Group, Groups, Indices, Member
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError

FLOOR = 0.05
"""The fraction of its units, one at the least, that no layer loses to the others in the global scope."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Which units stay in every group that can be cut, and how that came about.

    Attributes:
        kept: by group name, the indices of the units that stay, rising.
        asked: by group name, the sparsity asked of it; None where the groups compete.
        thresholds: by group name, the score below which its units fell, before rounding.
        notes: by group name, what kept the width from being what was asked.
        overridden: the groups that have an amount of their own.
        asked_in_all: the sparsity asked of all units together; None for a threshold.
    """

    kept: dict[str, Indices]
    asked: dict[str, float | None]
    thresholds: dict[str, float]
    notes: dict[str, str]
    overridden: frozenset[str]
    asked_in_all: float | None


def unit_scores(
    model: nn.Module, group: Group, criterion: str, seed: int = 0, evidence: Evidence | None = None
) -> Tensor:
    """The scores of a group's units, one each, on the CPU.

    A unit's weights are those that make it, in all coupled layers: filters and rows, not what
    reads it. For BatchNorm scales the mean over the coupled BatchNorms is taken. What goes by
    gradients counts every parameter that goes with the unit: biases, γ and β too.

    Raises:
        UserError: ``batchnorm`` where there is none, or no evidence that the criterion needs.
    """
    by_gradient = kind_of(criterion) in BY_GRADIENT
    weights, scales, seen = [], [], []
    for member in group.members:
        layer = model.get_submodule(member.layer)
        index = in_unit_order(member, group.width)
        if index is None:
            continue
        if isinstance(layer, _BatchNorm) and layer.affine:
            scales.append(_by_unit(layer.weight, index, group.width).T)
        for name, parameter in layer.named_parameters(recurse=False):
            if by_gradient or (name == "weight" and isinstance(layer, Layer)):
                weights.append(_by_unit(parameter, index, group.width))
                shown = seen_of(evidence, criterion, f"{member.layer}.{name}", parameter)
                seen += [] if shown is None else [_by_unit(shown, index, group.width)]
    units = Units(
        weights_UN=torch.cat(weights, 1),
        scales_BU=torch.cat(scales) if scales else None,
        name=group.name,
        seed=seed,
        seen_UN=torch.cat(seen, 1) if seen else None,
    )
    scores: Tensor = CRITERIA[criterion].call(units)
    return scores


def _by_unit(parameter: Tensor, index: Tensor, width: int) -> Tensor:
    """What a parameter holds of each unit, U×N, given the order that puts its rows unit by unit."""
    return plain(parameter).index_select(0, index).reshape(width, -1)


def in_unit_order(member: Member, width: int) -> Tensor | None:
    """The indices of a member's side sorted by unit; None where units have unequal shares in it."""
    if member.side == "in":
        return None
    shares = np.bincount(member.owner[member.owner >= 0], minlength=width)
    if shares.min() == 0 or shares.min() != shares.max():
        return None
    order = np.argsort(member.owner, kind="stable")
    return torch.from_numpy(order[np.count_nonzero(member.owner < 0) :])


def all_unit_scores(
    model: nn.Module, groups: Groups, stage: Prune, seed: int = 0, evidence: Evidence | None = None
) -> dict[str, Tensor]:
    """The scores of the units of every group that can be cut, by group name.

    Raises:
        UserError: a criterion that does not fit or lacks its evidence, or no such units in the model.
    """
    check(stage)
    candidates = _candidates(groups, stage.granularity)
    return {name: unit_scores(model, group, stage.criterion, seed, evidence) for name, group in candidates.items()}


def choose(model: nn.Module, groups: Groups, stage: Prune, seed: int = 0, evidence: Evidence | None = None) -> Choice:
    """Choose the units that stay.

    A coupled unit counts once. Widths are rounded to the nearest of ``widths``, so that what
    is achieved may differ from what was asked; at least one unit always stays. In the global
    scope every group keeps at least ``FLOOR`` of its units.

    Raises:
        UserError: settings that contradict each other, no evidence that the criterion needs, no
            such units in the model, an unknown layer in ``overrides``, or a threshold that would
            remove a whole layer.
    """
    candidates = _candidates(groups, stage.granularity)
    amounts = _amounts(stage, candidates)
    check(stage)
    scores = {
        name: torch.ones(group.width)
        if amounts.get(name) == 0  # kept whole: it needs no scores, and may lack a BatchNorm
        else unit_scores(model, group, stage.criterion, seed, evidence)
        for name, group in candidates.items()
    }
    blocks = stage.granularity == "blocks"
    competing = stage.scope == "global" and stage.threshold is None and not blocks
    floors = {n: _floor(g) if competing and n not in amounts else 0 for n, g in candidates.items()}
    guarded = {name: _guard(values, floors[name]) for name, values in scores.items()}
    if blocks:
        selection = select_blocks(scores, stage, amounts)
    else:
        selection = select(guarded, stage, amounts, _within_floors(candidates, amounts, floors, stage.sparsity))
    kept, notes = {}, {}
    for name, group in candidates.items():
        wanted = int(selection.keep[name].sum())
        possible = _possible(group, stage.round_to)
        width = min(possible, key=lambda w: (abs(w - wanted), -w))
        kept[name] = _highest(scores[name], width, group.blocks)
        notes[name] = _note(wanted, width, floors[name], group)
    alone = stage.sparsity if stage.scope == "layer" and not blocks else None
    return Choice(
        kept=kept,
        asked={name: amounts.get(name, alone) for name in candidates},
        thresholds=selection.thresholds,
        notes=notes,
        overridden=frozenset(amounts),
        asked_in_all=asked_in_all({n: g.width for n, g in candidates.items()}, amounts, stage.sparsity),
    )


def widths(width: int, round_to: int, blocks: int = 1) -> tuple[int, ...]:
    """The widths that a layer may be cut to, rising; its own is the last.

    They are the multiples of a step, since odd widths are slow. The step is ``round_to``, or
    where the layer holds fewer than four of them, the half, quarter, … of it that fits four
    times. Below one step its halves are allowed too, so that no high sparsity is out of reach:
    a width of 64 goes to 8, 16, …, 64 and to 4, 2, 1 with ``round_to=8``; a width of 20 to
    multiples of 4.

    Args:
        width: the present one.
        round_to: the step of wide layers; 1 allows every width.
        blocks: of a grouped layer, which must stay equal: each is rounded by itself.
    """
    size, step = width // blocks, max(1, round_to // blocks)
    while step > 1 and size < 4 * step:
        step //= 2
    below = {step >> halvings for halvings in range(1, step.bit_length())}
    return tuple(blocks * w for w in sorted({*below, *range(step, size, step), size}))


def _possible(group: Group, round_to: int) -> tuple[int, ...]:
    """The widths of a group: heads are wide enough to run fast in any number, and a block may go."""
    if group.kind == "blocks":
        return (0, 1)
    return widths(group.width, 1 if group.kind == "heads" else round_to, group.blocks)


def _candidates(groups: Groups, granularity: str) -> dict[str, Group]:
    candidates = groups.cuttable(granularity)
    if not candidates:
        why = {group.protected for group in groups.groups if group.kind == granularity}
        reason = f" ({'; '.join(sorted(why))})" if why else ""
        others = [kind for kind in STRUCTURED if groups.cuttable(kind)]
        hint = f"; it has {', '.join(others)}" if others else ""
        raise UserError(f"The model has no {granularity} that can be cut{reason}{hint}")
    return candidates


def _amounts(stage: Prune, candidates: Mapping[str, Group]) -> dict[str, float]:
    """The overrides by group; each may name any layer that makes the group's units."""
    owner = {layer: name for name, group in candidates.items() for layer in (name, *group.layers)}
    check_layers(stage.overrides, tuple(owner))
    amounts: dict[str, float] = {}
    for layer, amount in stage.overrides.items():
        if amounts.setdefault(owner[layer], amount) != amount:
            raise UserError(
                f"overrides gives layer '{layer}' {amount:g} and a layer coupled to it "
                f"{amounts[owner[layer]]:g}; they lose the same units, so give one amount"
            )
    return amounts


def _floor(group: Group) -> int:
    return max(1, math.ceil(FLOOR * group.width))


def _guard(scores: Tensor, floor: int) -> Tensor:
    """The scores with the highest ``floor`` of them at infinity, out of reach."""
    if floor == 0:
        return scores
    return scores.index_fill(0, torch.from_numpy(_highest(scores, floor)), torch.inf)


def _within_floors(
    candidates: Mapping[str, Group],
    amounts: Mapping[str, float],
    floors: Mapping[str, int],
    sparsity: float | None,
) -> float | None:
    """The sparsity that leaves the floors standing: the one asked, or the highest there is."""
    free = [name for name in candidates if name not in amounts]
    total = sum(candidates[name].width for name in free)
    if sparsity is None or total == 0:
        return sparsity
    return min(sparsity, 1 - sum(floors[name] for name in free) / total)


def _highest(scores: Tensor, count: int, blocks: int = 1) -> Indices:
    """The indices of the highest scores, as many in each block, rising; of equal ones the later."""
    size, each = scores.numel() // blocks, count // blocks
    order = np.argsort(scores.numpy().reshape(blocks, size), axis=1, kind="stable")[:, size - each :]
    return np.sort((order + size * np.arange(blocks)[:, None]).ravel()).astype(np.int64)


def _note(wanted: int, width: int, floor: int, group: Group) -> str:
    if 1 < group.width == group.blocks:
        return "each block of this grouped layer has a single unit"
    if floor and wanted == floor:
        return f"held at the floor of {floor} of {group.width} units"
    if width != wanted:
        return f"{wanted} of {group.width} rounded to {width}"
    return ""
