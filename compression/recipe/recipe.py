"""The recipe: all that is needed to make one compressed model, as frozen, validated data."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Any, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from compression.recipe.kinds import STAGES, Stage, epochs_of
from compression.recipe.stages import (
    Augment,
    Criterion,
    Distillation,
    Frozen,
    Granularity,
    Mode,
    Penalty,
    Quantize,
    Ramp,
    Schedule,
    Scope,
    Ticket,
)
from compression.registry import UserError, in_a_line, quoted, unknown

Body = TypeVar("Body", bound=BaseModel)


class Recipe(Frozen):
    """A model, its data (the model's own when left out), a seed and the stages in order."""

    model: str
    data: str | None = None
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    stages: tuple[Stage, ...] = ()

    @field_validator("stages")
    @classmethod
    def _quantised_last(cls, value: tuple[Stage, ...]) -> tuple[Stage, ...]:
        for stage, following in pairwise(value):
            if isinstance(stage, Quantize):
                raise ValueError(
                    f"stage {following.kind} follows quantize; nothing can change an int8 file, put it last"
                )
        return value

    def to_json(self) -> str:
        """The recipe as JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    def to_yaml(self) -> str:
        """The recipe as YAML, what was left at its default omitted except each stage's kind."""
        return str(yaml.safe_dump(self._said(), sort_keys=False))

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
            raise UserError(f"The recipe is not valid YAML: {yaml_fault(fault)}") from None
        return cls.from_mapping(body)

    @classmethod
    def from_mapping(cls, body: Any) -> Self:
        """Validate plain data into a recipe. Raises UserError, one line."""
        if not isinstance(body, dict):
            raise UserError(f"A recipe is a mapping with model, data, seed and stages; got {type(body).__name__}")
        return validated(cls, body)

    def digest(self) -> str:
        """A stable hash of the recipe: sixteen hexadecimal digits.

        What is left at its default does not count, so that a field that is new changes no hash.
        """
        return hashlib.sha256(json.dumps(self._said(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def epochs(self) -> int:
        """How many epochs all stages train for together."""
        return sum(epochs_of(stage) for stage in self.stages)

    @property
    def rounding(self) -> tuple[Stage, ...]:
        """The stage that quantises, with which a recipe may end; else nothing."""
        return tuple(stage for stage in self.stages if isinstance(stage, Quantize))

    def _said(self) -> dict[str, Any]:
        """What is not left at its default, and each stage's kind."""
        body = self.model_dump(mode="json", exclude_defaults=True)
        stages = [{"kind": stage.kind, **stage.model_dump(mode="json", exclude_defaults=True)} for stage in self.stages]
        return body | {"stages": stages}


def validated(kind: type[Body], body: dict[str, Any]) -> Body:
    """Build a ``kind`` from the mapping; a fault becomes a UserError of one line."""
    try:
        return kind.model_validate(body)
    except ValidationError as fault:
        raise UserError(one_line(fault, kind)) from None


def yaml_fault(fault: Exception) -> str:
    """Where a text is not YAML and why, in a few words."""
    mark, problem = getattr(fault, "problem_mark", None), getattr(fault, "problem", None)
    if mark and problem:
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    return in_a_line(fault)


def refusal(kind: type[BaseModel], field: str, value: object) -> str:
    """Why a field cannot have this value, whatever the other fields are; empty where it can."""
    try:
        kind.model_validate({field: value})
    except ValidationError as fault:
        own = [dict(error) for error in fault.errors() if error["loc"][:1] == (field,)]
        return _sentence(own[0], kind) if own else ""
    return ""


def one_line(fault: ValidationError, kind: type[BaseModel] = Recipe) -> str:
    """The first faults of a pydantic error as one line: where, what was given, what is allowed."""
    return "; ".join(_sentence(dict(error), kind) for error in fault.errors()[:3])


PLAIN = {
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "too_short": "should not be empty",
}
"""What pydantic calls by Python's names, in the words of a recipe file."""


def _sentence(error: dict[str, Any], whole: type[BaseModel]) -> str:
    location = error["loc"]
    path = ".".join(str(part) for part in location if part not in STAGES) or "recipe"
    where = " ".join(path.split())[:80]  # a key may hold line breaks, or be a page long
    given = error.get("input")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        choices = _choices(str(location[-1]))
        return unknown(str(location[-1]), given, choices) if choices else f"{where}: {error['msg']}"
    if kind in ("extra_forbidden", "invalid_key"):
        return f"{where} is not a field of a {whole.__name__.lower()}; {_fields(location, whole)}"
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
        "schedule": Schedule,
        "ticket": Ticket,
        "penalty": Penalty,
        "ramp": Ramp,
        "mode": Mode,
        "method": Distillation,
        "augment": Augment,
    }
    return get_args(table[field]) if field in table else ()


def _fields(location: tuple[Any, ...], whole: type[BaseModel]) -> str:
    owner = STAGES.get(str(location[-2]) if len(location) > 1 else "", whole)
    return f"allowed: {', '.join(owner.model_fields)}"
