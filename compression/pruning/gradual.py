"""Pruning while a network trains: masks that are renewed as a schedule says, and what is cut in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.pruning.evidence import observe
from compression.pruning.masks import expand, select_weights
from compression.pruning.oneshot import Pruned, cut_out, zeroed
from compression.pruning.schedules import renewals
from compression.pruning.selection import Selection
from compression.pruning.surgery import Groups, unit_masks
from compression.pruning.units import Choice, choose
from compression.recipe import STRUCTURED, Gradual, Prune
from compression.registry import UserError
from compression.training.device import at_rest

Masks = Mapping[str, Tensor]
EARLY = 1e-9
"""Rounding of a step's progress that must not put a renewal off by a step."""


@dataclass(eq=False)
class Rising:
    """The masks of a gradual stage over a model in training, to be given to ``fit`` as its ``masking``.

    Where a schedule ends at no sparsity, single weights come back as zeros, from which training
    moves them. A whole unit, zero on both of its sides, would have no gradient to come back by: its
    weights are put back as they were when it was dropped.

    Attributes:
        model: the one that trains; it keeps its full size until ``pruned``.
        stage: what to prune and when.
        groups: the coupled groups of the model.
        dataset: whose training images a criterion may look at.
        seed: of the random criterion.
        held: masks of earlier stages, which hold on.
        sparsity: the fraction of weights or units that is dropped now.
        decision: what the last renewal chose, and what was held before it; None while nothing is dropped.
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
        """Choose once at the highest sparsity, before anything is trained.

        Raises:
            UserError: that fails, drops nothing that is there, or no renewal prunes at all; or masks
                cannot stand for the cut that comes in the end.
        """
        check_gradual(self.model, self.groups, self.stage)
        self._dropped_weights: dict[str, Tensor] = {}
        self._pending = list(renewals(self.stage))
        highest = max(sparsity for _, sparsity in self._pending)
        stage = prune_at(self.stage, highest)
        if stage is None:
            raise UserError(
                f"schedule '{self.stage.schedule}' prunes in none of {self.stage.rounds} rounds; give more rounds"
            )
        now = dict(self.model.named_parameters())
        if not any(bool((now[name] * ~mask).any()) for name, mask in self._chosen(stage).items()):
            raise UserError(
                f"Nothing to prune: sparsity {highest:g} reaches no {stage.granularity} but those that are gone "
                "already, or kept by overrides; raise it"
            )
        self.decision = None

    def __call__(self, progress: float) -> Masks | None:
        """New masks where a renewal is due at this fraction of the training, else None."""
        due = [sparsity for moment, sparsity in self._pending if moment <= progress + EARLY]
        if not due:
            return None
        self._pending = self._pending[len(due) :]
        stage = prune_at(self.stage, due[-1])
        if stage is None:
            self._put_back()
            self.decision, self.sparsity = None, 0.0
            return {**{name: torch.ones(1, dtype=torch.bool) for name, _ in self.model.named_parameters()}, **self.held}
        masks = self._chosen(stage)
        self.sparsity = self._dropped()
        if stage.granularity in STRUCTURED:
            self._remember(masks)
        return masks

    def _remember(self, masks: Masks) -> None:
        """Keep the weights of units that are dropped now and were not before."""
        for name, mask in masks.items():
            weight = self.model.get_parameter(name).detach()
            if name in self.held:
                mask = mask | ~self.held[name]  # what an earlier stage dropped does not come back
            mask = mask.to(weight.device)
            before = self._dropped_weights.get(name, torch.zeros_like(weight))
            self._dropped_weights[name] = torch.where(~mask & (weight != 0), weight, before)

    @torch.no_grad()
    def _put_back(self) -> None:
        """Give the units that are zero the weights that they had."""
        for name, before in self._dropped_weights.items():
            weight = self.model.get_parameter(name)
            weight.copy_(torch.where(weight == 0, before, weight))
        self._dropped_weights = {}

    def _chosen(self, stage: Prune) -> Masks:
        """The masks at one sparsity, those that are held included; the decision is noted."""
        model = at_rest(self.model)
        evidence = observe(model, self.dataset, stage.criterion, stage.images, self.seed)
        if stage.granularity in STRUCTURED:
            self.decision = choose(model, self.groups, stage, self.seed, evidence)
            return _joined(self.held, unit_masks(model, self.groups, self.decision.kept))
        found = select_weights(model, stage, self.seed, evidence)
        masks = _joined(self.held, {f"{name}.weight": mask for name, mask in expand(model, found).items()})
        if stage.granularity == "weights":
            keep = {name: masks[f"{name}.weight"].flatten() for name in found.keep}
            found = Selection(keep, found.thresholds)
        self.decision = found
        return masks

    def _dropped(self) -> float:
        """The fraction of weights or units that the decision drops."""
        if isinstance(self.decision, Choice):
            groups = self.groups.cuttable(self.stage.granularity)
            left = sum(len(self.decision.kept.get(name, range(group.width))) for name, group in groups.items())
            return 1 - left / sum(group.width for group in groups.values())
        masks = list(self.decision.keep.values()) if self.decision else []
        return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)

    def pruned(self) -> Pruned | None:
        """What the whole training pruned, units really cut out; None where everything is back."""
        stage = prune_at(self.stage, self.stage.sparsity or 0.0)
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
