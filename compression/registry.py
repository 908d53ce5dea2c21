"""Method cards: what the menus, the help texts and the tests all read."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Entry = TypeVar("Entry")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
"""What people may call what they keep: a file can be called so on every system."""


class UserError(ValueError):
    """A fault in what was asked for: one line that says what was given and what is allowed."""


@dataclass(frozen=True)
class Method:
    """One way of doing a thing, as a card.

    Attributes:
        key: the name used in recipes and on the command line.
        label: the name shown in menus.
        sentence: what it does, in one plain sentence.
        formula: LaTeX, without dollar signs.
        paper: author, year, title or venue, and an arXiv number or link where there is one.
        call: the function that does it.
        needs: what it cannot work without, e.g. ``"batchnorm"``.
    """

    key: str
    label: str
    sentence: str
    formula: str
    paper: str
    call: Callable[..., Any]
    needs: tuple[str, ...] = ()


def pick(table: Mapping[str, Entry], key: str, what: str) -> Entry:
    """Return ``table[key]``.

    Raises:
        UserError: the key is not in the table; the line lists what is.
    """
    if key in table:
        return table[key]
    raise UserError(unknown(what, key, table))


def in_a_line(fault: BaseException, most: int = 200) -> str:
    """What a fault says, in one line of at most so many characters; what kind it is where it says nothing."""
    return " ".join(str(fault).split())[:most] or type(fault).__name__


def unknown(what: str, given: object, allowed: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The one line for an unknown name: what was given, the nearest name, and all that exist."""
    near = difflib.get_close_matches(given, list(allowed), n=1) if isinstance(given, str) else []
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"Unknown {what} {quoted(given)}{hint}; choose one of: {', '.join(allowed)}"


def quoted(given: object) -> str:
    """What was given, as Python writes it, on one line and cut short: it may be long or nested without end."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    short.maxlevel, short.maxlist, short.maxdict = 2, 4, 4
    return short.repr(given)


def plain_name(given: str) -> str:
    """The name that was given to what is kept.

    Raises:
        UserError: it is not 1 to 64 letters, digits, spaces, dots, _ or -.
    """
    if not NAME.fullmatch(given):
        raise UserError(f"name is {quoted(given)}; it must be 1 to 64 letters, digits, spaces, dots, _ or -")
    return given
