"""Whose the present work is: each user of a shared server has a room of their own for what they bring and make.

An owner is an id of sixteen hexadecimal digits, which says nothing of the person; without one, all is of one room.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from compression.registry import UserError, quoted

VARIABLE = "ESPALIER_OWNER"
"""The environment variable that tells a process whose work it does."""
ID = re.compile(r"[0-9a-f]{16}")
NOBODY = "0" * 16
"""Who a server's own threads work for: a room that no user has."""

_source: Callable[[], str] | None = None
_given: ContextVar[str | None] = ContextVar("owner", default=None)


def owner() -> str:
    """The owner of the present work: of ``working_for``, else the server's present user, else ``ESPALIER_OWNER``.

    Raises:
        UserError: the variable holds no owner's id.
    """
    given = _given.get()
    if given is not None:
        return given
    if _source:
        return _source()
    said = os.environ.get(VARIABLE, "")
    if said and not ID.fullmatch(said):
        raise UserError(f"{VARIABLE} is {quoted(said)}; it must be sixteen hexadecimal digits, or empty")
    return said


def owner_id(login: str) -> str:
    """The id of whoever has this login: the first sixteen hexadecimal digits of its SHA-256."""
    return hashlib.sha256(login.encode()).hexdigest()[:16]


def known_by(source: Callable[[], str] | None) -> None:
    """Ask this function for the present owner from now on: a server has another one with every request."""
    global _source
    _source = source


@contextmanager
def working_for(whom: str) -> Iterator[None]:
    """Work for this owner, in this thread, until the block ends."""
    token = _given.set(whom)
    try:
        yield
    finally:
        _given.reset(token)


def environment() -> dict[str, str]:
    """The variables of a process that goes on with the present work."""
    return {**os.environ, VARIABLE: owner()}
