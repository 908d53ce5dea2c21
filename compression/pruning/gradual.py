"""Pruning while a network trains: masks that are renewed as a schedule says, and what is cut in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.pruning.evidence import observe
from compression.pruning.masks import expand, prunable, select_weights
from compression.pruning.oneshot import Pruned, cut_out, zeroed
from compression.pruning.schedules import renewals
from compression.pruning.selection import Selection
from compression.pruning.surgery import Groups, unit_masks
from compression.pruning.units import Choice, choose
from compression.recipe import STRUCTURED, Gradual, Prune
from compression.registry import UserError

Masks = Mapping[str, Tensor]
EARLY = 1e-9
"""Rounding of a step's progress that must not put a renewal off by a step."""


@dataclass(eq=False)
class Rising:
    """The masks of a gradual stage over a model in training, to be given to ``fit`` as its ``masking``.

    Attributes:
        model: the one that trains; it keeps its full size until ``pruned``.
        stage: what to prune and when.
        groups: the coupled groups of the model.
        dataset: whose training images a criterion may look at.
        seed: of the random criterion.
        held: masks of earlier stages, which hold on.
        sparsity: the one last asked.
        decision: what the last renewal chose; None while everything is kept.
    """

    model: nn.Module
    stage: Gradual
    groups: Groups
    dataset: Dataset
    seed: int = 0
    held: Masks = field(default_factory=dict)
    sparsity: float = 0.0
    decision: Selection | Choice | None = None

    def __post_init__(self) -> None:
        """Raise UserError where masks cannot stand for the cut that comes in the end."""
        check_gradual(self.model, self.groups, self.stage)
        self._pending = list(renewals(self.stage))

    def __call__(self, progress: float) -> Masks | None:
        """New masks where a renewal is due at this fraction of the training, else None."""
        due = [sparsity for moment, sparsity in self._pending if moment <= progress + EARLY]
        if not due:
            return None
        self._pending = self._pending[len(due) :]
        self.sparsity = due[-1]
        return _joined(self.held, self._chosen(prune_at(self.stage, self.sparsity)))

    def _chosen(self, stage: Prune | None) -> Masks:
        if stage is None:
            self.decision = None
            return {f"{name}.weight": torch.ones(1, dtype=torch.bool) for name in prunable(self.model)}
        evidence = observe(self.model, self.dataset, stage.criterion, stage.images, self.seed)
        if stage.granularity in STRUCTURED:
            self.decision = choose(self.model, self.groups, stage, self.seed, evidence)
            return unit_masks(self.model, self.groups, self.decision.kept)
        self.decision = select_weights(self.model, stage, self.seed, evidence)
        return {f"{name}.weight": mask for name, mask in expand(self.model, self.decision).items()}

    def pruned(self) -> Pruned | None:
        """What the whole training pruned, units really cut out; None where everything is back."""
        stage = prune_at(self.stage, self.sparsity)
        if stage is None or self.decision is None:
            return None
        if isinstance(self.decision, Choice):
            return cut_out(self.model, stage, self.groups, self.decision)
        return zeroed(self.model, stage, self.decision)


def prune_at(stage: Gradual, sparsity: float) -> Prune | None:
    """One renewal as a stage of its own, single layers in proportion; None where nothing is pruned."""
    if sparsity <= 0:
        return None
    fields = stage.model_dump(include=set(Prune.model_fields) - {"kind"})
    share = sparsity / (stage.sparsity or sparsity)
    overrides = {layer: amount * share for layer, amount in stage.overrides.items()}
    return Prune(**fields | {"sparsity": sparsity, "overrides": overrides})


def check_gradual(model: nn.Module, groups: Groups, stage: Gradual) -> None:
    """Raise UserError where zeros held in training would not give what the cut in the end gives."""
    averaging = {name for name, module in model.named_modules() if isinstance(module, nn.GroupNorm)}
    for group in groups.cuttable(stage.granularity).values():
        for member in group.members:
            if member.layer in averaging:
                raise UserError(
                    f"'{member.layer}' averages over several {stage.granularity} (GroupNorm), where zeros count, so "
                    "they cannot go gradually; use prune and train stages in turn"
                )


def _joined(held: Masks, fresh: Masks) -> Masks:
    """The masks of both; where both know a parameter it stays only if both keep it."""
    return {**held, **{name: mask & held[name] if name in held else mask for name, mask in fresh.items()}}
