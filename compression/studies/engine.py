"""``python -m compression.studies.engine NAME``: runs a study in a process of its own, on a Dask cluster.

The store says what is done; the plan says what there is to do; the engine does the difference. It
can be killed at any moment and started again: trials that it left running are run again, and
nothing that was measured is measured twice. Accuracies come first, in parallel; then the latency
of the candidates, alone.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from distributed import Client
from distributed import Event as Flag

from compression.machine import versions
from compression.registry import UserError
from compression.studies import records, spool, store
from compression.studies.address import check_address
from compression.studies.cluster import connected
from compression.studies.control import is_lost
from compression.studies.crew import Crew
from compression.studies.patience import patient
from compression.studies.race import Judge, referee, stop_name
from compression.studies.study import Study
from compression.studies.tasks import Task, confirming, tasks
from compression.studies.trial import Made, carry_out

BEAT = 2.0
"""Seconds between two heartbeats."""
WAIT = 60.0
"""Seconds that a database may be away, locked or restarting, before the study stops."""
HERE = socket.gethostname()
RUNS = ("starting", "running")
"""The states of an engine that runs."""
ENDED = {"run": "done", "pause": "paused", "cancel": "cancelled"}
"""The state in which a study is left, by what was wanted of it."""
Told = Callable[..., None]


def run_study(name: str, cluster: str | None = None, insecure: bool = False) -> str:
    """Run a study to its end, or until it is paused or cancelled; the state that it is left in.

    Args:
        name: of a study in the store.
        cluster: the address of an existing scheduler; a local one is started where it is left out.
        insecure: allow plain tcp to another machine.

    Raises:
        UserError: no such study, another engine runs it, or the cluster cannot be used.
    """
    check_address(cluster, insecure)
    study = store.plan(name)
    with _alone(name), _state(name, cluster) as told, patient(WAIT):
        while not _carried_out(study, cluster, told) and store.wanted(name) == "run":
            told("starting")  # it was stopped, and is to go on after all
        return ENDED[store.wanted(name)]


def _carried_out(study: Study, cluster: str | None, told: Told) -> bool:
    """Do all that there is to do; whether it came to its end, rather than being stopped."""
    store.release(study.name)
    search, last = tasks(study), confirming(study)
    first, whole = next(search, None) or next(last, None), True
    if first:  # else there is nothing to do, and no cluster to start for it
        with connected(cluster) as client:
            whole = _search(study, client, [chain([first], search), last], told)
        store.release(study.name)  # what was asked for twice, since the answer was lost
    if whole and study.latency:
        from compression.studies.timing import time_candidates  # torch comes with it

        for left in time_candidates(study, lambda: store.wanted(study.name) == "run"):
            told("running", timing=left)
        whole = store.wanted(study.name) == "run"
    return whole


def _search(study: Study, client: Client, phases: list[Iterator[Task]], told: Told) -> bool:
    """Run all tasks, one phase after the other, and stop those under way where the study cannot go on."""
    flag, judge, crew = Flag(stop_name(study), client=client), referee(study, client), Crew(client, carry_out)
    flag.clear()
    try:
        return all(_keep_busy(study, crew, flag, judge, todo, told) for todo in phases)
    except UserError:
        flag.set()
        raise
    finally:
        crew.close()


def _keep_busy(study: Study, crew: Crew, flag: Flag, judge: Judge, todo: Iterator[Task], told: Told) -> bool:
    """Give every worker a task until there are no more, or the study is to stop; whether there are no more."""
    waiting, back = deque[Task](), list[tuple[Task, Made | None]]()
    more, stopped = True, False
    while more or waiting or back or crew.running():
        if stopped or store.wanted(study.name) != "run":  # once stopped, what is under way is given up
            flag.set()
            more, stopped = False, True
            _leave(waiting)
        free = crew.free()
        while free and waiting:
            crew.give(waiting.popleft(), free.pop(0))
        lost = judge()
        for task, made in back:
            if made:
                _record(study, task, made, lost.get(task.number, ""))
            else:
                waiting.append(task)
        more = more and _refill(waiting, todo, len(free) + 1)  # one waits here, so that no worker does
        back = crew.back(0 if free and waiting else BEAT) if more or waiting or crew.running() else []
        told("running", running=crew.running(), message=crew.complaint() or crew.absence())
    told("running", running=[], message=crew.complaint())
    return not stopped


def _refill(waiting: deque[Task], todo: Iterator[Task], most: int) -> bool:
    """Have so many tasks ready, where there are that many; whether there may be more."""
    while len(waiting) < most:
        task = next(todo, None)
        if task is None:
            return False
        waiting.append(task)
    return True


def _leave(waiting: deque[Task]) -> None:
    """Note that tasks were not begun."""
    while waiting:
        task = waiting.popleft()
        if task.number != records.BASELINE:
            store.fail(task.number, store.STOPPED)


def _record(study: Study, task: Task, made: Made, lost: str) -> None:
    """Keep what came of a trial, or why nothing did; ``lost`` says that it fell behind in a race."""
    if task.number == records.BASELINE and made.row is None and not made.stopped:
        raise UserError(made.reason)
    if task.number == records.BASELINE:
        if made.row:
            store.keep_baseline(study.name, made.row)
    elif made.stopped and lost:
        store.give_up(task.number, lost)
    elif made.row is None:
        store.fail(task.number, store.STOPPED if made.stopped else made.reason)
    else:
        about = {
            "epochs": made.epochs, "versions": versions(), "hardware": made.hardware, "seconds": made.seconds,
            "stopped": made.reason,
        }  # fmt: skip
        store.finish(task.number, study, made.row, spool.keep(task.key, made.weights, made.row, about))
        spool.forget(task.key)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the study's lock, which the system lets go of when this process ends, however it does."""
    with (spool.folder() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"The study '{name}' is being run by another engine") from None
        said = store.told(name)
        if said.get("host", HERE) != HERE and said["state"] in RUNS and not is_lost(said):
            raise UserError(f"The study '{name}' is being run by another engine, on {said['host']}")
        yield


@contextmanager
def _state(name: str, cluster: str | None) -> Iterator[Told]:
    """Tell the store how the engine is, every few seconds from a thread of its own, the last word included."""
    used, started, before = store.told(name).get("used", 0.0), time.time(), len(records.rows(name))
    who = {"pid": os.getpid(), "host": HERE, "started": started, "before": before, "cluster": cluster}
    said: dict[str, Any] = {**who, "state": "starting", "message": ""}
    over = threading.Event()

    def told(state: str, **more: Any) -> None:
        said.update(more, state=state)

    def beat() -> None:
        while True:
            with suppress(UserError):  # whoever needs the store says that it is away
                said["used"] = used + time.time() - started
                store.tell(name, {**said, "seen": time.time()})
            if over.wait(BEAT):
                return

    spool.leave_words(name, "")  # an engine before this one may have had the same number
    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield told
        with patient(WAIT):
            told(ENDED[store.wanted(name)])
    except Exception as fault:
        told("failed", message=str(fault) if isinstance(fault, UserError) else f"{type(fault).__name__}: {fault}")
        raise
    finally:
        over.set()
        heart.join()
        _last_word(name, said)


def _last_word(name: str, said: dict[str, Any]) -> None:
    """Tell the store how it ended; on this machine's disk where it is the store itself that failed."""
    try:
        with patient(0 if said["state"] == "failed" else WAIT):
            store.tell(name, {**said, "seen": time.time()})
    except UserError as fault:
        spool.leave_words(name, said["message"] or str(fault))


def main(arguments: list[str] | None = None) -> int:
    """The command line of the engine."""
    parser = argparse.ArgumentParser(prog="python -m compression.studies.engine", description=__doc__)
    parser.add_argument("name", help="of a study in the store")
    parser.add_argument("--cluster", help="address of a Dask scheduler; by default a local one is started")
    parser.add_argument("--insecure", action="store_true", help="allow plain tcp to another machine")
    given = parser.parse_args(arguments)
    try:
        run_study(given.name, given.cluster, given.insecure)
    except UserError as fault:
        print(f"engine: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
