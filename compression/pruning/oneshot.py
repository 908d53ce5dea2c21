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
from compression.pruning.surgery import Group, Groups, Sides, cut, staying
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
            for rows and channels, which are gone.
        kept: by layer, True for each unit that stays; rows and channels only.
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
) -> Pruned:
    """Prune a copy of a model as one stage of a recipe says.

    Args:
        model: in any mode, frozen or not; the copy is in the same state.
        stage: what to remove, by what criterion, and how much.
        input_shape: of one input, without the batch; rows and channels alone need it.
        seed: of the random criterion.
        groups: ``coupled_groups`` of this model, where they are at hand; found anew if not.

    Raises:
        UserError: settings that contradict each other or do not fit the model, an unknown
            layer, NaN or infinite weights, a layer pruned to nothing, or nothing pruned.
    """
    check_finite(model)
    if stage.granularity in STRUCTURED:
        return _prune_units(model, stage, groups or coupled_groups(model, input_shape), seed)
    return _prune_weights(model, stage, seed)


def scores_of(
    model: nn.Module, stage: Prune, input_shape: tuple[int, ...], seed: int = 0, groups: Groups | None = None
) -> dict[str, Tensor]:
    """What a stage compares: scores by layer (by group for rows and channels), flat, on the CPU.

    Raises:
        UserError: as ``prune`` does for settings that do not fit.
    """
    if stage.granularity in STRUCTURED:
        return all_unit_scores(model, groups or coupled_groups(model, input_shape), stage, seed)
    return weight_scores(model, stage, seed)


def _prune_weights(model: nn.Module, stage: Prune, seed: int) -> Pruned:
    selection = select_weights(model, stage, seed)
    layers, masks = prunable(model, stage.granularity), expand(model, selection)
    smaller = masked_copy(model, masks)
    after = dict(smaller.named_parameters())
    if all(torch.equal(layers[name].weight, after[f"{name}.weight"]) for name in masks):
        raise UserError(_nothing(stage))
    reports = tuple(_weight_report(name, layers[name], selection, stage) for name in masks)
    sparsity = stage.sparsity or fixed_sparsity(stage.granularity)
    return Pruned(
        model=smaller,
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


def _prune_units(model: nn.Module, stage: Prune, groups: Groups, seed: int) -> Pruned:
    choice = choose(model, groups, stage, seed)
    candidates = groups.cuttable(stage.granularity)
    kept = {name: units for name, units in choice.kept.items() if len(units) < candidates[name].width}
    if not kept:
        raise UserError(_nothing(stage))
    sides = staying(groups, choice.kept)
    makers = {layer: g for g in groups.groups if g.kind == stage.granularity for layer in g.layers}
    return Pruned(
        model=cut(model, groups, kept),
        masks={},
        layers=tuple(
            _unit_report(name, layer, makers[name], sides, choice, stage)
            for name, layer in prunable(model).items()
            if name in makers
        ),
        asked=choice.asked_in_all,
        achieved=_achieved([(len(units), candidates[name].width) for name, units in choice.kept.items()]),
        threshold=_common(choice.thresholds, choice.overridden, stage),
        kept={name: sides[name]["out"] for name in makers if "out" in sides.get(name, {})},
    )


def _unit_report(
    name: str, layer: Layer, group: Group, sides: dict[str, Sides], choice: Choice, stage: Prune
) -> LayerReport:
    stays = sides.get(name, {}).get("out", np.ones(layer.weight.shape[0], dtype=bool))
    kept, width = int(np.count_nonzero(stays)), len(stays)
    return LayerReport(
        layer=name,
        shape=tuple(layer.weight.shape),
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
    if stage.granularity in STRUCTURED:
        return (
            f"Nothing pruned: {amount} with round_to={stage.round_to} leaves every width of the "
            f"{stage.granularity} as it is; raise it or lower round_to"
        )
    return (
        f"Nothing pruned: {amount} reaches no {stage.granularity} but those that are zero already or kept "
        "by overrides; raise it"
    )
