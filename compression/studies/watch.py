"""A process that works in a folder: how far it says it is, whether it lives, and how it is stopped.

The folder holds ``state.json``, which the process writes, ``pid`` and ``log.txt``.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psutil

from compression.recipe import Frozen
from compression.registry import UserError
from compression.studies.launch import launch
from compression.writing import write_whole

UNDER_WAY = ("waiting", "running")


class State(Frozen):
    """How far a job is. ``cancelled`` and ``failed`` keep the rows that were done."""

    state: Literal["waiting", "running", "done", "cancelled", "failed"] = "waiting"
    done: int = 0
    total: int = 0
    message: str = ""
    failures: tuple[str, ...] = ()
    pid: int | None = None
    started: float = 0.0
    updated: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None before the first point."""
        if self.state != "running" or not self.done:
            return None
        return (self.updated - self.started) / self.done * (self.total - self.done)


@contextmanager
def one_by_one(root: Path) -> Iterator[None]:
    """Hold the folder of all work of a kind, so that of two who begin some the second sees what the first began."""
    root.mkdir(parents=True, exist_ok=True)
    held = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def begin(folder: Path, module: str) -> None:
    """Start a module that is to work in this folder, which is there."""
    write_state(folder, State(started=time.time()))
    with (folder / "log.txt").open("wb") as log:
        number = launch(log, module, str(folder))
    (folder / "pid").write_text(str(number))


def present_state(folder: Path, what: str) -> State:
    """The state of ``what`` works in a folder; a process that died is reported as failed, with the end of its log.

    Raises:
        UserError: its state cannot be read.
    """
    present = _read(folder, what)
    if present.state in UNDER_WAY and not alive(folder):
        present = _read(folder, what)  # again, since its last words may have come in between
        if present.state in UNDER_WAY:
            message = f"the process ended early: {_last_words(folder)}"
            return present.model_copy(update={"state": "failed", "message": message})
    return present


def _read(folder: Path, what: str) -> State:
    try:
        return State(**json.loads((folder / "state.json").read_text()))
    except (OSError, TypeError, ValueError):
        raise UserError(f"The state of {what} '{folder.name}' cannot be read; start it again") from None


def _last_words(folder: Path) -> str:
    log = folder / "log.txt"
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else "no reason in its log"


def write_state(folder: Path, present: State) -> None:
    """Write a job's state in one step, so that a reader never meets half of it."""
    path = folder / "state.json"
    started = present.started or time.time()
    if not present.started and path.is_file():
        started = json.loads(path.read_text())["started"]
    body = present.model_copy(update={"started": started, "updated": time.time()})
    write_whole(path, body.model_dump_json().encode())


def stop(folder: Path, what: str) -> None:
    """End the process of a folder with its workers, and have its state say so."""
    if present_state(folder, what).state not in UNDER_WAY:
        return
    try:
        pid = int((folder / "pid").read_text())
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        os.killpg(pid, signal.SIGTERM)
        for process in psutil.wait_procs(family, timeout=5)[1]:
            process.kill()
    except (OSError, ValueError, psutil.Error):
        pass  # it ended meanwhile
    present = _read(folder, what)
    if present.state in UNDER_WAY:
        write_state(folder, present.model_copy(update={"state": "cancelled"}))


def alive(folder: Path) -> bool:
    """Whether the process of a folder runs."""
    try:
        pid = int((folder / "pid").read_text())
    except (OSError, ValueError):
        # Between making the folder and writing the pid there is a moment without one.
        return time.time() - folder.stat().st_mtime < 5
    try:
        command = psutil.Process(pid).cmdline()
        # By its command too: after a restart the number may be that of another process. One that begins has none yet.
        return not command or str(folder) in command
    except psutil.Error:
        return False
