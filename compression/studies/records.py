"""What the trials of a study came to, read in one query: thousands of them cost a page little."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import TextClause, bindparam, text

from compression.registry import UserError
from compression.studies import database, recording, store
from compression.studies.patience import patiently

Row = dict[str, Any]
BASELINE = -1
"""The number that the baseline has among a study's trials."""
_TRIALS = (
    "SELECT trials.trial_id, trials.number, trials.state, own.key, own.value_json FROM trials "
    "JOIN studies ON studies.study_id = trials.study_id "
    "LEFT JOIN trial_user_attributes AS own ON own.trial_id = trials.trial_id AND own.key IN :keys "
    "WHERE studies.study_name = :name"
)
_ALL = text(f"{_TRIALS} ORDER BY trials.number").bindparams(bindparam("keys", expanding=True))
_ONE = text(f"{_TRIALS} AND trials.number = :number").bindparams(bindparam("keys", expanding=True))
_FAILED = text(f"{_TRIALS} AND trials.state = 'FAIL' ORDER BY trials.number").bindparams(
    bindparam("keys", expanding=True)
)
_ENDED = text(
    "SELECT COUNT(*) FROM trials JOIN studies ON studies.study_id = trials.study_id "
    "WHERE studies.study_name = :name AND trials.state NOT IN ('RUNNING', 'WAITING')"
)
_KNOWN = text(
    "SELECT trials.trial_id, studies.study_name FROM trials JOIN studies ON studies.study_id = trials.study_id "
    "JOIN trial_user_attributes AS own ON own.trial_id = trials.trial_id "
    "WHERE own.key = 'key' AND own.value_json = :key AND trials.state = 'COMPLETE'"
)


@dataclass(frozen=True)
class Record:
    """A trial as the database has it: its number in the database and in its study, its state, what is kept of it."""

    id: int
    number: int
    state: TrialState
    kept: Row


def records(name: str, *keys: str, number: int | None = None) -> list[Record]:
    """All trials of a study in their order, or one, with the attributes asked for; an unknown study has none."""
    return _read(_ALL, name, keys) if number is None else _read(_ONE, name, keys, number=number)


@patiently
def _read(query: TextClause, name: str, keys: Sequence[str], **asked: int) -> list[Record]:
    found: dict[int, Record] = {}
    with database.talking() as storage, storage.engine.connect() as connection:
        for trial, own, state, key, value in connection.execute(
            query, {**asked, "name": database.stored(name), "keys": keys or ("",)}
        ):
            record = found.setdefault(trial, Record(trial, own, TrialState[state], {}))
            if key:
                record.kept[key] = json.loads(value)
    return list(found.values())


def rows(name: str) -> list[Row]:
    """What every finished trial measured, each setting once: flat names and numbers, ``trial`` its number."""
    about, found = store.about(name), dict[str, Row]()
    for record in records(name, "key", "row"):
        # The first of a setting stands: what a sampler asked for again has its numbers.
        if record.state == TrialState.COMPLETE and record.kept["key"] not in found:
            timed = about.get(f"{store.TIMED}{record.id}", {})
            found.setdefault(record.kept["key"], {"trial": record.number, **record.kept["row"], **timed})
    return list(found.values())


def points(name: str) -> list[Row]:
    """All that a chart draws of a study: its baseline, where it was measured, and its rows; each says the study."""
    start = store.about(name).get("baseline")
    first = [{"trial": BASELINE, **start}] if start else []
    return [{"study": name, **row} for row in first + rows(name)]


@patiently
def known(name: str) -> tuple[int, int]:
    """The study's number in the database, and how much is known of it: either changes whenever its points do."""
    with database.talking() as storage, storage.engine.connect() as connection:
        ended = connection.execute(_ENDED, {"name": database.stored(name)}).scalar_one()
    about = store.about(name)
    return store.number(name), ended + ("baseline" in about) + sum(key.startswith(store.TIMED) for key in about)


def trial(name: str, number: int) -> Row:
    """All that is kept of one finished trial: recipe, row, epochs, seed, versions, hardware, weights, seconds.

    Raises:
        UserError: the study has no such trial, or it has not finished.
    """
    keys = ("recipe", "row", "epochs", "seed", "versions", "hardware", "weights", "seconds", "reused", "setting")
    for record in records(name, *keys, number=number):
        if record.state == TrialState.COMPLETE:
            return record.kept
    raise UserError(f"The study '{name}' has no finished trial {number}; it may have been deleted meanwhile")


def failures(name: str) -> Iterator[tuple[str, Row, str]]:
    """Key, setting and reason of every trial that could not be measured, those given up apart."""
    for record in _read(_FAILED, name, ("key", "setting", "reason")):
        reason = record.kept.get("reason", "")
        if reason not in recording.GIVEN_UP:
            yield record.kept.get("key", str(record.number)), record.kept.get("setting", {}), reason


def timed(name: str) -> set[int]:
    """The numbers in the database of the trials that have a timing."""
    return {int(key.removeprefix(store.TIMED)) for key in store.about(name) if key.startswith(store.TIMED)}


@patiently
def measured(key: str) -> FrozenTrial | None:
    """A finished trial of any study of the present owner with this key; None where there is none."""
    with database.talking() as storage:
        with storage.engine.connect() as connection:
            found = connection.execute(_KNOWN, {"key": json.dumps(key)}).all()
        known = next((trial for trial, study in found if database.is_own(study)), None)
        return None if known is None else storage.get_trial(known)
