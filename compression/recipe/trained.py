"""The stages that train: fine-tuning, distilling, and pruning while training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from compression.recipe.stages import (
    Augment,
    Cut,
    Distillation,
    Frozen,
    Penalty,
    Ramp,
    Schedule,
    Scope,
    Ticket,
    fixed_sparsity,
)


class Fit(Frozen):
    """How a network is trained; what ``Train`` and ``Distill`` share."""

    kind: str
    epochs: int = Field(default=1, ge=1, le=1000)
    lr: float = Field(default=0.01, gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, le=1)
    batch_size: int = Field(default=128, ge=1, le=65536)
    augment: Augment = "none"

    def settings(self) -> dict[str, Any]:
        """What every stage that trains says of its training, by the names that training takes."""
        return self.model_dump(include=set(Fit.model_fields) - {"kind"})


class Train(Fit):
    """Train (fine-tune) for a number of epochs; pruned weights stay zero."""

    kind: Literal["train"] = "train"


class Distill(Fit):
    """Train a student on what a teacher answers.

    The loss is ``(1 - alpha)`` · cross-entropy with the labels + ``alpha`` · the method's term
    with the teacher; ``alpha`` 0 is the same training without a teacher.

    ``student`` is ``same`` (the present model: after an earlier stage it goes on from its weights,
    else it starts anew), ``narrower`` (every width of the architecture, as it was before any
    pruning, times ``width``), ``shallower`` (its depth times ``depth``), ``mlp`` (fully connected,
    with ``hidden`` units a layer), or the name of another model, whose architecture starts anew.
    ``teacher`` is ``original`` (the recipe's model), ``present`` (what the stages before have
    left) or the name or file of a model; ``auto`` is the original where the student is the
    present model, else the present model.

    ``pairs`` matches stages of student and teacher by name, for the methods that compare
    features; empty lets depth and resolution decide. ``without`` names classes whose images
    the student never sees. With augmentation the teacher judges every batch anew, unless
    ``copies`` fixes so many augmented copies of the training images and takes them in turn.
    """

    kind: Literal["distill"] = "distill"
    student: str = "same"
    width: float = Field(default=0.5, gt=0, le=4)
    depth: float = Field(default=0.5, gt=0, le=1)
    hidden: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = (800, 800)
    teacher: str = "auto"
    method: Distillation = "soft_targets"
    temperature: float = Field(default=4.0, gt=0, le=1000)
    alpha: float = Field(default=0.9, ge=0, le=1)
    epochs: int = Field(default=5, ge=1, le=1000)
    lr: float = Field(default=0.05, gt=0, le=10)
    pairs: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    copies: int = Field(default=0, ge=0, le=100)
    memory_mb: int = Field(default=1024, ge=1)

    @model_validator(mode="after")
    def _copies_differ(self) -> Self:
        if self.copies and self.augment == "none":
            raise ValueError(f"copies is {self.copies} but augment is none, so that they would all be alike; give one")
        return self


class Gradual(Cut, Fit):
    """Prune step by step while training, as a schedule says.

    The first part of the training, up to the fraction ``end``, is divided into ``rounds`` equal
    parts. When part i of n begins, the sparsity rises to the schedule's value at progress i/n; the
    optimiser's state lives on, and what is pruned stays zero. Rows and channels are held at zero
    and cut out at the end. With ``restart`` the learning rate rises and falls in every round
    anew: iterative pruning with fine-tuning. ``images`` is what a criterion that needs data looks
    at in every round.
    """

    kind: Literal["gradual"] = "gradual"
    schedule: Schedule = "geometric"
    rounds: int = Field(default=5, ge=1, le=1000)
    end: float = Field(default=1.0, gt=0, le=1)
    restart: bool = True
    epochs: int = Field(default=10, ge=1, le=1000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if fixed_sparsity(self.granularity) is not None:
            raise ValueError(f"the pattern {self.granularity} fixes its sparsity, so it cannot rise; use a prune stage")
        if self.sparsity is None:
            raise ValueError("sparsity is missing; give the one to end with")
        if self.restart and self.end < 1:
            raise ValueError(f"end is {self.end:g} with restart; rounds that fine-tune need the whole training, end 1")
        if self.rounds > 100 * self.epochs:
            raise ValueError(f"rounds is {self.rounds} in {self.epochs} epochs; give at most 100 an epoch")
        return self


class Lottery(Fit):
    """Look for a winning ticket: train, prune the smallest weights, rewind what is left, again.

    Training starts from new weights, drawn by the recipe's seed. In each of ``rounds`` the same
    fraction of what is left goes, until ``sparsity`` is reached; the weights left return to what
    they were after ``rewind`` epochs (0: before training) and train for ``epochs`` again. Two
    controls share the winning ticket's last mask: ``reinitialised`` gives it new weights,
    ``shuffled`` mixes it within each layer.
    """

    kind: Literal["lottery"] = "lottery"
    sparsity: float = Field(default=0.9, gt=0, lt=1)
    scope: Scope = "layer"
    rounds: int = Field(default=5, ge=1, le=100)
    rewind: int = Field(default=0, ge=0)
    ticket: Ticket = "winning"
    epochs: int = Field(default=5, ge=1, le=1000)
    lr: float = Field(default=0.05, gt=0, le=10)

    @model_validator(mode="after")
    def _early(self) -> Self:
        if self.rewind >= self.epochs:
            raise ValueError(f"rewind is {self.rewind}; it must be less than epochs, {self.epochs}")
        return self


class Sparsify(Fit):
    """Train with a penalty that draws weights towards zero, so that little is lost when they go.

    ``strength`` weighs the penalty; the ramp ``linear`` lets it grow from zero over the training.
    Weight decay is off unless given, so that the penalty alone draws.
    """

    kind: Literal["sparsify"] = "sparsify"
    penalty: Penalty = "l1"
    strength: float = Field(default=1e-4, gt=0, le=100)
    ramp: Ramp = "constant"
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    epochs: int = Field(default=5, ge=1, le=1000)
