"""How training is stopped from outside: whoever runs it says when, and every batch asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_asked: Callable[[], bool] | None = None


class Stopped(Exception):
    """Training was asked to stop; nothing of it is kept."""


@contextmanager
def stoppable(asked: Callable[[], bool]) -> Iterator[None]:
    """Within it, training in this process raises ``Stopped`` at the first batch at which ``asked`` says so."""
    global _asked
    before, _asked = _asked, asked
    try:
        yield
    finally:
        _asked = before


def check() -> None:
    """Raise Stopped where it was asked for."""
    if _asked and _asked():
        raise Stopped
