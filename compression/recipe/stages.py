"""The words of a recipe: what each kind of stage may say, as frozen, validated data.

They name which granularities, criteria, schedules, penalties and losses exist, but not how
these are computed: nothing here imports torch, so that a chart or a plan can read recipes cheaply.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Granularity = Literal["weights", "2:4", "1:4", "4:8", "rows", "kernels", "channels", "heads", "blocks"]
Criterion = Literal[
    "magnitude", "l2", "random", "lamp", "batchnorm", "median",
    "snip", "taylor", "fisher", "movement", "wanda", "apoz",
]  # fmt: skip
Scope = Literal["layer", "global"]
Augment = Literal["none", "jitter", "crop_flip", "reflect_flip"]
Schedule = Literal["one_shot", "linear", "geometric", "cubic", "one_cycle", "dense_sparse_dense"]
Ticket = Literal["winning", "reinitialised", "shuffled"]
Penalty = Literal["l1", "l2", "group_lasso", "batchnorm_l1"]
Ramp = Literal["constant", "linear"]
Mode = Literal["static", "dynamic"]
Distillation = Literal[
    "soft_targets", "logits", "dkd", "standardised", "dist", "born_again",
    "hint", "attention", "rkd_distance", "rkd_angle", "similarity", "fsp",
]  # fmt: skip
STRUCTURED: tuple[Granularity, ...] = ("rows", "channels", "heads", "blocks")
"""The granularities that take whole units out of the network, so that it really gets smaller."""
ROUNDED: tuple[Granularity, ...] = ("rows", "channels")
"""Those whose widths are rounded to multiples that run fast."""


def fixed_sparsity(granularity: str) -> float | None:
    """The sparsity that an N:M pattern implies, 1 - N/M; None for the other granularities."""
    if ":" not in granularity:
        return None
    kept, group = granularity.split(":")
    return 1 - int(kept) / int(group)


class Frozen(BaseModel):
    """Immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cut(Frozen):
    """What is removed, by what criterion, compared within what; what the stages that prune share.

    ``sparsity`` is the fraction removed, in (0, 1). ``overrides`` sets the sparsity of single
    layers by name (0 keeps a layer whole); a layer with an amount of its own does not compete
    with the others.

    ``round_to`` is the step of widths for rows and channels, since odd widths are slow: a
    layer is cut to the nearest multiple of it. A layer that holds fewer than four such steps
    takes half, a quarter, … of the step, and below one step its halves are allowed too, so
    that 64 channels go to 8, 16, …, 56 or to 4, 2, 1, and 20 channels to 4, 8, 12, 16 or 2, 1.
    In the global scope every layer keeps at least a twentieth of its rows or channels. Attention
    heads go in any number, one of each layer stays; blocks compete in one pool whatever the scope,
    one of them stays, and an override can only keep one whole.

    ``images`` is how many training images the criteria look at that look at data; the others
    ignore it.
    """

    kind: str
    granularity: Granularity = "weights"
    criterion: Criterion = "magnitude"
    scope: Scope = "global"
    sparsity: float | None = None
    overrides: dict[str, float] = Field(default_factory=dict)
    round_to: int = Field(default=8, ge=1, le=256)
    images: int = Field(default=512, ge=1)

    @field_validator("sparsity")
    @classmethod
    def _sparsity_in_range(cls, value: float | None) -> float | None:
        if value is not None and not 0 < value < 1:
            raise ValueError(f"sparsity is {value:g}; it must lie in (0, 1), ends excluded")
        return value

    @field_validator("overrides")
    @classmethod
    def _overrides_in_range(cls, value: dict[str, float]) -> dict[str, float]:
        for layer, amount in value.items():
            if not 0 <= amount < 1:
                raise ValueError(f"overrides[{layer!r}] is {amount:g}; it must lie in [0, 1)")
        return value


class Prune(Cut):
    """Remove the least important weights or units, once.

    Give ``sparsity`` or ``threshold`` (remove what scores below it), not both. Scores of the
    criteria that allow a threshold are on the scale of one weight: |w| of a single weight, the
    mean or root mean square of a unit's.
    """

    kind: Literal["prune"] = "prune"
    threshold: float | None = None

    @field_validator("threshold")
    @classmethod
    def _threshold_positive(cls, value: float | None) -> float | None:
        if value is not None and value <= 0:
            raise ValueError(f"threshold is {value:g}; it must be greater than 0")
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


class Recalibrate(Frozen):
    """Put right without training what pruning has shifted.

    ``batchnorm`` counts the running statistics of every BatchNorm anew on so many training
    ``images``, augmented as the model was in training (``auto`` knows that of the sample models);
    ``biases`` shifts the biases of linear layers so that the mean output of every unit is what it
    was before the last pruning.
    """

    kind: Literal["recalibrate"] = "recalibrate"
    batchnorm: bool = True
    biases: bool = False
    images: int = Field(default=2048, ge=2, le=10_000_000)
    augment: Literal["auto"] | Augment = "auto"

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.batchnorm and not self.biases:
            raise ValueError("batchnorm and biases are both off; switch one of them on")
        return self


class Quantize(Frozen):
    """Round weights and activations to 8 bits, as a file that ONNX Runtime runs; nothing can follow it.

    ``mode`` says when the ranges of the activations are found: ``static`` beforehand, on so many
    training ``images``, or ``dynamic``, anew for every batch. ``per_channel`` gives each output
    channel of a weight a scale of its own, instead of one for the whole layer.
    """

    kind: Literal["quantize"] = "quantize"
    mode: Mode = "static"
    per_channel: bool = True
    images: int = Field(default=256, ge=1, le=100_000)
