"""Trials as they are kept: noted when they begin, then measured, failed or given up; ``records`` reads them.

A trial's recipe, numbers and epochs are attributes, so that whatever reads Optuna's tables reads ours.
Trained weights lie beside the database, each file named by its trial's key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import column, table, text

from compression.goals import PROXIES
from compression.recipe import Recipe
from compression.studies.database import id_of, talking
from compression.studies.patience import patiently
from compression.studies.space import Choice, Open, Values
from compression.studies.study import Study

Row = dict[str, Any]
LOST, STOPPED, REPEATED = "its engine ended", "it was stopped", "it repeats another trial"
GIVEN_UP = (LOST, STOPPED, REPEATED)
"""Why a trial has no numbers where its setting is not to blame: it is run again, or another of the setting counts."""
_STATE = text("SELECT state FROM trials WHERE trial_id = :number")
_KEPT = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))


def head(key: str, recipe: Recipe, setting: Values) -> Row:
    """What is kept of a trial from its start."""
    return {"key": key, "recipe": recipe.model_dump(mode="json"), "seed": recipe.seed, "setting": dict(setting)}


@patiently
def begin(name: str, key: str, recipe: Recipe, given: Mapping[str, Open], values: Values) -> int:
    """Note a trial as running; its number in the database."""
    trial = create_trial(
        state=TrialState.RUNNING,
        params=dict(values),
        distributions={parameter: distribution(one) for parameter, one in given.items()},
    )
    with talking() as storage:
        number = int(storage.create_new_trial(id_of(storage, name), trial))
        _keep(storage, number, head(key, recipe, values))
        return number


@patiently
def finish(number: int, study: Study, row: Row, about: Mapping[str, Any]) -> None:
    """Keep what a trial measured, and with it all that a reader may ask about later.

    Args:
        number: of ``begin``.
        study: says which objectives the search goes by.
        row: flat names and numbers.
        about: epochs, versions, hardware, the path of the weights.
    """
    values = [float(row[PROXIES.get(name, (name,))[0]]) for name in study.objectives]
    for one in study.bounds:  # as Optuna keeps them, so that its samplers look where they are met
        if (excess := one.excess(row)) is not None:
            _constrain(number, one.written(), excess)
    _settle(number, {**about, "row": row}, TrialState.COMPLETE, values)


@patiently
def fail(number: int, reason: str) -> None:
    """Keep why a trial could not be measured."""
    _settle(number, {"reason": reason}, TrialState.FAIL)


@patiently
def give_up(number: int, reason: str) -> None:
    """Keep that a trial was stopped early, behind its rivals, and why."""
    _settle(number, {"reason": reason}, TrialState.PRUNED)


@patiently
def note(number: int, attributes: Row) -> None:
    """Keep more about a trial that is running."""
    with talking() as storage:
        _keep(storage, number, attributes)


@patiently
def release(name: str) -> int:
    """Give up the trials that nobody runs any more, so that they are run again; how many there were."""
    with talking() as storage:
        stale = storage.get_all_trials(id_of(storage, name), states=(TrialState.RUNNING,))
    for trial in stale:
        _settle(trial._trial_id, {"reason": LOST}, TrialState.FAIL)
    return len(stale)


@patiently
def trials(name: str) -> list[FrozenTrial]:
    """All trials of a study, whole; ``records`` reads what pages and tables need many times faster."""
    with talking() as storage:
        return list(storage.get_all_trials(id_of(storage, name), deepcopy=False))


def distribution(given: Open) -> optuna.distributions.BaseDistribution:
    """An open field in Optuna's words."""
    if isinstance(given, Choice):
        return optuna.distributions.CategoricalDistribution(given.values())
    if given.whole:
        return optuna.distributions.IntDistribution(
            int(given.low), int(given.high), log=given.log, step=int(given.step or 1)
        )
    return optuna.distributions.FloatDistribution(given.low, given.high, log=given.log, step=given.step)


def _constrain(number: int, name: str, excess: float) -> None:
    with talking() as storage, suppress(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_system_attr(number, f"constraints:{name}", excess)


def _settle(number: int, attributes: Mapping[str, Any], state: TrialState, values: list[float] | None = None) -> None:
    # A try before this one may have come through, though its answer was lost.
    with talking() as storage:
        with storage.engine.connect() as connection:
            found = connection.execute(_STATE, {"number": number}).scalar_one_or_none()
        if found and not TrialState[found].is_finished():  # it may have been deleted with its study, too
            _keep(storage, number, attributes)
            storage.set_trial_state_values(number, state, values)


def _keep(storage: RDBStorage, number: int, attributes: Mapping[str, Any]) -> None:
    """Keep attributes of a trial at once: one by one, as Optuna does it, each takes as long as all of them."""
    kept = [{"trial_id": number, "key": name, "value_json": json.dumps(value)} for name, value in attributes.items()]
    with storage.engine.begin() as connection:
        connection.execute(_KEPT.delete().where(_KEPT.c.trial_id == number, _KEPT.c.key.in_(list(attributes))))
        connection.execute(_KEPT.insert(), kept)
