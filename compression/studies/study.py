"""A study: a space of recipes on one model and its data, what is wanted of them, and how they are searched."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from compression.goals import OBJECTIVES, Constraint, check_together
from compression.recipe import Frozen, Recipe, validated, yaml_fault
from compression.registry import NAME, UserError, plain_name, quoted, unknown
from compression.results import SplitName
from compression.studies.space import MOST, Body, Space

Search = Literal["grid", "random", "tpe", "nsga2"]
ONLY = "recipe"
"""What the recipe of a study with one is called."""


class Study(Frozen):
    """A plan of many recipes on one model.

    ``recipes`` are named lists of stages with open fields (see ``space``); ``stages`` is short for
    one. ``objectives`` are metrics; ``constraints`` are written as in
    ``accuracy >= 98 %``. The budget is ``trials``, ``minutes``, or both; a grid without one is run
    whole. ``seeds`` is how often the recipes that differ by seed are run: all in a grid, in a
    search the best ones at its end. ``halving`` stops trials that a cheap first look finds behind.
    """

    name: str
    model: str
    data: str | None = None
    recipes: dict[str, tuple[Body, ...]]
    objectives: tuple[str, ...] = ("accuracy", "packed_bytes")
    constraints: tuple[str, ...] = ()
    search: Search = "grid"
    trials: int | None = Field(default=None, ge=1, le=1_000_000)
    minutes: float | None = Field(default=None, gt=0)
    seeds: int = Field(default=1, ge=1, le=20)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    halving: bool = False
    split: SplitName = "val"
    limit: int | None = Field(default=None, ge=1)
    latency: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_recipe(cls, body: Any) -> Any:
        if isinstance(body, dict) and "stages" in body:
            if "recipes" in body:
                raise ValueError("stages and recipes are both given; give one of them")
            body = {key: value for key, value in body.items() if key != "stages"} | {"recipes": {ONLY: body["stages"]}}
        return body

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        return plain_name(value)

    @field_validator("recipes")
    @classmethod
    def _plain_recipes(cls, value: dict[str, tuple[Body, ...]]) -> dict[str, tuple[Body, ...]]:
        for name in value:
            if not NAME.fullmatch(name.replace(":", "-")):  # 2:4 is one, too
                allowed = "1 to 64 letters, digits, spaces, dots, colons, _ or -"
                raise ValueError(f"recipe is named {quoted(name)}; it must be {allowed}")
        return value

    @field_validator("objectives")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in OBJECTIVES:
                raise ValueError(unknown("objective", name, OBJECTIVES))
        if not value:
            raise ValueError("objectives is empty; give at least one")
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _sound(self) -> Self:
        space = self.space  # which says what is wrong with it
        try:
            check_together(self.bounds)
        except UserError as fault:
            raise ValueError(str(fault)) from None
        if self.search == "grid" and space.size > MOST:
            many = "no end of" if math.isinf(space.size) else f"{space.size:,.0f}"
            raise ValueError(
                f"the grid has {many} points; give every range a step, or search with random, tpe or nsga2"
            )
        if self.search != "grid" and not (self.trials or self.minutes):
            raise ValueError(f"search {self.search} has no end; give trials or minutes")
        if not self.latency and any("speedup" in text for text in (*self.objectives, *self.constraints)):
            raise ValueError("speedup is asked for, but not measured; set latency: true")
        return self

    @property
    def space(self) -> Space:
        """The space of its recipes."""
        return Space(recipes=self.recipes)

    @property
    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints, read."""
        return tuple(Constraint.read(text) for text in self.constraints)

    @property
    def base(self) -> Recipe:
        """The recipe that does nothing: the baseline."""
        return Recipe(model=self.model, data=self.data)

    def to_yaml(self) -> str:
        """The study as YAML, what was left at its default omitted."""
        body = self.model_dump(mode="json", exclude_defaults=True)
        if list(self.recipes) == [ONLY]:
            body = {("stages" if key == "recipes" else key): value for key, value in body.items()}
            body["stages"] = body["stages"][ONLY]
        return str(yaml.safe_dump(body, sort_keys=False, allow_unicode=True))

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Read a study from YAML. Raises UserError, one line, when it is not valid."""
        try:
            body = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as fault:
            raise UserError(f"The study is not valid YAML: {yaml_fault(fault)}") from None
        if not isinstance(body, dict):
            raise UserError(f"A study is a mapping with name, model and stages; got {type(body).__name__}")
        return validated(cls, body)
