"""A plan of one recipe with its controls: pruned at random, and a small dense model trained from scratch."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from compression.distillation.students import student_blueprint
from compression.models.files import Blueprint
from compression.pruning import prunable
from compression.pruning.gradual import prune_at
from compression.pruning.lottery import after_round
from compression.recipe import Cut, Distill, Fit, Frozen, Gradual, Lottery, Prune, Recipe, Stage
from compression.registry import UserError
from compression.results import SplitName
from compression.stages import student_of
from compression.studies.plan import Point
from compression.subject import Subject, load_subject, prune_subject

RUNS = {
    "pipeline": "this pipeline",
    "random": "pruned at random",
    "scratch": "small dense model from scratch",
}
"""What the points of a lineage are called."""
LEAST = 1e-4
"""The smallest width that is tried."""


class Lineage(Frozen):
    """One recipe, run for some seeds, each beside its controls.

    ``random`` has the same stages with blind criteria. ``scratch`` is a dense model of the same
    architecture, so narrow that it has as many parameters as the pipeline leaves weights other
    than zero, trained anew for as many epochs as the whole pipeline.
    """

    kind: Literal["pipeline"] = "pipeline"
    recipe: Recipe
    random: Recipe | None = None
    scratch: Recipe | None = None
    seeds: int = Field(default=1, ge=1, le=20)
    split: SplitName = "test"
    limit: int | None = Field(default=None, ge=1)
    latency: bool = True
    missing: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The recipe's model."""
        return self.recipe.model

    @property
    def data(self) -> str | None:
        """The recipe's data set."""
        return self.recipe.data

    def points(self) -> tuple[Point, ...]:
        """The recipe and its controls, seed by seed."""
        found: list[Point] = []
        for run, recipe in (("pipeline", self.recipe), ("random", self.random), ("scratch", self.scratch)):
            for seed in range(self.seeds if recipe else 0):
                own = recipe.model_copy(update={"seed": recipe.seed + seed})  # type: ignore[union-attr]
                found.append(Point(len(found), f"{RUNS[run]}, seed {own.seed}", own, {"run": run, "seed": own.seed}))
        return tuple(found)

    def left_out(self) -> tuple[str, ...]:
        """Why a control is missing, a line each."""
        return self.missing


def lineage(recipe: Recipe, controls: bool = True, **fields: Any) -> Lineage:
    """The plan of a recipe, with the controls that fit it.

    Raises:
        UserError: names, amounts or stages that do not fit.
    """
    if not recipe.stages:
        raise UserError("The pipeline has no stages; add one, or choose a preset")
    if not controls:
        return Lineage(recipe=recipe, **fields)
    scratch: Recipe | None = None
    missing: tuple[str, ...] = ()
    try:
        scratch = from_scratch(recipe)
    except Rigid as fault:
        missing = (f"no dense control: {fault}",)
    return Lineage(recipe=recipe, random=blind(recipe), scratch=scratch, missing=missing, **fields)


def blind(recipe: Recipe) -> Recipe | None:
    """The recipe with random criteria and shuffled tickets; None where nothing in it prunes by an amount."""
    stages = tuple(_blind(stage) for stage in recipe.stages)
    return None if stages == recipe.stages else recipe.model_copy(update={"stages": stages})


def _blind(stage: Stage) -> Stage:
    if isinstance(stage, Lottery):
        return stage.model_copy(update={"ticket": "shuffled"})
    if isinstance(stage, Cut) and getattr(stage, "threshold", None) is None:
        return stage.model_copy(update={"criterion": "random"})
    return stage


class Rigid(UserError):
    """No narrower twin of an architecture can be made."""


def from_scratch(recipe: Recipe) -> Recipe | None:
    """A dense model of the size that the recipe leaves, trained anew for as many epochs; None where nothing is trained.

    Where the recipe ends in int8, so does this.

    Raises:
        UserError: names, amounts or stages of the recipe that do not fit.
        Rigid: no narrower twin of the architecture can be made.
    """
    subject = load_subject(recipe.model, recipe.data)
    if not recipe.epochs:
        return None
    left = weights_left(recipe, subject)
    augment = next(stage.augment for stage in recipe.stages if isinstance(stage, Fit))
    try:
        width = width_for(subject.blueprint, left)
        stage = Distill(student="narrower", width=width, alpha=0.0, epochs=min(1000, recipe.epochs), augment=augment)
        student_of(stage, subject, subject, recipe.seed)
    except UserError as fault:
        raise Rigid(str(fault)) from None
    return recipe.model_copy(update={"stages": (stage, *recipe.rounding)})


def weights_left(recipe: Recipe, subject: Subject) -> int:
    """How many parameters other than zero a recipe leaves: its prunings and students alone, nothing trained."""
    original = subject
    for stage in recipe.stages:
        pruning = _pruning(stage, original)
        if isinstance(stage, Distill):
            subject = student_of(stage, subject, original, recipe.seed)
        elif pruning is not None:
            start = original if isinstance(stage, Lottery) else subject
            subject = Subject(
                start.name, prune_subject(start, pruning, recipe.seed).model, start.blueprint, start.dataset
            )
    zeros = sum(int((layer.weight == 0).sum()) for layer in prunable(subject.model).values())
    return sum(p.numel() for p in subject.model.parameters()) - zeros


def _pruning(stage: Stage, original: Subject) -> Prune | None:
    """What a stage prunes in all, as one shot."""
    if isinstance(stage, Gradual):
        return None if stage.schedule == "dense_sparse_dense" else prune_at(stage, stage.sparsity or 0.0)
    if isinstance(stage, Lottery):
        return after_round(original.model, stage, stage.rounds)
    return stage if isinstance(stage, Prune) else None


def width_for(blueprint: Blueprint, params: int) -> float:
    """The width of the narrower twin whose number of parameters comes nearest to ``params``.

    Raises:
        UserError: an architecture that cannot be made narrower.
    """
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _params(blueprint, middle) < params else (low, middle)
    nearest: float = min((low, high), key=lambda width: abs(_params(blueprint, width) - params))
    return max(LEAST, round(nearest, 4))


def _params(blueprint: Blueprint, width: float) -> int:
    stage = Distill(student="narrower", width=max(width, LEAST))
    with torch.device("meta"):
        module: nn.Module = student_blueprint(stage, blueprint).build()
    return sum(p.numel() for p in module.parameters())
