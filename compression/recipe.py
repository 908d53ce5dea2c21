"""The recipe: all that is needed to make one compressed model, as frozen, validated data.

A recipe names a model, its data, a seed and a tuple of stages. It knows the vocabulary
(which granularities and criteria exist) but not how they are computed: this file imports
no torch, so that a chart or a plan can read recipes cheaply.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from compression.registry import UserError, quoted, unknown

Body = TypeVar("Body", bound=BaseModel)
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


class Recipe(Frozen):
    """A model, its data (the model's own when left out), a seed and the stages in order."""

    model: str
    data: str | None = None
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    stages: tuple[Stage, ...] = ()

    def to_json(self) -> str:
        """The recipe as JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    def to_yaml(self) -> str:
        """The recipe as YAML, what was left at its default omitted except each stage's kind."""
        body = self.model_dump(mode="json", exclude_defaults=True)
        body["stages"] = [
            {"kind": stage.kind, **stage.model_dump(mode="json", exclude_defaults=True)} for stage in self.stages
        ]
        return str(yaml.safe_dump(body, sort_keys=False))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a recipe from JSON. Raises UserError, one line, when it is not valid."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as fault:
            raise UserError(f"The recipe is not valid JSON: {fault}") from None
        return cls.from_mapping(body)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Read a recipe from YAML. Raises UserError, one line, when it is not valid."""
        try:
            body = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as fault:  # ValueError: a date such as 2020-13-01
            raise UserError(f"The recipe is not valid YAML: {' '.join(str(fault).split())}") from None
        return cls.from_mapping(body)

    @classmethod
    def from_mapping(cls, body: Any) -> Self:
        """Validate plain data into a recipe. Raises UserError, one line."""
        if not isinstance(body, dict):
            raise UserError(f"A recipe is a mapping with model, data, seed and stages; got {type(body).__name__}")
        return validated(cls, body)

    def digest(self) -> str:
        """A stable hash of the recipe: sixteen hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def validated(kind: type[Body], body: dict[str, Any]) -> Body:
    """Build a ``kind`` from the mapping; a fault becomes a UserError of one line."""
    try:
        return kind.model_validate(body)
    except ValidationError as fault:
        raise UserError(one_line(fault)) from None


def one_line(fault: ValidationError) -> str:
    """The first faults of a pydantic error as one line: where, what was given, what is allowed."""
    return "; ".join(_sentence(dict(error)) for error in fault.errors()[:3])


PLAIN = {
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
}
"""What pydantic calls by Python's names, in the words of a recipe file."""


def _sentence(error: dict[str, Any]) -> str:
    location = error["loc"]
    path = ".".join(str(part) for part in location if part not in STAGES) or "recipe"
    where = " ".join(path.split())[:80]  # a key may hold line breaks, or be a page long
    given = error.get("input")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        choices = _choices(str(location[-1]))
        return unknown(str(location[-1]), given, choices) if choices else f"{where}: {error['msg']}"
    if kind in ("extra_forbidden", "invalid_key"):
        return f"{where} is not a field of a recipe; {_fields(location)}"
    if kind == "missing":
        return f"{where} is missing"
    if kind == "value_error":
        # The sentence names its field; which stage it is in, only the location knows.
        stage = f"stages.{location[1]}: " if len(location) > 1 and location[0] == "stages" else ""
        return f"{stage}{context['error']}"
    if kind == "union_tag_invalid":
        return unknown("stage kind", context["tag"], STAGES)
    if kind == "union_tag_not_found":
        return f"{where} has no kind; choose one of: {', '.join(STAGES)}"
    allowed = PLAIN.get(kind) or error["msg"].removeprefix("Input ")
    return f"{where} is {quoted(given)}; {allowed.replace('should', 'it should', 1)}"


def _choices(field: str) -> tuple[str, ...]:
    table: dict[str, Any] = {
        "granularity": Granularity,
        "criterion": Criterion,
        "scope": Scope,
        "method": Distillation,
        "augment": Fit.model_fields["augment"].annotation,
    }
    return get_args(table[field]) if field in table else ()


def _fields(location: tuple[Any, ...]) -> str:
    owner = STAGES.get(str(location[-2]) if len(location) > 1 else "", Recipe)
    return f"allowed: {', '.join(owner.model_fields)}"
