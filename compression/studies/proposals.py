"""What a study tries next: the points of a grid that are not yet measured, or what a sampler asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import optuna

from compression.goals import PROXIES, beaten, feasible
from compression.recipe import Cut, Quantize, Recalibrate, Recipe, epochs_of
from compression.registry import UserError
from compression.studies import database, records, store
from compression.studies.patience import patiently
from compression.studies.space import RECIPE, Body, Choice, Open, Values, is_setting, recipe_at
from compression.studies.study import Study

EXACT = 5_000
"""Points of a grid that are counted one by one before they are run."""
CONFIRMED = 5
"""How many of a search's best settings are run again with the other seeds."""


Row = dict[str, Any]


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
            proposal = _proposal(study, space.stages(name, setting), setting, given, seed)
            if seed == 0 or (proposal.recipe and by_chance(proposal.recipe)):
                yield proposal


def confirmations(study: Study) -> Iterator[Proposal]:
    """The best settings of a search once more with each of the other seeds; none for a grid, which has them all."""
    if study.search == "grid" or study.seeds == 1:
        return
    choice, space = _choice(study), study.space
    own = [row for row in records.rows(study.name) if row["seed"] == study.seed]
    for row in best(own, study):
        name = str(row.get(RECIPE, next(iter(study.recipes))))
        setting = {key: value for key, value in row.items() if is_setting(key)}
        for seed in range(1, study.seeds):
            given = {**choice, **space.open(name)}
            proposal = _proposal(study, space.stages(name, setting), setting, given, seed)
            if proposal.recipe and by_chance(proposal.recipe):
                yield proposal


def best(rows: Sequence[Row], study: Study) -> list[Row]:
    """Up to CONFIRMED rows that no other beats in all objectives, those that meet the constraints first.

    Where there are more, the ones that are evenly spread along the front are taken.
    """
    measured = [one for one in study.bounds if one.metric not in PROXIES]  # the times come last
    sound = [row for row in rows if feasible(row, measured)] or list(rows)
    signs = [1.0 if way == "maximize" else -1.0 for way in store.directions(study)]
    names = [PROXIES.get(name, (name,))[0] for name in study.objectives]
    values = [tuple(sign * row[name] for sign, name in zip(signs, names, strict=True)) for row in sound]
    ranked = sorted(zip(sound, values, strict=True), key=lambda one: one[1])
    front = [row for row, own in ranked if not beaten(own, values)]
    if len(front) <= CONFIRMED:
        return front
    return [front[round(place * (len(front) - 1) / (CONFIRMED - 1))] for place in range(CONFIRMED)]


def by_chance(recipe: Recipe) -> bool:
    """Whether another seed gives another model: something is trained, drawn at random, or looks at drawn images."""
    from compression.pruning import kind_of  # which needs torch; an engine with nothing to do never asks

    return any(
        epochs_of(stage) > 0
        or isinstance(stage, Recalibrate)
        or (isinstance(stage, Quantize) and stage.mode == "static")
        or (isinstance(stage, Cut) and (stage.criterion == "random" or kind_of(stage.criterion) != ""))
        for stage in recipe.stages
    )


@dataclass(frozen=True)
class Outlook:
    """What a grid comes to: how many trials, and the settings that contradict themselves, a line each."""

    trials: int
    left_out: tuple[str, ...]


def outlook(study: Study) -> Outlook:
    """What the grid of a study comes to; a grid of more than EXACT points is estimated."""
    if study.space.size > EXACT:
        return Outlook(int(study.space.size) * study.seeds, ())
    return _outlook(study.to_yaml())


@lru_cache(maxsize=64)
def _outlook(plan: str) -> Outlook:
    found = list(_grid(Study.from_yaml(plan)))
    left_out = (f"{setting_words(one.setting)}: {one.reason}" for one in found if one.recipe is None)
    return Outlook(sum(one.recipe is not None for one in found), tuple(left_out))


def setting_words(setting: Mapping[str, object]) -> str:
    """A setting in a line: "prune.sparsity 0.5, train.epochs 3"."""
    return ", ".join(f"{name.split('.', 1)[-1]} {value}" for name, value in setting.items())


def _asked(study: Study) -> Iterator[Proposal]:
    searched = _searched(study)
    choice, space = _choice(study), study.space
    # NSGA-II crosses only what all trials have; so each has the fields of all recipes, those at rest too.
    carried = tuple(study.recipes) if study.search == "nsga2" else ()
    while True:
        trial = _ask(searched)
        name = str(_suggested(trial, RECIPE, choice[RECIPE])) if choice else next(iter(study.recipes))
        given = space.open(name)
        setting = {parameter: _suggested(trial, parameter, one) for parameter, one in given.items()}
        for parameter, one in chain.from_iterable(space.open(other).items() for other in carried):
            _suggested(trial, parameter, one)
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


def sampler(study: Study, begun: int = 0) -> optuna.samplers.BaseSampler:
    """Optuna's sampler of a study; one that goes on after so many trials does not draw the first ones again."""
    seed = (study.seed + begun) % 2**31
    if study.search == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if study.search == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=max(8, min(50, (study.trials or 100) // 5)))
    return optuna.samplers.RandomSampler(seed=seed)


def _choice(study: Study) -> dict[str, Open]:
    return {RECIPE: Choice(choose=tuple(study.recipes))} if len(study.recipes) > 1 else {}


@patiently
def _searched(study: Study) -> optuna.Study:
    begun = len(records.records(study.name))
    with database.talking() as storage:
        return optuna.load_study(study_name=database.stored(study.name), storage=storage, sampler=sampler(study, begun))


@patiently
def _ask(searched: optuna.Study) -> optuna.Trial:
    with database.talking():
        return searched.ask()


@patiently
def _suggested(trial: optuna.Trial, parameter: str, given: Open) -> str | float | int | bool | None:
    with database.talking():
        return _suggest(trial, parameter, given)


def _suggest(trial: optuna.Trial, parameter: str, given: Open) -> str | float | int | bool | None:
    if isinstance(given, Choice):
        return trial.suggest_categorical(parameter, given.values())
    if given.whole:
        low, high, step = int(given.low), int(given.high), int(given.step or 1)
        return trial.suggest_int(parameter, low, high, step=step, log=given.log)
    value = trial.suggest_float(parameter, given.low, given.high, step=given.step, log=given.log)
    return round(value, 10) if given.step else value  # as a grid has it, whose trials it then shares
