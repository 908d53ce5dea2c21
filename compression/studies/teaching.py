"""A plan of distillations: the student alone beside what each method, temperature and weight makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from compression.distillation.losses import DISTILLATIONS
from compression.recipe import Distill, Distillation, Frozen, Recipe, Stage
from compression.registry import unknown
from compression.results import SplitName
from compression.studies.plan import Point


class Teaching(Frozen):
    """A grid of methods × temperatures × alphas × seeds for one teacher and one student.

    Every seed has a point without a teacher too (alpha 0): the same initial weights, batches and
    epochs. ``stage`` says who learns and how it is trained; its own method, temperature and alpha
    are not used. ``before`` are stages that come first, such as a pruning. A method that knows no
    temperature has one point for each alpha and seed.
    """

    kind: Literal["distill"] = "distill"
    model: str
    data: str | None = None
    before: tuple[Stage, ...] = ()
    stage: Distill = Distill()
    methods: tuple[Distillation, ...] = ("soft_targets",)
    temperatures: tuple[float, ...] = (4.0,)
    alphas: tuple[float, ...] = (0.9,)
    seeds: int = Field(default=1, ge=1, le=20)
    split: SplitName = "val"
    limit: int | None = Field(default=None, ge=1)
    latency: bool = False

    @field_validator("methods", "split", mode="before")
    @classmethod
    def _known(cls, value: Any, info: ValidationInfo) -> Any:
        what, choices = {"methods": ("method", Distillation), "split": ("split", SplitName)}[str(info.field_name)]
        for given in value if isinstance(value, list | tuple) else (value,):
            if given not in get_args(choices):
                raise ValueError(unknown(what, given, get_args(choices)))
        return tuple(dict.fromkeys(value)) if isinstance(value, list | tuple) else value

    @field_validator("temperatures", "alphas")
    @classmethod
    def _in_range(cls, value: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        for amount in value:
            if info.field_name == "temperatures" and not 0 < amount <= 1000:
                raise ValueError(f"temperature is {amount:g}; it must lie in (0, 1000]")
            if info.field_name == "alphas" and not 0 < amount <= 1:
                raise ValueError(f"alpha is {amount:g}; it must lie in (0, 1]; the student alone is always run")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        for field in ("methods", "temperatures", "alphas"):
            if not getattr(self, field):
                raise ValueError(f"{field} is empty; give at least one")
        taught_by = "original" if self.stage.teacher == "auto" and self.stage.student == "same" else self.stage.teacher
        if taught_by != "original" and (self.before or taught_by != "auto"):
            raise ValueError(f"teacher is '{self.stage.teacher}'; a study compares with its own model: give original")
        return self

    def points(self) -> tuple[Point, ...]:
        """The teacher, then the student alone, then the student taught in every way, seed by seed."""
        base = Recipe(model=self.model, data=self.data)
        nothing = {"method": "teacher", "temperature": None, "alpha": 0.0, "epochs": 0, "seed": 0}
        found = [Point(0, "teacher", base, {"student": "", **nothing})]
        for changes in ({"alpha": 0.0, "method": "soft_targets"}, *self._ways()):
            stage = self.stage.model_copy(update=changes)
            for seed in range(self.seeds):
                recipe = base.model_copy(update={"seed": seed, "stages": (*self.before, stage)})
                about = self._coordinates(stage) | {"seed": seed}
                found.append(Point(len(found), f"{way_words(about)}, seed {seed}", recipe, about))
        return tuple(found)

    def ways(self) -> int:
        """In how many ways the student is taught."""
        return len(self._ways())

    def trainings(self) -> int:
        """How many students are trained: every point but the teacher."""
        return len(self.points()) - 1

    def left_out(self) -> tuple[str, ...]:
        """Nothing is passed over; see ``Sweep.left_out``."""
        return ()

    def _ways(self) -> list[dict[str, Any]]:
        """What changes from one way of teaching to the next."""
        return [
            {"method": method, "temperature": temperature, "alpha": alpha}
            for method, alpha in product(self.methods, self.alphas)
            for temperature in (self.temperatures if _softens(method) else self.temperatures[:1])
        ]

    def _coordinates(self, stage: Distill) -> dict[str, Any]:
        alone = stage.alpha == 0
        return {
            "student": stage.student,
            "method": "alone" if alone else stage.method,
            "temperature": stage.temperature if not alone and _softens(stage.method) else None,
            "alpha": stage.alpha,
            "epochs": stage.epochs,
        }


def _softens(method: str) -> bool:
    return "temperature" in DISTILLATIONS[method].needs


def way_words(way: Mapping[str, Any]) -> str:
    """What a way of teaching is called, from its coordinates: "Soft targets, T = 4, α = 0.9"."""
    if way["method"] in ALONE:
        return ALONE[way["method"]]
    at = f", T = {way['temperature']:g}" if way["temperature"] else ""
    return f"{DISTILLATIONS[way['method']].label}{at}, α = {way['alpha']:g}"


ALONE = {"teacher": "teacher", "alone": "student alone"}
"""Points of a plan that nobody teaches."""
