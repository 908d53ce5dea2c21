"""How much the users of a shared server may take: what each brings, what each runs, and the disk of all together."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from compression.data.root import USERS, data_root, own_root
from compression.owner import owner
from compression.registry import UserError, quoted

UPLOADS = ("own", "models")
"""The folders of a room that hold what its owner brought."""
GB = 1e9
FRESH = 10
"""Seconds for which the size of a folder is taken as known."""


@dataclass(frozen=True)
class Quota:
    """What may be taken at most: the variable that says it, how much it is where nobody says, and of what."""

    variable: str
    default: float
    sentence: str


QUOTAS: dict[str, Quota] = {
    "uploads": Quota("ESPALIER_UPLOADS_GB", 5, "GB of data and models that a user brings"),
    "studies": Quota("ESPALIER_STUDIES", 2, "studies, sweeps, lessons, pipelines and exports that a user runs at once"),
    "disk": Quota("ESPALIER_DISK_GB", 50, "GB that all users together take"),
}


def allowed(key: str) -> float:
    """How much of a quota may be taken: what its variable says, else its default; no end of it without an owner.

    Raises:
        UserError: the variable holds no number of 0 or more.
    """
    quota = QUOTAS[key]
    if given := os.environ.get(quota.variable):
        return amount(quota, given, quota.variable)
    return quota.default if owner() else math.inf


def amount(quota: Quota, given: str, called: str) -> float:
    """How much of a quota somebody gave. Raises UserError where it is no number of 0 or more."""
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise UserError(f"{called} is {quoted(given)}; give the {quota.sentence} as a number of 0 or more")
    return number


def check_upload(size: int) -> None:
    """Raise UserError where so many more bytes would be more than the present owner may bring, or the disk may hold."""
    brought = sum(taken(own_root() / folder) for folder in UPLOADS)
    most = allowed("uploads")
    if brought + size > most * GB:
        raise UserError(
            f"What you brought takes {_gb(brought)} of your {most:g} GB, and this needs {_gb(size)} more; "
            "remove a data set or a model of yours"
        )
    check_disk(size)


def check_disk(size: int = 0) -> None:
    """Raise UserError where so many more bytes would be more than all users together may take."""
    most = allowed("disk")
    if math.isinf(most):
        return
    total = taken_lately(data_root() / USERS, int(time.monotonic() / FRESH))
    if total + size > most * GB:
        raise UserError(
            f"The disk for all users is full: {_gb(total)} of {most:g} GB are taken; "
            "remove what you need no more, or ask whoever runs this server"
        )


@lru_cache(maxsize=1)
def taken_lately(folder: Path, now: int) -> int:
    """``taken``, counted once in a while: a study asks after every trial."""
    return taken(folder)


def taken(folder: Path) -> int:
    """Bytes of all files in a folder and those below; files that go meanwhile do not count."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(at, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _gb(size: float) -> str:
    return f"{size / GB:.3g} GB"
