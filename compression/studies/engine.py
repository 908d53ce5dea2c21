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
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from distributed import Client, Future, KilledWorker, wait
from distributed import Event as Flag

from compression.data.root import data_root
from compression.machine import versions
from compression.registry import UserError
from compression.studies import records, store
from compression.studies.cluster import TRIES, check_address, check_workers, connected
from compression.studies.race import referee, stop_name
from compression.studies.study import Study
from compression.studies.tasks import Task, tasks
from compression.studies.trial import Made, carry_out

BEAT = 2.0
"""Seconds between two heartbeats."""
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
    with _alone(name), _state(name) as told:
        store.release(name)
        todo = tasks(study)
        first = next(todo, None)
        if first:  # else there is nothing to do, and no cluster to start for it
            with connected(cluster) as client:
                check_workers(client)
                _search(study, client, chain([first], todo), told)
        if study.latency:
            from compression.studies.timing import time_candidates  # torch comes with it

            for left in time_candidates(study, lambda: store.wanted(name) == "run"):
                told("running", timing=left)
        return ENDED[store.wanted(name)]


def _search(study: Study, client: Client, todo: Iterator[Task], told: Told) -> None:
    """Keep every worker busy until there are no more tasks, or the study is to stop."""
    flag, judge = Flag(stop_name(study), client=client), referee(study, client)
    flag.clear()
    slots = sum(client.nthreads().values()) + 1  # one waits, so that no worker does
    running: dict[Future[Any], Task] = {}
    ended = False
    while running or not ended:
        if store.wanted(study.name) != "run":
            flag.set()
            ended = True
        while not ended and len(running) < slots:
            task = next(todo, None)
            if task is None:
                ended = True
            else:
                future = client.submit(carry_out, task.trial, key=f"trial-{task.number}-{time.time_ns()}", pure=False)
                running[future] = task
        done, lost = _finished(list(running)), judge()
        for future in done:
            task = running.pop(future)
            _record(study, future, task, lost.get(task.number, ""))
        told("running", running=[task.number for task in running.values()])


def _finished(futures: list[Future[Any]]) -> Collection[Future[Any]]:
    """Those that are done, after waiting no longer than a heartbeat for the first."""
    try:
        done: Collection[Future[Any]] = (
            wait(futures, timeout=BEAT, return_when="FIRST_COMPLETED").done if futures else ()
        )
    except TimeoutError:
        return ()
    return done


def _record(study: Study, future: Future[Any], task: Task, lost: str) -> None:
    """Keep what came of a trial, or why nothing did; ``lost`` says that it fell behind in a race."""
    try:
        made: Made = future.result()
    except KilledWorker:
        made = Made(reason=f"it took {TRIES} workers with it")
    except Exception as fault:  # whatever breaks in a worker is that setting's fate, not the study's
        made = Made(reason=f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}")
    if made.refused or (task.number == records.BASELINE and made.row is None and not made.stopped):
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
            "weights": keep_weights(task.key, made.weights), "stopped": made.reason,
        }  # fmt: skip
        store.finish(task.number, study, made.row, about)


def keep_weights(key: str, weights: bytes) -> str:
    """Write a trial's weights in one step; the file's name under the data root."""
    folder = data_root() / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{key}.{os.getpid()}.partial"
    partial.write_bytes(weights)
    partial.replace(folder / f"{key}.safetensors")
    return f"studies/{key}.safetensors"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the study's lock, which the system lets go of when this process ends, however it does."""
    folder = data_root() / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"The study '{name}' is being run by another engine") from None
        yield


@contextmanager
def _state(name: str) -> Iterator[Told]:
    """Tell the store how the engine is, every few seconds from a thread of its own, the last word included."""
    before = len(records.rows(name))
    who = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time(), "before": before}
    said: dict[str, Any] = {**who, "state": "starting"}
    over = threading.Event()

    def told(state: str, **more: Any) -> None:
        said.update(more, state=state)

    def beat() -> None:
        while True:
            with suppress(UserError):  # whoever needs the store says that it is away
                store.tell(name, {**said, "seen": time.time()})
            if over.wait(BEAT):
                return

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield told
        told(ENDED[store.wanted(name)])
    except Exception as fault:
        known = isinstance(fault, UserError)
        told("failed", message=str(fault) if known else f"{type(fault).__name__}: {fault}")
        raise
    finally:
        over.set()
        heart.join()
        store.tell(name, {**said, "seen": time.time()})


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
