"""A sweep as a job: a folder with a plan, rows and a state, and a process of its own.

The page only reads the folder, so closing the browser or opening a second tab changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import ValidationError

from compression.data.sets import data_root
from compression.measure.hardware import versions
from compression.models.zoo import FOLDER
from compression.recipe import Frozen, validated
from compression.registry import UserError
from compression.studies.plan import Sweep

Row = dict[str, Any]


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


def start(plan: Sweep, fresh: bool = False) -> str:
    """Start a sweep in a process of its own and return the job's name.

    The same plan on the same weights and versions has the same name: a job that is running or
    done is not started again unless ``fresh``.
    """
    name = _name(plan)
    folder = _root() / name
    present = state(name) if folder.is_dir() else State()
    if present.state == "running" or (present.state == "done" and not fresh):
        return name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    write_state(folder, State(started=time.time()))
    with (folder / "log.txt").open("wb") as log:
        # A session of its own: closing the server's terminal does not end it, and cancelling
        # reaches its workers too.
        process = subprocess.Popen(
            [sys.executable, "-m", "compression.studies.sweep", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))
    return name


def state(name: str) -> State:
    """The state of a job; a process that died is reported as failed, with the end of its log.

    Raises:
        UserError: no such job.
    """
    folder = _folder(name)
    try:
        present = State(**json.loads((folder / "state.json").read_text()))
    except (OSError, ValueError, ValidationError):
        raise UserError(f"The state of job '{name}' cannot be read") from None
    if present.state in ("waiting", "running") and not _alive(folder):
        lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "no reason in its log"
        return present.model_copy(update={"state": "failed", "message": f"the process ended early: {reason}"})
    return present


def rows(name: str) -> list[Row]:
    """The rows so far, in the plan's order; a point that was timed has its later, fuller row.

    Raises:
        UserError: no such job.
    """
    path = _folder(name) / "rows.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    found = {row["point"]: row for row in map(_parsed, lines) if row}
    return [found[point] for point in sorted(found)]


def plan(name: str) -> Sweep:
    """The plan of a job. Raises UserError when there is no such job."""
    return read_plan(_folder(name))


def exists(name: str) -> bool:
    """Whether there is such a job on this machine."""
    return name.isalnum() and (_root() / name / "plan.json").is_file()


def latest(model: str, data: str) -> str | None:
    """The job of this model and data that was started last; None where there is none."""
    folders = sorted(_root().glob("*/plan.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders:
        try:
            present = read_plan(path.parent)
        except (UserError, ValueError):
            continue  # a plan of an older version
        if present.model == model and present.data in (data, None):
            return path.parent.name
    return None


def cancel(name: str) -> None:
    """Stop a job with its workers; its rows stay. Raises UserError when there is no such job."""
    folder = _folder(name)
    present = state(name)
    if present.state not in ("waiting", "running"):
        return
    try:
        os.killpg(int((folder / "pid").read_text()), signal.SIGTERM)
    except (OSError, ValueError):
        pass  # it ended meanwhile
    write_state(folder, present.model_copy(update={"state": "cancelled"}))


def read_plan(folder: Path) -> Sweep:
    """The plan in a job folder. Raises UserError when it is not valid."""
    found: Sweep = validated(Sweep, json.loads((folder / "plan.json").read_text()))
    return found


def append_row(folder: Path, row: Row) -> None:
    """Add a row to a job."""
    with (folder / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def write_state(folder: Path, present: State) -> None:
    """Write a job's state in one step, so that a reader never meets half of it."""
    path = folder / "state.json"
    started = present.started or time.time()
    if not present.started and path.is_file():
        started = json.loads(path.read_text())["started"]
    body = present.model_copy(update={"started": started, "updated": time.time()})
    partial = folder / "state.partial"
    partial.write_text(body.model_dump_json())
    partial.replace(path)


def _parsed(line: str) -> Row | None:
    try:
        row: Row = json.loads(line)
        return row
    except json.JSONDecodeError:
        return None  # the line is being written at this moment


def _name(plan: Sweep) -> str:
    weights = FOLDER / f"{plan.model}.safetensors"
    path = weights if weights.is_file() else Path(plan.model)
    content = path.read_bytes() if path.is_file() else b""
    key = plan.model_dump_json().encode() + json.dumps(versions()).encode() + content
    return hashlib.sha256(key).hexdigest()[:12]


def _root() -> Path:
    return data_root() / "sweeps"


def _folder(name: str) -> Path:
    if not exists(name):
        raise UserError(f"No sweep named '{name}' on this machine; start one")
    return _root() / name


def _alive(folder: Path) -> bool:
    try:
        process = psutil.Process(int((folder / "pid").read_text()))
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except (OSError, ValueError, psutil.Error):
        # Between making the folder and writing the pid there is a moment without one.
        return time.time() - folder.stat().st_mtime < 5
