"""Who may enter a team's server: a text file with one e-mail address a line, or ``@domain`` for all of one."""

from __future__ import annotations

import re
from pathlib import Path

from compression.registry import UserError, quoted

VARIABLE = "ESPALIER_TEAM"
"""The environment variable with a list's path, which has a server ask for logins; ``espalier serve --team`` sets it."""
LINE = re.compile(r"[^\s@]*@[^\s@]+")


def read_roster(path: Path) -> frozenset[str]:
    """The addresses and domains of a list; empty lines and what follows a # do not count.

    Raises:
        UserError: the file cannot be read, has nobody on it, or a line that is neither an address nor a domain.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise UserError(f"No list of those who may enter can be read at {quoted(str(path))}") from None
    entries = frozenset(entry.casefold() for line in lines if (entry := line.partition("#")[0].strip()))
    wrong = sorted(entry for entry in entries if not LINE.fullmatch(entry))
    if wrong:
        raise UserError(f"The list of those who may enter has {quoted(wrong[0])}; give name@domain or @domain a line")
    if not entries:
        raise UserError(f"Nobody is on the list {quoted(str(path))}; give name@domain or @domain a line")
    return entries


def welcome(email: object, verified: object, roster: frozenset[str]) -> bool:
    """Whether an address is on the list, itself or by its domain; one that its provider calls unverified never is.

    Some providers write ``"true"`` for True, and some say nothing, which is None.
    """
    if not isinstance(email, str) or not LINE.fullmatch(email) or email.startswith("@"):
        return False
    if verified not in (True, "true", None):
        return False
    address = email.casefold()
    return address in roster or f"@{address.rpartition('@')[2]}" in roster
