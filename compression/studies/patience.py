"""A database that is away for a while: locked by another program, or restarting. An engine waits for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from compression.registry import UserError

Given = ParamSpec("Given")
Found = TypeVar("Found")
PAUSE = 0.5
"""Seconds between two tries."""
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
PASSING = ("08", "40", "53300", "55P03", "57P")
"""How PostgreSQL's codes begin that pass: no connection, a conflict, too many clients, a lock, a restart."""
_seconds: ContextVar[float] = ContextVar("seconds", default=0.0)


class Away(UserError):
    """A database that does not answer now, and may do so in a while."""


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Within it, in this thread, what asks the database waits up to so many seconds for it."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


def patiently(call: Callable[Given, Found]) -> Callable[Given, Found]:
    """The same function, which is called again while the database is away and the caller is patient."""

    @wraps(call)
    def again(*arguments: Given.args, **named: Given.kwargs) -> Found:
        end = time.monotonic() + _seconds.get()
        while True:
            try:
                return call(*arguments, **named)
            except Away:
                if time.monotonic() >= end:
                    raise
                time.sleep(PAUSE)

    return again


def passes(fault: BaseException) -> bool:
    """Whether what a database said may pass by itself."""
    while not isinstance(fault, OperationalError | InterfaceError):
        if fault.__cause__ is None:
            return False
        fault = fault.__cause__
    said = fault.orig
    if isinstance(said, sqlite3.Error):
        return getattr(said, "sqlite_errorcode", None) in LOCKED
    code = getattr(said, "sqlstate", None)
    return fault.connection_invalidated or code is None or str(code).startswith(PASSING)
