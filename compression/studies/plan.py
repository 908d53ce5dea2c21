"""Plans of studies: which recipes make the points of a sweep of prunings, or of a comparison of teachings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from compression.pruning.criteria import allowed
from compression.pruning.evidence import kind_of
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
from compression.results import SplitName


@dataclass(frozen=True)
class Point:
    """One recipe of a study with its coordinates, which are flat names for a line of a table."""

    index: int
    label: str
    recipe: Recipe
    coordinates: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """The coordinates with the point's number and model."""
        return {"point": self.index, "model": self.recipe.model, **self.coordinates}


class Sweep(Frozen):
    """A grid of granularities × criteria × sparsities × seeds on one model and its data.

    ``sparsities`` may hold 0, which is the baseline and is always measured. ``seeds`` is a
    number of seeds; where nothing is random one is enough, and one is run. ``images`` is how many
    training images the criteria look at that look at data; the seed draws them.
    """

    kind: Literal["prune"] = "prune"
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
    images: int = Field(default=512, ge=1)
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

    def points(self) -> tuple[Point, ...]:
        """Every point, the baseline first, with sparsity 0.

        A criterion that cannot rank a granularity is passed over (``left_out`` says which), and an
        N:M pattern has one sparsity, its own.
        """
        base = Recipe(model=self.model, data=self.data)
        nothing = {"granularity": "baseline", "criterion": "", "scope": "", "sparsity": 0.0, "epochs": 0, "seed": 0}
        found = [Point(0, "baseline", base, nothing)]
        for granularity, criterion in self._pairs():
            fixed = fixed_sparsity(granularity)
            amounts = [fixed] if fixed is not None else [s for s in self.sparsities if s > 0]
            for sparsity, seed in product(amounts, range(self._seeds(criterion))):
                chosen: dict[str, Any] = {
                    "granularity": granularity,
                    "criterion": criterion,
                    "scope": self.scope,
                    "sparsity": sparsity,
                }
                prune = Prune(**chosen, round_to=self.round_to, images=self.images)
                train = (Train(epochs=self.epochs, lr=self.lr),) if self.epochs else ()
                recipe = base.model_copy(update={"seed": seed, "stages": (prune, *train)})
                label = f"{granularity} by {criterion} at {100 * sparsity:g} %, seed {seed}"
                found.append(Point(len(found), label, recipe, {**chosen, "epochs": self.epochs, "seed": seed}))
        return tuple(found)

    def left_out(self) -> tuple[str, ...]:
        """One line for each pair of granularity and criterion that the sweep passes over."""
        pairs = set(self._pairs())
        return tuple(
            f"{criterion} cannot rank {granularity}"
            for granularity, criterion in product(self.granularities, self.criteria)
            if (granularity, criterion) not in pairs
        )

    def _pairs(self) -> list[tuple[Granularity, Criterion]]:
        return [
            (granularity, criterion)
            for granularity, criterion in product(self.granularities, self.criteria)
            if criterion in allowed(granularity)
        ]

    def _seeds(self, criterion: str) -> int:
        return self.seeds if self.epochs or criterion == "random" or kind_of(criterion) else 1


_WORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "granularities": ("granularity", get_args(Granularity)),
    "criteria": ("criterion", get_args(Criterion)),
    "split": ("split", get_args(SplitName)),
}
"""What an entry of a field is called, and what it may be."""


def spaced(low: float, high: float, count: int) -> tuple[float, ...]:
    """So many sparsities from low to high, evenly spaced, ends included, rounded to 0.1 %."""
    step = (high - low) / max(1, count - 1)
    return tuple(round(low + i * step, 3) for i in range(count))
