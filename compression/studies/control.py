"""What a page or a script asks of a study: start it, pause it, say how it is. All of it goes through the store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Literal

from optuna.trial import TrialState

from compression.data.sets import data_root
from compression.registry import UserError
from compression.studies import store
from compression.studies.study import Study

State = Literal["waiting", "running", "paused", "done", "cancelled", "failed", "lost"]
SILENT = 20.0
"""Seconds without a heartbeat after which an engine counts as lost."""
UNDER_WAY = ("waiting", "running")


@dataclass(frozen=True)
class Status:
    """How a study is.

    Attributes:
        state: ``lost`` where the engine fell silent: what it measured is kept, and resuming goes on.
        done: settings measured.
        failed: settings that could not be, each with its reason.
        total: settings to try; None where a search ends by minutes alone.
        running: trials under way.
        seconds_left: an estimate from the pace so far.
        message: why it failed.
    """

    state: State
    done: int
    failed: tuple[str, ...]
    total: int | None
    running: int
    seconds_left: float | None
    message: str


def start(study: Study, cluster: str | None = None) -> None:
    """Put a study into the store and start an engine for it; one that is finished goes on where a budget is left.

    Raises:
        UserError: another study has this name, or the store does not answer.
    """
    store.create(study)
    resume(study.name, cluster)


def resume(name: str, cluster: str | None = None) -> None:
    """Start an engine for a study in the store; where one runs already, the second ends at once.

    Raises:
        UserError: no such study.
    """
    store.plan(name)
    store.ask(name, "run")
    store.tell(name, {"state": "waiting", "seen": time.time()})
    folder = data_root() / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "compression.studies.engine", name, *(["--cluster", cluster] if cluster else [])]
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    with (folder / f"{name}.log").open("ab") as log:
        # A session of its own: closing the server's terminal does not end it.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    # Somebody has to wait for it, or it stays in the process table for as long as the server runs.
    threading.Thread(target=process.wait, daemon=True).start()


def pause(name: str) -> None:
    """Have the engine stop; trials under way are given up and run again by ``resume``."""
    store.ask(name, "pause")


def cancel(name: str) -> None:
    """Have the engine stop for good; what was measured stays."""
    store.ask(name, "cancel")
    if status(name).state != "running":
        store.tell(name, {"state": "cancelled", "seen": time.time()})


def delete(name: str) -> None:
    """Take a study out of the store.

    Raises:
        UserError: no such study, or it is running.
    """
    if status(name).state in UNDER_WAY:
        raise UserError(f"The study '{name}' is running; cancel it first")
    store.delete(name)


def status(name: str) -> Status:
    """How a study is, read from the store alone. Raises UserError where there is no such study."""
    study, said, trials = store.plan(name), store.told(name), store.trials(name)
    keys = {trial.user_attrs.get("key") for trial in trials if trial.state == TrialState.COMPLETE}
    failures = {
        trial.user_attrs.get("key") or trial.number: f"{_setting(trial.params)}: {trial.user_attrs['reason']}"
        for trial in trials
        if trial.state == TrialState.FAIL and trial.user_attrs.get("reason") not in store.GIVEN_UP
    }
    failed = tuple(line for key, line in failures.items() if key not in keys)
    state: State = said.get("state", "waiting")
    if state in (*UNDER_WAY, "starting"):
        silent = said and time.time() - said["seen"] > SILENT
        state = "lost" if silent else "waiting" if state == "waiting" else "running"
    total = total_of(study)
    done, left = len(keys), None
    if state == "running" and total and done:
        left = (time.time() - said["started"]) / done * max(0, total - done - len(failed))
    return Status(state, done, failed, total, len(said.get("running", ())), left, str(said.get("message", "")))


def total_of(study: Study) -> int | None:
    """How many settings a study tries; None where it ends by minutes alone."""
    if study.search != "grid":
        return study.trials
    whole = int(study.space.size) * study.seeds
    return min(whole, study.trials) if study.trials else whole


def _setting(params: dict[str, object]) -> str:
    return ", ".join(f"{name.split('.', 1)[-1]} {value}" for name, value in params.items())
