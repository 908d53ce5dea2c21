"""The database that keeps studies, which is Optuna's: how it is reached, and what a study is called in it.

SQLite under the root of one's own by default; any SQLAlchemy URL by ``ESPALIER_STORAGE``, where the names
of a server's users start with their ids.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from compression.data.root import own_root
from compression.owner import owner
from compression.registry import UserError, quoted, unknown
from compression.studies.patience import Away, passes

VARIABLE = "ESPALIER_STORAGE"
SECONDS = 10
"""The longest that a database may take to answer."""
optuna.logging.set_verbosity(optuna.logging.WARNING)


def storage_url() -> str:
    """The database's address: ``ESPALIER_STORAGE``, or a file under the root of one's own."""
    return os.environ.get(VARIABLE) or f"sqlite:///{own_root() / 'studies.db'}"


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
    """Have SQLite append what is written to a log: a trial has several writes, and none waits for the disk.

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


def ids(storage: RDBStorage) -> dict[str, int]:
    """The present owner's studies, by name."""
    found = {study.study_name: study._study_id for study in storage.get_all_studies()}
    return {name.rpartition("/")[2]: number for name, number in found.items() if is_own(name)}


def id_of(storage: RDBStorage, name: str) -> int:
    """A study's number in the database. Raises UserError: the present owner has no such study."""
    try:
        return int(storage.get_study_id_from_name(stored(name)))
    except KeyError:
        raise UserError(unknown("study", name, tuple(ids(storage)) or ("none yet",))) from None
