"""What a trial made, on disk before the store hears of it: weights for good, numbers until the store has them.

Whatever happens to the database or to the engine in between, what was measured is not measured again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from compression.data.quota import check_disk
from compression.data.root import own_root
from compression.registry import UserError
from compression.writing import write_whole

Row = dict[str, Any]


def folder() -> Path:
    """Where weights, locks and logs of studies lie, made where it is not there yet."""
    found = own_root() / "studies"
    found.mkdir(parents=True, exist_ok=True)
    return found


def keep(key: str, weights: bytes, row: Row, about: Mapping[str, Any]) -> Row:
    """Write what a trial made; all that the store is to know beside its row, the path of its weights included.

    Raises:
        UserError: the disk is full, or may not be written.
    """
    check_disk(len(weights))
    whole = {**about, "weights": f"studies/{key}.safetensors"}
    try:
        write_whole(folder() / f"{key}.safetensors", weights)
        write_whole(folder() / f"{key}.json", json.dumps({"row": row, "about": whole}).encode())
    except OSError as fault:
        raise UserError(f"The results of studies cannot be written to {own_root()}: {fault.strerror}") from None
    return whole


def left(key: str) -> tuple[Row, Row] | None:
    """The row of a trial and what is known beside it, where the store has not heard of it; None where it has."""
    try:
        found = json.loads((folder() / f"{key}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found["row"], found["about"]


def forget(key: str) -> None:
    """The store has it."""
    (folder() / f"{key}.json").unlink(missing_ok=True)


def leave_words(name: str, message: str) -> None:
    """Say why this process cannot go on with a study, where the store cannot be told; nothing takes it back."""
    with suppress(OSError):
        write_whole(folder() / f"{name}.fault", json.dumps({"pid": os.getpid(), "message": message}).encode())


def last_words(name: str, pid: object) -> str:
    """Why an engine could not go on that could not tell the store; empty where it left no word on this machine."""
    try:
        found = json.loads((folder() / f"{name}.fault").read_bytes())
    except (OSError, ValueError):
        return ""
    return str(found["message"]) if found["pid"] == pid else ""
