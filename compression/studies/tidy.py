"""Old uploads that nothing uses any more, and what errands left: found, and removed where that is asked for."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from compression.data.fetching import PARTIAL
from compression.data.quota import UPLOADS
from compression.data.root import USERS, data_root, own_root
from compression.models.own import home_data
from compression.owner import ID, owner, working_for
from compression.registry import UserError
from compression.studies import jobs, store, watch
from compression.studies.keys import named
from compression.studies.study import Study

DAY = 86_400.0


def clean(days: float) -> list[Path]:
    """Remove what is ``old``; the files that are gone.

    Raises:
        UserError: as ``old``; nothing is then removed.
    """
    gone = old(days)
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return gone


def old(days: float) -> list[Path]:
    """Files of data and models that were brought so many days ago or earlier, in this room and those of all users.

    What a study or a job of its owner names is not among them, however old. What an upload that broke off,
    an errand that has ended or a fetch that was killed left behind is, after a day.

    Raises:
        UserError: the days are fewer than one, or the studies cannot be read, so that what they use is not known.
    """
    if days < 1:
        raise UserError(f"--days is {days:g}; it must be at least 1")
    found: list[Path] = []
    for room in (owner(), *rooms()):
        with working_for(room):
            used = _used()
            found += [path for path in _uploads() if path.stem not in used and _age(path) >= days]
            found += [path for path in _left() if _age(path) >= 1]
    return [*found, *(folder for folder in sorted(data_root().glob(f"{PARTIAL}*")) if _age(folder) >= 1)]


def rooms() -> list[str]:
    """The ids of all users that have a room."""
    users = data_root() / USERS
    return sorted(room.name for room in users.iterdir() if ID.fullmatch(room.name)) if users.is_dir() else []


def _used() -> set[str]:
    """What the studies and jobs of the present owner name, and its own data; of a file's path its own name."""
    plans: list[Study | jobs.Plan] = [store.plan(name) for name in store.names()]
    for path in (own_root() / "sweeps").glob("*/plan.json"):
        with suppress(UserError):  # a plan of an older version, which nothing can read
            plans.append(jobs.read_plan(path.parent))
    names = {name for plan in plans for name in named(plan, ("model", "data", "teacher", "student"))}
    for name in tuple(names):
        with suppress(UserError):  # a card that is damaged
            names.add(home_data(name) or name)
    return {Path(name).stem if "/" in name else name for name in names}


def _uploads() -> Iterator[Path]:
    for folder in UPLOADS:
        yield from sorted(path for path in (own_root() / folder).glob("*") if path.is_file())


def _left() -> Iterator[Path]:
    """The files of errands that have ended, such as a zip to download."""
    for folder in sorted((own_root() / "errands").glob("*")):
        if not watch.alive(folder):
            yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _age(path: Path) -> float:
    """Days since a file was written; a part of an upload that is a day old is as old as can be."""
    days = (time.time() - path.stat().st_mtime) / DAY
    return float("inf") if path.name.startswith(".") and days >= 1 else days
