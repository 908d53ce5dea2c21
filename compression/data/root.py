"""Where data sets and studies lie on this machine; read without torch."""

from __future__ import annotations

import os
from pathlib import Path

from compression.owner import owner
from compression.registry import UserError, quoted

USERS = "users"
"""The folder with a room for every user of a shared server."""


def data_root() -> Path:
    """Where fetched data sets live, which all share: ``$ESPALIER_DATA`` or ``~/.cache/espalier/data``."""
    return Path(os.environ.get("ESPALIER_DATA") or Path.home() / ".cache" / "espalier" / "data")


def own_root() -> Path:
    """Where what somebody brought or made lies, data and models of one's own, studies: ``users/ID`` for an owner."""
    whom = owner()
    return data_root() / USERS / whom if whom else data_root()


def own_path(given: str | Path) -> Path:
    """A path that somebody gave, where it may be followed: users of a shared server have names, and no way elsewhere.

    Raises:
        UserError: for an owner, a path that leads out of their room.
    """
    if owner() and not _within(Path(given), own_root()):
        raise UserError(f"{quoted(str(given))} is a path; on this server models and data sets go by their names")
    return Path(given)


def _within(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # no system takes such a name, or its links go round
        return False


def own_file(name: str) -> Path:
    """Where a data set of one's own lies that was added by this name."""
    return own_root() / "own" / f"{name}.safetensors"
