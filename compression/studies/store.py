"""Where studies live: Optuna's database, the one source of truth.

SQLite under the root of one's own by default; any SQLAlchemy URL by ``ESPALIER_STORAGE``, where the names
of a server's users start with their ids. A study's plan
and a trial's recipe, numbers and epochs are attributes, so that whatever reads Optuna's tables
reads ours. Trained weights lie beside the database, each file named by its trial's key.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import column, table, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from compression.data.root import own_root
from compression.goals import OBJECTIVES, PROXIES, Direction
from compression.owner import owner
from compression.recipe import Recipe, validated
from compression.registry import UserError, quoted, unknown
from compression.studies.patience import Away, passes, patiently
from compression.studies.space import Choice, Open, Values
from compression.studies.study import Study

Row = dict[str, Any]
VARIABLE = "ESPALIER_STORAGE"
SECONDS = 10
"""The longest that a database may take to answer."""
LOST, STOPPED, REPEATED = "its engine ended", "it was stopped", "it repeats another trial"
GIVEN_UP = (LOST, STOPPED, REPEATED)
"""Why a trial has no numbers where its setting is not to blame: it is run again, or another of the setting counts."""
TIMED = "timed."
"""What a study's attributes of timings are called, before the trial's number."""
_STATE = text("SELECT state FROM trials WHERE trial_id = :number")
_KEPT = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))
_INDEX = text("CREATE INDEX IF NOT EXISTS espalier_keys ON trial_user_attributes (value_json) WHERE key = 'key'")
"""Whether a recipe is known is asked before every trial, and would else take longer with each."""
optuna.logging.set_verbosity(optuna.logging.WARNING)


def storage_url() -> str:
    """The database's address: ``ESPALIER_STORAGE``, or a file under the root of one's own."""
    return os.environ.get(VARIABLE) or f"sqlite:///{own_root() / 'studies.db'}"


def create(study: Study) -> None:
    """Put a study into the store; the same study may be put there again.

    Raises:
        UserError: another one has this name, or the database does not answer.
    """
    with talking() as storage:
        if study.name in _ids(storage):
            if plan(study.name) != study:
                raise UserError(f"There is another study named {quoted(study.name)}; choose another name, or delete it")
            return
        made = optuna.create_study(storage=storage, study_name=stored(study.name), directions=directions(study))
        made.set_user_attr("plan", study.model_dump(mode="json"))
        with suppress(DBAPIError), storage.engine.begin() as connection:  # it makes looking up faster, no more
            connection.execute(_INDEX)


def stored(name: str) -> str:
    """What a study is called in the database: for an owner ``ID/name``, which no other owner's name can be.

    Raises:
        UserError: the name holds a slash, as none does.
    """
    if "/" in name:
        raise UserError(f"Unknown study {quoted(name)}; no name holds a slash")
    return f"{owner()}/{name}" if owner() else name


def is_own(found: str) -> bool:
    """Whether a study that is called so in the database is the present owner's."""
    return found.rpartition("/")[0] == owner()


def directions(study: Study) -> list[Direction]:
    """Which way each objective goes, by what a search goes by."""
    return [PROXIES[name][1] if name in PROXIES else OBJECTIVES[name] for name in study.objectives]


def number(name: str) -> int:
    """A study's number in the database, which no later one of the same name has."""
    with talking() as storage:
        return _id(storage, name)


def names() -> tuple[str, ...]:
    """All studies with a plan, the newest last. Raises UserError where the database does not answer."""
    with talking() as storage:
        return tuple(name for name, number in _ids(storage).items() if _planned(storage.get_study_user_attrs(number)))


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
        storage.delete_study(_id(storage, name))


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
        number = int(storage.create_new_trial(_id(storage, name), trial))
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
def keep_baseline(name: str, row: Row) -> None:
    """Keep what the model measured before anything was done to it."""
    with talking() as storage:
        storage.set_study_user_attr(_id(storage, name), "baseline", row)


@patiently
def about(name: str) -> Row:
    """All that is kept of a study beside its trials: plan, baseline, engine, what is wanted, timings."""
    with talking() as storage:
        return dict(storage.get_study_user_attrs(_id(storage, name)))


@patiently
def add_timing(name: str, number: int, row: Row) -> None:
    """Keep what was timed of a finished trial: it comes last, and a finished trial takes no more."""
    with talking() as storage:
        storage.set_study_user_attr(_id(storage, name), f"{TIMED}{number}", row)


@patiently
def note(number: int, attributes: Row) -> None:
    """Keep more about a trial that is running."""
    with talking() as storage:
        _keep(storage, number, attributes)


def ask(name: str, what: Literal["run", "pause", "cancel"]) -> None:
    """Say what the engine of a study is to do; it looks about every two seconds."""
    with talking() as storage:
        storage.set_study_user_attr(_id(storage, name), "wanted", what)


def wanted(name: str) -> str:
    """What the engine is to do: run, pause or cancel."""
    return str(about(name).get("wanted", "run"))


@patiently
def tell(name: str, state: Row) -> None:
    """Keep how a study's engine is."""
    with talking() as storage:
        storage.set_study_user_attr(_id(storage, name), "engine", state)


def told(name: str) -> Row:
    """What the engine said last; empty where none has run."""
    return dict(about(name).get("engine", {}))


@patiently
def release(name: str) -> int:
    """Give up the trials that nobody runs any more, so that they are run again; how many there were."""
    with talking() as storage:
        stale = storage.get_all_trials(_id(storage, name), states=(TrialState.RUNNING,))
        for trial in stale:
            storage.set_trial_user_attr(trial._trial_id, "reason", LOST)
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return len(stale)


@patiently
def trials(name: str) -> list[FrozenTrial]:
    """All trials of a study, whole; ``records`` reads what pages and tables need many times faster."""
    with talking() as storage:
        return list(storage.get_all_trials(_id(storage, name), deepcopy=False))


def distribution(given: Open) -> optuna.distributions.BaseDistribution:
    """An open field in Optuna's words."""
    if isinstance(given, Choice):
        return optuna.distributions.CategoricalDistribution(given.values())
    if given.whole:
        return optuna.distributions.IntDistribution(
            int(given.low), int(given.high), log=given.log, step=int(given.step or 1)
        )
    return optuna.distributions.FloatDistribution(given.low, given.high, log=given.log, step=given.step)


@contextmanager
def talking() -> Iterator[RDBStorage]:
    """The store; what it cannot do becomes one line that names the database, without its password."""
    url = storage_url()
    try:
        yield _storage(url)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, OSError) as fault:
        cause = fault.__cause__ or fault
        reason = str(getattr(cause, "orig", None) or cause).splitlines()[0][:200]
        kind = Away if passes(fault) else UserError
        raise kind(f"The studies in {shown(url)} cannot be reached: {reason}") from None


def shown(url: str) -> str:
    """An address without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return quoted(re.sub(r"//.*@", "//", url))


_opened: dict[str, RDBStorage] = {}
_opening = threading.Lock()
"""Two threads that make the tables of a new database at once are in each other's way."""


def _storage(url: str) -> RDBStorage:
    with _opening:
        if url not in _opened:
            _opened[url] = _open(url)
        return _opened[url]


def _open(url: str) -> RDBStorage:
    wait = {"timeout": SECONDS} if url.startswith("sqlite") else {"connect_timeout": SECONDS}
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    begun = [(_write_ahead, "connect")] if url.startswith("sqlite") else []
    return RDBStorage(url, engine_kwargs={"connect_args": wait, "pool_pre_ping": True, "pool_events": begun})


def _write_ahead(connection: Any, _: object) -> None:
    """Have SQLite append what is written to a log: a trial has a dozen writes, and none waits for the disk.

    Whatever process is killed, the database stays whole; only a power cut may take the last trials with it.
    """
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def let_go() -> None:
    """Close every database that was opened."""
    for storage in _opened.values():
        storage.remove_session()
        storage.engine.dispose()
    _opened.clear()


def _constrain(number: int, name: str, excess: float) -> None:
    with talking() as storage, suppress(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_system_attr(number, f"constraints:{name}", excess)


def _settle(number: int, attributes: Mapping[str, Any], state: TrialState, values: list[float] | None = None) -> None:
    # A try before this one may have come through, though its answer was lost.
    with talking() as storage:
        with storage.engine.connect() as connection:
            found = connection.execute(_STATE, {"number": number}).scalar_one()
        if not TrialState[found].is_finished():
            _keep(storage, number, attributes)
            storage.set_trial_state_values(number, state, values)


def _keep(storage: RDBStorage, number: int, attributes: Mapping[str, Any]) -> None:
    """Keep attributes of a trial at once: one by one, as Optuna does it, each takes as long as all of them."""
    kept = [{"trial_id": number, "key": name, "value_json": json.dumps(value)} for name, value in attributes.items()]
    with storage.engine.begin() as connection:
        connection.execute(_KEPT.delete().where(_KEPT.c.trial_id == number, _KEPT.c.key.in_(list(attributes))))
        connection.execute(_KEPT.insert(), kept)


def _ids(storage: RDBStorage) -> dict[str, int]:
    """The present owner's studies, by name."""
    found = {study.study_name: study._study_id for study in storage.get_all_studies()}
    return {name.rpartition("/")[2]: number for name, number in found.items() if is_own(name)}


def _id(storage: RDBStorage, name: str) -> int:
    try:
        return int(storage.get_study_id_from_name(stored(name)))
    except KeyError:
        raise UserError(unknown("study", name, tuple(_ids(storage)) or ("none yet",))) from None
