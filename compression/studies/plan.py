"""A sweep: which recipes make the points of a trade-off."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from compression.pruning.criteria import allowed
from compression.recipe import (
    Criterion,
    Frozen,
    Granularity,
    Prune,
    Recipe,
    Scope,
    Train,
    fixed_sparsity,
)
from compression.registry import unknown

SplitName = Literal["val", "test"]


class Sweep(Frozen):
    """A grid of granularities × criteria × sparsities × seeds on one model and its data.

    ``sparsities`` may hold 0, which is the baseline and is always measured. ``seeds`` is a
    number of seeds; where nothing is random one is enough, and one is run.
    """

    model: str
    data: str | None = None
    granularities: tuple[Granularity, ...] = ("weights", "channels")
    criteria: tuple[Criterion, ...] = ("magnitude",)
    scope: Scope = "global"
    sparsities: tuple[float, ...] = (0.25, 0.5, 0.75)
    epochs: int = Field(default=0, ge=0, le=1000)
    lr: float = Field(default=0.01, gt=0, le=10)
    seeds: int = Field(default=1, ge=1, le=20)
    round_to: int = Field(default=8, ge=1, le=256)
    split: SplitName = "val"
    limit: int | None = Field(default=None, ge=1)
    latency: bool = False

    @field_validator("granularities", "criteria", "split", mode="before")
    @classmethod
    def _known(cls, value: Any, info: ValidationInfo) -> Any:
        what, choices = _WORDS[str(info.field_name)]
        if not isinstance(value, str | list | tuple):
            return value  # no list at all, which pydantic says
        for given in (value,) if isinstance(value, str) else value:
            if given not in choices:
                raise ValueError(unknown(what, given, choices))
        return value if isinstance(value, str) else tuple(dict.fromkeys(value))

    @field_validator("sparsities")
    @classmethod
    def _in_range(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for amount in value:
            if not 0 <= amount < 1:
                raise ValueError(f"sparsity is {amount:g}; in a sweep it must lie in [0, 1)")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        for field in ("granularities", "criteria", "sparsities"):
            if not getattr(self, field):
                raise ValueError(f"{field} is empty; give at least one")
        for granularity in self.granularities:
            if not set(self.criteria) & set(allowed(granularity)):
                raise ValueError(
                    f"criterion {' or '.join(self.criteria)} cannot rank {granularity}; "
                    f"choose one of: {', '.join(allowed(granularity))}"
                )
        return self


_WORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "granularities": ("granularity", get_args(Granularity)),
    "criteria": ("criterion", get_args(Criterion)),
    "split": ("split", get_args(SplitName)),
}
"""What an entry of a field is called, and what it may be."""


@dataclass(frozen=True)
class Point:
    """One recipe of a sweep with its coordinates; the baseline has sparsity 0."""

    index: int
    granularity: str
    criterion: str
    scope: str
    sparsity: float
    epochs: int
    seed: int
    recipe: Recipe

    @property
    def label(self) -> str:
        """The point in words, for progress and failures."""
        if self.granularity == "baseline":
            return "baseline"
        return f"{self.granularity} by {self.criterion} at {100 * self.sparsity:g} %, seed {self.seed}"

    def row(self) -> dict[str, object]:
        """The coordinates as flat names, for one line of a table."""
        return {
            "point": self.index,
            "model": self.recipe.model,
            "granularity": self.granularity,
            "criterion": self.criterion,
            "scope": self.scope,
            "sparsity": self.sparsity,
            "epochs": self.epochs,
            "seed": self.seed,
        }


def points(sweep: Sweep) -> tuple[Point, ...]:
    """Every point of a sweep, the baseline first.

    A criterion that cannot rank a granularity is passed over (``left_out`` says which), and an
    N:M pattern has one sparsity, its own.
    """
    base = Recipe(model=sweep.model, data=sweep.data)
    found = [Point(0, "baseline", "", "", 0.0, 0, 0, base)]
    for granularity, criterion in _pairs(sweep):
        fixed = fixed_sparsity(granularity)
        amounts = [fixed] if fixed is not None else [s for s in sweep.sparsities if s > 0]
        for sparsity, seed in product(amounts, range(_seeds(sweep, criterion))):
            prune = Prune(
                granularity=granularity,
                criterion=criterion,
                scope=sweep.scope,
                sparsity=sparsity,
                round_to=sweep.round_to,
            )
            train = (Train(epochs=sweep.epochs, lr=sweep.lr),) if sweep.epochs else ()
            recipe = base.model_copy(update={"seed": seed, "stages": (prune, *train)})
            found.append(Point(len(found), granularity, criterion, sweep.scope, sparsity, sweep.epochs, seed, recipe))
    return tuple(found)


def spaced(low: float, high: float, count: int) -> tuple[float, ...]:
    """So many sparsities from low to high, evenly spaced, ends included, rounded to 0.1 %."""
    step = (high - low) / max(1, count - 1)
    return tuple(round(low + i * step, 3) for i in range(count))


def left_out(sweep: Sweep) -> tuple[str, ...]:
    """One line for each pair of granularity and criterion that the sweep passes over."""
    pairs = set(_pairs(sweep))
    return tuple(
        f"{criterion} cannot rank {granularity}"
        for granularity, criterion in product(sweep.granularities, sweep.criteria)
        if (granularity, criterion) not in pairs
    )


def _pairs(sweep: Sweep) -> list[tuple[Granularity, Criterion]]:
    return [
        (granularity, criterion)
        for granularity, criterion in product(sweep.granularities, sweep.criteria)
        if criterion in allowed(granularity)
    ]


def _seeds(sweep: Sweep, criterion: str) -> int:
    return sweep.seeds if sweep.epochs or criterion == "random" else 1
