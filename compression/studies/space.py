"""The space of recipes that a study searches: stages with some fields left open.

An open field says which values it may take: ``{choose: [weights, channels]}``, or
``{low: 0.1, high: 0.9}``, with a ``step``, or ``log: true``. A parameter is named by its recipe,
the place of its stage, the stage's kind and the field: ``1.prune.sparsity``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Self

from pydantic import Field, model_validator

from compression.recipe import STAGES, Frozen, Recipe, refusal, validated
from compression.registry import UserError, quoted, unknown

Value = str | float | int | bool | None
Values = dict[str, Value]
"""What a point of a space sets, by parameter."""
Body = dict[str, Any]
MOST = 100_000
"""Points of a grid: more are a search."""
RECIPE = "recipe"
"""The parameter that chooses among several lists of stages."""


def is_setting(name: str) -> bool:
    """Whether a column of a row is what was set, rather than what was measured."""
    return name == RECIPE or "." in name


class Choice(Frozen):
    """A field that takes one of some values."""

    choose: tuple[Value, ...] = Field(min_length=1)

    def values(self) -> tuple[Value, ...]:
        """All values, in their order."""
        return tuple(dict.fromkeys(self.choose))


class Range(Frozen):
    """A field that takes a number from low to high, both included; whole where all that is given is whole."""

    low: float
    high: float
    step: float | None = Field(default=None, gt=0)
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low must not be above high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range needs a low above 0 and no step")
        return self

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return all(float(end).is_integer() for end in (self.low, self.high, self.step or 1)) and self.high > 1

    def values(self) -> tuple[Value, ...]:
        """Every value of a range with a step, or of whole numbers.

        Raises:
            UserError: it has no step, and so no end of values.
        """
        whole = self.whole
        if self.log or (self.step is None and not whole):
            raise UserError(f"a grid needs a step in the range from {self.low:g} to {self.high:g}")
        step = self.step or 1.0
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        steps = (round(self.low + number * step, 10) for number in range(count))
        return tuple(int(value) if whole else value for value in steps)


Open = Choice | Range


class Space(Frozen):
    """Named lists of stages, some of whose fields are open; a point is one list with every field set."""

    recipes: dict[str, tuple[Body, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name, stages in self.recipes.items():
            for place, body in enumerate(stages, start=1):
                _check_stage(f"{name}.{place}", body)
        return self

    def open(self, recipe: str) -> dict[str, Open]:
        """The open fields of one list of stages, by parameter."""
        return {
            f"{recipe}.{place}.{body['kind']}.{field}": given
            for place, body in enumerate(self.recipes[recipe], start=1)
            for field, value in body.items()
            if (given := _open(value)) is not None
        }

    def stages(self, recipe: str, values: Mapping[str, Value]) -> list[Body]:
        """The stages with their open fields set."""
        return [
            {
                field: values[f"{recipe}.{place}.{body['kind']}.{field}"] if _open(value) else value
                for field, value in body.items()
            }
            for place, body in enumerate(self.recipes[recipe], start=1)
        ]

    def grid(self) -> Iterator[tuple[str, Values]]:
        """Every point: the name of its recipe and what it sets.

        Raises:
            UserError: a range without a step.
        """
        for recipe in self.recipes:
            given = self.open(recipe)
            for values in product(*(one.values() for one in given.values())):
                yield recipe, dict(zip(given, values, strict=True))

    @property
    def size(self) -> float:
        """How many points the grid has; infinite where a range has no step."""
        try:
            return sum(math.prod(len(one.values()) for one in self.open(recipe).values()) for recipe in self.recipes)
        except UserError:
            return math.inf


def recipe_at(base: Recipe, stages: Sequence[Body]) -> Recipe:
    """The recipe of a point. Raises UserError, one line, where its fields contradict each other."""
    return Recipe.from_mapping(base.model_dump(exclude={"stages"}) | {"stages": list(stages)})


def _open(value: Any) -> Open | None:
    """An open field; None where a value is set."""
    if isinstance(value, Mapping) and "choose" in value:
        return validated(Choice, dict(value))
    if isinstance(value, Mapping) and {"low", "high"} & set(value):
        return validated(Range, dict(value))
    return None


def _check_stage(where: str, body: Body) -> None:
    """Raise ValueError for an unknown kind or field, or an open one that is not sound."""
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in STAGES:
        raise ValueError(f"{where}: {unknown('stage kind', kind, STAGES)}")
    for field, value in body.items():
        if field not in STAGES[kind].model_fields:
            raise ValueError(f"{where}.{kind}: {unknown('field', field, tuple(STAGES[kind].model_fields))}")
        try:
            given = _open(value)
        except UserError as fault:
            raise ValueError(f"{where}.{kind}.{field} is {quoted(value)}; {fault}") from None
        tried: tuple[Value, ...] = given.values() if isinstance(given, Choice) else ()
        tried += (given.low, given.high) if isinstance(given, Range) else ()
        for one in tried:
            whole = int(one) if isinstance(one, float) and one.is_integer() else one
            if reason := refusal(STAGES[kind], field, whole):
                raise ValueError(f"{where}.{kind}: {reason}")
