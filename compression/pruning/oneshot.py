"""One-shot pruning: a stage in, a pruned copy and what was asked against achieved out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compression.models.structure import Layer
from compression.pruning.coupling import coupled_groups
from compression.pruning.criteria import ABSOLUTE
from compression.pruning.evidence import Evidence
from compression.pruning.masks import (
    check_finite,
    expand,
    masked_copy,
    plain,
    prunable,
    select_weights,
    weight_scores,
)
from compression.pruning.selection import Selection, asked_in_all, just_above
from compression.pruning.surgery import Group, Groups, Indices, Sides, cut, staying
from compression.pruning.units import Choice, all_unit_scores, choose
from compression.recipe import STRUCTURED, Prune, fixed_sparsity
from compression.registry import UserError
from compression.results import LayerReport


@dataclass(frozen=True, eq=False)
class Pruned:
    """A pruned model and what was done to it.

    Attributes:
        model: a new module; the one that was given is untouched.
        masks: by parameter name (``conv1.weight``) what fine-tuning has to hold at zero; empty
            for structured granularities, whose units are gone.
        kept: by layer, True for each unit that stays; structured granularities only.
        layers: asked against achieved for every layer that counts.
        asked: the fraction asked of all units together; None for a threshold.
        achieved: the fraction of all units removed: weights, kernels, or coupled rows or
            channels, each of which counts once.
        threshold: the score below which everything fell, where there is one for all.
    """

    model: nn.Module
    masks: dict[str, Tensor]
    layers: tuple[LayerReport, ...]
    asked: float | None
    achieved: float
    threshold: float | None = None
    kept: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


def prune(
    model: nn.Module,
    stage: Prune,
    input_shape: tuple[int, ...],
    seed: int = 0,
    groups: Groups | None = None,
    evidence: Evidence | None = None,
) -> Pruned:
    """Prune a copy of a model as one stage of a recipe says.

    Args:
        model: in any mode, frozen or not; the copy is in the same state.
        stage: what to remove, by what criterion, and how much.
        input_shape: of one input, without the batch; rows and channels alone need it.
        seed: of the random criterion.
        groups: ``coupled_groups`` of this model, where they are at hand; found anew if not.
        evidence: ``observe`` of this model, for the criteria that look at data.

    Raises:
        UserError: settings that contradict each other or do not fit the model, no evidence that
            the criterion needs, an unknown layer, NaN or infinite weights, a layer pruned to
            nothing, or nothing pruned.
    """
    check_finite(model)
    if stage.granularity in STRUCTURED:
        groups = groups or coupled_groups(model, input_shape)
        choice = choose(model, groups, stage, seed, evidence)
        if not _cut_by(choice, groups, stage):
            raise UserError(_nothing(stage))
        return cut_out(model, stage, groups, choice)
    pruned = zeroed(model, stage, select_weights(model, stage, seed, evidence))
    after = prunable(pruned.model)
    if all(torch.equal(layer.weight, after[name].weight) for name, layer in prunable(model).items()):
        raise UserError(_nothing(stage))
    return pruned


def scores_of(
    model: nn.Module,
    stage: Prune,
    input_shape: tuple[int, ...],
    seed: int = 0,
    groups: Groups | None = None,
    evidence: Evidence | None = None,
) -> dict[str, Tensor]:
    """What a stage compares: scores by layer (by group for rows and channels), flat, on the CPU.

    Raises:
        UserError: as ``prune`` does for settings that do not fit.
    """
    if stage.granularity in STRUCTURED:
        return all_unit_scores(model, groups or coupled_groups(model, input_shape), stage, seed, evidence)
    return weight_scores(model, stage, seed, evidence)


def zeroed(model: nn.Module, stage: Prune, selection: Selection) -> Pruned:
    """A copy of the model in which the weights that a selection drops are zero."""
    layers, masks = prunable(model, stage.granularity), expand(model, selection)
    reports = tuple(_weight_report(name, layers[name], selection, stage) for name in masks)
    sparsity = stage.sparsity or fixed_sparsity(stage.granularity)
    return Pruned(
        model=masked_copy(model, masks),
        masks={f"{name}.weight": mask for name, mask in masks.items() if not mask.numpy().all()},
        layers=reports,
        asked=asked_in_all({report.layer: report.width for report in reports}, stage.overrides, sparsity),
        achieved=_achieved([(report.kept, report.width) for report in reports]),
        threshold=_common(selection.thresholds, set(stage.overrides), stage),
    )


def _weight_report(name: str, layer: Layer, selection: Selection, stage: Prune) -> LayerReport:
    keep = selection.keep[name]
    kept, width = int(np.count_nonzero(keep.numpy())), keep.numel()
    alone = stage.sparsity if stage.scope == "layer" else None
    threshold = selection.thresholds.get(name) if stage.criterion in ABSOLUTE else None
    if stage.criterion == "lamp" and stage.granularity == "weights" and kept < width:
        # LAMP orders a layer's weights by |w|: say where it cut in the terms of the weights.
        fallen = np.compress(~keep.numpy(), plain(layer.weight).numpy().ravel())
        threshold = just_above(np.abs(fallen).max())
    return LayerReport(
        layer=name,
        shape=tuple(layer.weight.shape),
        asked=stage.overrides.get(name, fixed_sparsity(stage.granularity) or alone),
        achieved=_achieved([(kept, width)]),
        kept=kept,
        width=width,
        threshold=threshold,
        note="" if kept else f"none of its {stage.granularity} is left",
    )


def cut_out(model: nn.Module, stage: Prune, groups: Groups, choice: Choice) -> Pruned:
    """A copy of the model that holds the chosen units alone. Raises UserError where that does not run."""
    candidates = groups.cuttable(stage.granularity)
    sides = staying(groups, choice.kept)
    parts = {part: g for g in groups.groups if g.kind == stage.granularity for part in _parts(g)}
    stays = {name: _stays(name, group, sides, choice) for name, group in parts.items() if group.name in candidates}
    return Pruned(
        model=cut(model, groups, _cut_by(choice, groups, stage)),
        masks={},
        layers=tuple(
            _unit_report(name, module, parts[name], stays.get(name), choice, stage)
            for name, module in model.named_modules()
            if name in parts
        ),
        asked=choice.asked_in_all,
        achieved=_achieved([(len(units), candidates[name].width) for name, units in choice.kept.items()]),
        threshold=_common(choice.thresholds, choice.overridden, stage),
        kept=stays,
    )


def _cut_by(choice: Choice, groups: Groups, stage: Prune) -> dict[str, Indices]:
    """What stays of every group that loses something."""
    candidates = groups.cuttable(stage.granularity)
    return {name: units for name, units in choice.kept.items() if len(units) < candidates[name].width}


def _parts(group: Group) -> tuple[str, ...]:
    """What is reported by itself: every layer that makes units, but a block as one."""
    return (group.name,) if group.kind == "blocks" else group.layers


def _stays(name: str, group: Group, sides: dict[str, Sides], choice: Choice) -> NDArray[np.bool_]:
    """True for each unit that stays: each output of a layer, each head of attention, the block."""
    if group.kind in ("rows", "channels"):
        return sides[name]["out"]
    return np.isin(np.arange(group.width), choice.kept[group.name])


def _unit_report(
    name: str, module: nn.Module, group: Group, stays: NDArray[np.bool_] | None, choice: Choice, stage: Prune
) -> LayerReport:
    weights = [layer.weight for layer in module.modules() if isinstance(layer, Layer)]
    shape = tuple(module.weight.shape) if isinstance(module, Layer) else (sum(w.numel() for w in weights),)
    width = group.width if group.kind in ("heads", "blocks") else shape[0]
    kept = width if stays is None else int(np.count_nonzero(stays))
    return LayerReport(
        layer=name,
        shape=shape,
        asked=choice.asked.get(group.name),
        achieved=_achieved([(kept, width)]),
        kept=kept,
        width=width,
        threshold=choice.thresholds.get(group.name) if stage.criterion in ABSOLUTE else None,
        note=choice.notes.get(group.name, f"kept whole: {group.protected}"),
    )


def _achieved(kept_of: Sequence[tuple[int, int]]) -> float:
    """The fraction removed, given kept and all of each part."""
    total = sum(width for _, width in kept_of)
    return (total - sum(kept for kept, _ in kept_of)) / total


def _common(thresholds: Mapping[str, float], overridden: Collection[str], stage: Prune) -> float | None:
    """The one threshold under which all layers without an amount of their own were cut."""
    if stage.criterion not in ABSOLUTE or (stage.scope == "layer" and stage.threshold is None):
        return None
    return next((value for name, value in thresholds.items() if name not in overridden), None)


def _nothing(stage: Prune) -> str:
    if fixed_sparsity(stage.granularity) is not None:
        return f"Nothing pruned: every layer fits the pattern {stage.granularity} already"
    amount = f"sparsity {stage.sparsity:g}" if stage.sparsity else f"threshold {stage.threshold:g}"
    if stage.granularity in ("heads", "blocks"):
        return f"Nothing pruned: {amount} takes none of the {stage.granularity}; raise it"
    if stage.granularity in STRUCTURED:
        return (
            f"Nothing pruned: {amount} with round_to={stage.round_to} leaves every width of the "
            f"{stage.granularity} as it is; raise it or lower round_to"
        )
    return (
        f"Nothing pruned: {amount} reaches no {stage.granularity} but those that are zero already or kept "
        "by overrides; raise it"
    )
