"""What a page or a script asks of a study: start it, pause it, say how it is. All of it goes through the store."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import psutil
from optuna.trial import TrialState

from compression.registry import UserError
from compression.studies import records, spool, store
from compression.studies.address import check_address
from compression.studies.launch import check_turn, launch
from compression.studies.proposals import outlook, setting_words
from compression.studies.study import Study

Row = dict[str, Any]
Told = Callable[..., None]
"""Says to the store how an engine is: its state, and more by name."""
State = Literal["waiting", "running", "paused", "done", "cancelled", "failed", "lost"]
BEAT = 2.0
"""Seconds between two heartbeats of an engine."""
SILENT = 20.0
"""Seconds without a heartbeat after which an engine counts as lost."""
START = 90.0
"""Seconds that it may take from its start to the first one."""
FEW = 3
"""Trials from which on a pace is told: the first ones load models and data."""
UNDER_WAY = ("waiting", "running")


@dataclass(frozen=True)
class Status:
    """How a study is.

    Attributes:
        state: ``lost`` where the engine fell silent: what it measured is kept, and resuming goes on.
        done: settings measured.
        failed: settings that could not be, or contradict themselves, each with its reason.
        behind: settings that were stopped early, behind their rivals.
        total: settings to try, the best of a search with its other seeds apart; None where it ends by minutes alone.
        settled: of these, how many are measured, failed or stopped early.
        running: trials under way.
        timing: trials whose latency is still to be taken, once all accuracies are there.
        seconds_left: an estimate from the pace so far.
        message: why it failed or was lost, where that is known, or what it has to do without.
    """

    state: State
    done: int
    failed: tuple[str, ...]
    behind: int
    total: int | None
    settled: int
    running: int
    timing: int
    seconds_left: float | None
    message: str


def start(study: Study, cluster: str | None = None, insecure: bool = False) -> None:
    """Put a study into the store and start an engine for it; one that is finished goes on where a budget is left.

    Raises:
        UserError: another study has this name, as many run as may, or the store does not answer.
    """
    check_address(cluster, insecure)
    check_turn()
    store.create(study)
    resume(study.name, cluster, insecure)


def distinct(study: Study) -> Study:
    """The study under a name that no other one has: its own, or with a number behind it."""
    taken, number, name = store.names(), 1, study.name
    while name in taken and store.plan(name) != study.model_copy(update={"name": name}):
        number, name = number + 1, f"{study.name[:60]} {number + 1}"
    return study.model_copy(update={"name": name})


def resume(name: str, cluster: str | None = None, insecure: bool = False) -> None:
    """Start an engine for a study in the store; where one runs already, the second ends at once.

    Args:
        name: of the study.
        cluster: a scheduler's address, or empty for a local one; the one of before where it is left out.
        insecure: allow plain tcp to another machine.

    Raises:
        UserError: no such study, plain tcp to another machine, or as many run as may.
    """
    store.plan(name)
    said = store.told(name)
    cluster = said.get("cluster") if cluster is None else cluster
    check_address(cluster, insecure)
    check_turn()
    store.ask(name, "run")
    store.tell(name, {"state": "waiting", "seen": time.time(), "used": said.get("used", 0.0), "cluster": cluster})
    options = [*(["--cluster", cluster] if cluster else []), *(["--insecure"] if insecure else [])]
    with (spool.folder() / f"{name}.log").open("ab") as log:
        launch(log, "compression.studies.engine", name, *options)


def pause(name: str) -> None:
    """Have the engine stop; trials under way are given up and run again by ``resume``."""
    store.ask(name, "pause")


def cancel(name: str) -> None:
    """Have the engine stop for good; what was measured stays.

    Raises:
        UserError: no such study, or it is done.
    """
    state = status(name).state
    if state == "done":
        raise UserError(f"The study '{name}' is done; there is nothing to cancel")
    store.ask(name, "cancel")
    if state != "running":
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
    study, said, found = store.plan(name), store.told(name), records.records(name, "key")
    keys = {one.kept["key"] for one in found if one.state == TrialState.COMPLETE}
    failures = {key: f"{setting_words(setting)}: {reason}" for key, setting, reason in records.failures(name)}
    failed = tuple(line for key, line in failures.items() if key not in keys)
    left_out = outlook(study).left_out if study.search == "grid" else ()
    behind = sum(one.state == TrialState.PRUNED for one in found)
    state: State = said.get("state", "waiting")
    words = ""
    if state in (*UNDER_WAY, "starting"):
        words = spool.last_words(name, said.get("pid"))
        state = "lost" if words or is_lost(said) else "waiting" if state == "waiting" else "running"
    total, settled, left = total_of(study), len(keys) + len(failed) + behind, None
    settled = min(settled, total) if total else settled
    if state == "running" and total and len(keys) >= said.get("before", 0) + FEW:
        pace = (time.time() - said["started"]) / (len(keys) - said.get("before", 0))
        left = pace * max(0, total - settled)
    running, timing = len(said.get("running", ())), int(said.get("timing", 0))
    message = words or str(said.get("message", ""))
    return Status(state, len(keys), (*left_out, *failed), behind, total, settled, running, timing, left, message)


def is_lost(said: Row) -> bool:
    """Whether an engine that has not said that it ended does not run any more."""
    if not said:
        return False
    here = said.get("host") == socket.gethostname() and "pid" in said
    silent = time.time() - said["seen"] > (START if said["state"] == "waiting" else SILENT)
    return silent or (here and not psutil.pid_exists(said["pid"]))


def total_of(study: Study) -> int | None:
    """How many settings a study tries; None where it ends by minutes alone."""
    if study.search != "grid":
        return study.trials and int(min(study.trials, study.space.size))
    whole = outlook(study).trials
    return min(whole, study.trials) if study.trials else whole
