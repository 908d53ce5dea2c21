"""What a study tries next: the points of a grid that are not yet measured, or what a sampler asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import optuna

from compression.recipe import Recipe
from compression.registry import UserError
from compression.studies import store
from compression.studies.space import Body, Choice, Open, Values, recipe_at
from compression.studies.study import Study

RECIPE = "recipe"
"""The parameter that chooses among several lists of stages."""


@dataclass(frozen=True)
class Proposal:
    """A setting to try: its recipe, or why there is none; ``number`` where the database knows it already."""

    setting: Values
    given: dict[str, Open]
    recipe: Recipe | None
    reason: str = ""
    number: int | None = None


def proposals(study: Study) -> Iterator[Proposal]:
    """What to try, without end where a sampler is asked; settings that contradict themselves come with the reason."""
    return _grid(study) if study.search == "grid" else _asked(study)


def _grid(study: Study) -> Iterator[Proposal]:
    choice, space = _choice(study), study.space
    for seed in range(study.seeds):
        for name, values in space.grid():
            given = {**choice, **space.open(name)}
            setting = ({RECIPE: name} if choice else {}) | values
            yield _proposal(study, space.stages(name, setting), setting, given, seed)


def _asked(study: Study) -> Iterator[Proposal]:
    searched = optuna.load_study(study_name=study.name, storage=store.opened(), sampler=sampler(study))
    choice, space = _choice(study), study.space
    while True:
        trial = searched.ask()
        name = str(_suggested(trial, RECIPE, choice[RECIPE])) if choice else next(iter(study.recipes))
        given = space.open(name)
        setting = {parameter: _suggested(trial, parameter, one) for parameter, one in given.items()}
        whole = ({RECIPE: name} if choice else {}) | setting
        yield _proposal(study, space.stages(name, setting), whole, {**choice, **given}, 0, trial._trial_id)


def _proposal(
    study: Study, stages: list[Body], setting: Values, given: dict[str, Open], seed: int, number: int | None = None
) -> Proposal:
    base = study.base.model_copy(update={"seed": study.seed + seed})
    try:
        recipe = recipe_at(base, stages)
    except UserError as fault:
        return Proposal(setting, given, None, str(fault), number)
    return Proposal(setting, given, recipe, "", number)


def sampler(study: Study) -> optuna.samplers.BaseSampler:
    """Optuna's sampler of a study, with its seed."""
    if study.search == "tpe":
        return optuna.samplers.TPESampler(seed=study.seed)
    if study.search == "nsga2":
        return optuna.samplers.NSGAIISampler(
            seed=study.seed, population_size=max(8, min(50, (study.trials or 100) // 5))
        )
    return optuna.samplers.RandomSampler(seed=study.seed)


def _choice(study: Study) -> dict[str, Open]:
    return {RECIPE: Choice(choose=tuple(study.recipes))} if len(study.recipes) > 1 else {}


def _suggested(trial: optuna.Trial, parameter: str, given: Open) -> str | float | int | bool | None:
    if isinstance(given, Choice):
        return trial.suggest_categorical(parameter, given.values())
    if given.whole:
        low, high, step = int(given.low), int(given.high), int(given.step or 1)
        return trial.suggest_int(parameter, low, high, step=step, log=given.log)
    return trial.suggest_float(parameter, given.low, given.high, step=given.step, log=given.log)
