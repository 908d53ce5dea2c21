"""The words of a recipe: what each kind of stage may say, as frozen, validated data.

They name which granularities, criteria, schedules, penalties and losses exist, but not how
these are computed: nothing here imports torch, so that a chart or a plan can read recipes cheaply.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Granularity = Literal["weights", "2:4", "1:4", "4:8", "rows", "kernels", "channels"]
Criterion = Literal["magnitude", "l2", "random", "lamp", "batchnorm", "median"]
Scope = Literal["layer", "global"]
Distillation = Literal[
    "soft_targets", "logits", "dkd", "standardised", "dist", "born_again",
    "hint", "attention", "rkd_distance", "rkd_angle", "similarity", "fsp",
]  # fmt: skip
STRUCTURED: tuple[Granularity, ...] = ("rows", "channels")
"""The granularities that take whole units out of the network, so that it really gets smaller."""


def fixed_sparsity(granularity: str) -> float | None:
    """The sparsity that an N:M pattern implies, 1 - N/M; None for the other granularities."""
    if ":" not in granularity:
        return None
    kept, group = granularity.split(":")
    return 1 - int(kept) / int(group)


class Frozen(BaseModel):
    """Immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Prune(Frozen):
    """Remove the least important weights or units, once.

    Give ``sparsity`` (the fraction removed, in (0, 1)) or ``threshold`` (remove what scores
    below it), not both. Scores of the criteria that allow a threshold are on the scale of one
    weight: |w| of a single weight, the mean or root mean square of a unit's. ``overrides``
    sets the sparsity of single layers by name (0 keeps a layer whole); a layer with an amount
    of its own does not compete with the others.

    ``round_to`` is the step of widths for rows and channels, since odd widths are slow: a
    layer is cut to the nearest multiple of it. A layer that holds fewer than four such steps
    takes half, a quarter, … of the step, and below one step its halves are allowed too, so
    that 64 channels go to 8, 16, …, 56 or to 4, 2, 1, and 20 channels to 4, 8, 12, 16 or 2, 1.
    In the global scope every layer keeps at least a twentieth of its rows or channels.
    """

    kind: Literal["prune"] = "prune"
    granularity: Granularity = "weights"
    criterion: Criterion = "magnitude"
    scope: Scope = "global"
    sparsity: float | None = None
    threshold: float | None = None
    overrides: dict[str, float] = Field(default_factory=dict)
    round_to: int = Field(default=8, ge=1, le=256)

    @field_validator("sparsity")
    @classmethod
    def _sparsity_in_range(cls, value: float | None) -> float | None:
        if value is not None and not 0 < value < 1:
            raise ValueError(f"sparsity is {value:g}; it must lie in (0, 1), ends excluded")
        return value

    @field_validator("threshold")
    @classmethod
    def _threshold_positive(cls, value: float | None) -> float | None:
        if value is not None and value <= 0:
            raise ValueError(f"threshold is {value:g}; it must be greater than 0")
        return value

    @field_validator("overrides")
    @classmethod
    def _overrides_in_range(cls, value: dict[str, float]) -> dict[str, float]:
        for layer, amount in value.items():
            if not 0 <= amount < 1:
                raise ValueError(f"overrides[{layer!r}] is {amount:g}; it must lie in [0, 1)")
        return value

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        pattern = fixed_sparsity(self.granularity)
        if pattern is not None:
            if self.threshold is not None:
                raise ValueError(
                    f"threshold is {self.threshold:g} but the pattern {self.granularity} fixes the "
                    f"sparsity at {pattern:g}; leave threshold out"
                )
            if self.sparsity is not None and not math.isclose(self.sparsity, pattern):
                raise ValueError(
                    f"sparsity is {self.sparsity:g} but the pattern {self.granularity} fixes it at "
                    f"{pattern:g}; leave sparsity out"
                )
            if self.overrides and any(v not in (0.0, pattern) for v in self.overrides.values()):
                raise ValueError(f"overrides of the pattern {self.granularity} must be 0 or {pattern:g}")
        elif self.sparsity is not None and self.threshold is not None:
            raise ValueError(
                f"sparsity ({self.sparsity:g}) and threshold ({self.threshold:g}) are both given; give one of them"
            )
        elif self.sparsity is None and self.threshold is None:
            raise ValueError("neither sparsity nor threshold is given; give one of them")
        return self


class Fit(Frozen):
    """How a network is trained; what ``Train`` and ``Distill`` share."""

    kind: str
    epochs: int = Field(default=1, ge=1, le=1000)
    lr: float = Field(default=0.01, gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, le=1)
    batch_size: int = Field(default=128, ge=1, le=65536)
    augment: Literal["none", "jitter", "crop_flip"] = "none"


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
    with ``hidden`` units a layer), or the name of a sample model, whose architecture starts anew.
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


STAGES: dict[str, type[Prune | Train | Distill]] = {"prune": Prune, "train": Train, "distill": Distill}
"""The kinds of stages, by the word in a recipe."""
Stage = Annotated[Prune | Train | Distill, Field(discriminator="kind")]
