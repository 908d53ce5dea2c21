"""Studies as they are kept: the plan, the baseline, how the engine is, and what it is to do.

Optuna's database is the one source of truth: a plan is an attribute of its study, so that whatever reads
Optuna's tables reads ours. ``recording`` keeps the trials.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

import optuna
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from compression.goals import OBJECTIVES, PROXIES, Direction
from compression.recipe import validated
from compression.registry import UserError, quoted
from compression.studies.database import id_of, ids, stored, talking
from compression.studies.patience import patiently
from compression.studies.study import Study

Row = dict[str, Any]
TIMED = "timed."
"""What a study's attributes of timings are called, before the trial's number."""
_INDEX = text("CREATE INDEX IF NOT EXISTS espalier_keys ON trial_user_attributes (value_json) WHERE key = 'key'")
"""Whether a recipe is known is asked before every trial, and would else take longer with each."""


def create(study: Study) -> None:
    """Put a study into the store; the same study may be put there again.

    Raises:
        UserError: another one has this name, or the database does not answer.
    """
    with talking() as storage:
        if study.name in ids(storage):
            if plan(study.name) != study:
                raise UserError(f"There is another study named {quoted(study.name)}; choose another name, or delete it")
            return
        made = optuna.create_study(storage=storage, study_name=stored(study.name), directions=directions(study))
        made.set_user_attr("plan", study.model_dump(mode="json"))
        with suppress(DBAPIError), storage.engine.begin() as connection:  # it makes looking up faster, no more
            connection.execute(_INDEX)


def directions(study: Study) -> list[Direction]:
    """Which way each objective goes, by what a search goes by."""
    return [PROXIES[name][1] if name in PROXIES else OBJECTIVES[name] for name in study.objectives]


def number(name: str) -> int:
    """A study's number in the database, which no later one of the same name has."""
    with talking() as storage:
        return id_of(storage, name)


def names() -> tuple[str, ...]:
    """All studies with a plan, the newest last. Raises UserError where the database does not answer."""
    with talking() as storage:
        return tuple(name for name, number in ids(storage).items() if _planned(storage.get_study_user_attrs(number)))


def _planned(attributes: Row) -> bool:
    """Whether a study has a plan that this version can read; another program's has none."""
    try:
        return "plan" in attributes and bool(validated(Study, attributes["plan"]))
    except UserError:
        return False


def plan(name: str) -> Study:
    """A study's plan. Raises UserError: there is no such study, or it was not made by this program."""
    attributes = about(name)
    if "plan" not in attributes:
        raise UserError(f"The study {quoted(name)} has no plan: another program made it")
    found: Study = validated(Study, attributes["plan"])
    return found


def delete(name: str) -> None:
    """Take a study with all its trials out of the store; weights that others share stay."""
    with talking() as storage:
        storage.delete_study(id_of(storage, name))


@patiently
def keep_baseline(name: str, row: Row) -> None:
    """Keep what the model measured before anything was done to it."""
    with talking() as storage:
        storage.set_study_user_attr(id_of(storage, name), "baseline", row)


@patiently
def about(name: str) -> Row:
    """All that is kept of a study beside its trials: plan, baseline, engine, what is wanted, timings."""
    with talking() as storage:
        return dict(storage.get_study_user_attrs(id_of(storage, name)))


@patiently
def add_timing(name: str, number: int, row: Row) -> None:
    """Keep what was timed of a finished trial: it comes last, and a finished trial takes no more."""
    with talking() as storage:
        storage.set_study_user_attr(id_of(storage, name), f"{TIMED}{number}", row)


def ask(name: str, what: Literal["run", "pause", "cancel"]) -> None:
    """Say what the engine of a study is to do; it looks about every two seconds."""
    with talking() as storage:
        storage.set_study_user_attr(id_of(storage, name), "wanted", what)


def wanted(name: str) -> str:
    """What the engine is to do: run, pause or cancel."""
    return str(about(name).get("wanted", "run"))


@patiently
def tell(name: str, state: Row) -> None:
    """Keep how a study's engine is."""
    with talking() as storage:
        storage.set_study_user_attr(id_of(storage, name), "engine", state)


def told(name: str) -> Row:
    """What the engine said last; empty where none has run."""
    return dict(about(name).get("engine", {}))
