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
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import psutil
from distributed import Client, Future, KilledWorker, LocalCluster, wait
from distributed import Event as Flag

from compression.data.sets import data_root
from compression.measure.hardware import versions
from compression.recipe import Recipe
from compression.registry import UserError
from compression.studies import store
from compression.studies.proposals import Proposal, proposals
from compression.studies.study import Study
from compression.studies.sweep import cores
from compression.studies.timing import time_candidates
from compression.studies.trial import Made, Trial, carry_out, differing

TRIES = 2
"""How many workers a setting may take with it before it is marked failed."""
BEAT = 2.0
"""Seconds between two heartbeats."""
ENDED = {"run": "done", "pause": "paused", "cancel": "cancelled"}
"""The state in which a study is left, by what was wanted of it."""
Told = Callable[..., None]
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Task:
    """A trial that the store has as running and that needs a worker."""

    number: int
    key: str
    trial: Trial


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
        tasks = _tasks(study)
        first = next(tasks, None)
        if first:  # else there is nothing to do, and no cluster to start for it
            with _client(cluster) as client:
                _check_workers(client)
                _search(study, client, chain([first], tasks), told)
        if study.latency:
            for left in time_candidates(study, lambda: store.wanted(name) == "run"):
                told(state="running", timing=left)
        return ENDED[store.wanted(name)]


def check_address(cluster: str | None, insecure: bool) -> None:
    """Raise UserError for plain tcp to another machine: whoever listens could run code in its name."""
    parts = urlsplit(cluster or "tls:")
    if not insecure and parts.scheme != "tls" and parts.hostname not in LOCAL:
        raise UserError(f"--cluster is {cluster}, which is not encrypted; use tls://, or say --insecure")


def _search(study: Study, client: Client, tasks: Iterator[Task], told: Told) -> None:
    """Keep every worker busy until there are no more tasks, or the study is to stop."""
    flag = Flag(_flag(study), client=client)
    flag.clear()
    slots = sum(client.nthreads().values()) + 1  # one waits, so that no worker does
    running: dict[Future[Any], Task] = {}
    ended, beaten = False, 0.0
    while running or not ended:
        if store.wanted(study.name) != "run":
            flag.set()
            ended = True
        while not ended and len(running) < slots:
            task = next(tasks, None)
            if task is None:
                ended = True
            else:
                future = client.submit(carry_out, task.trial, key=f"trial-{task.number}-{time.time_ns()}", pure=False)
                running[future] = task
        for future in _finished(list(running)):
            _record(study, future, running.pop(future))
        if time.monotonic() - beaten > BEAT:
            beaten = time.monotonic()
            told(state="running", running=[task.number for task in running.values()])


def _finished(futures: list[Future[Any]]) -> Collection[Future[Any]]:
    """Those that are done, after waiting no longer than a heartbeat for the first."""
    try:
        done: Collection[Future[Any]] = (
            wait(futures, timeout=BEAT, return_when="FIRST_COMPLETED").done if futures else ()
        )
    except TimeoutError:
        return ()
    return done


def _tasks(study: Study) -> Iterator[Task]:
    """Every trial that needs a worker, noted as running; what is known or cannot be is settled here."""
    done = {
        trial.user_attrs.get("key") or str(trial.number)
        for trial in store.trials(study.name)
        if trial.state.is_finished() and trial.user_attrs.get("reason") not in store.GIVEN_UP
    }
    begun, started, source = len(done), time.time(), proposals(study)
    while not _spent(study, begun, started):
        proposal = next(source, None)
        if proposal is None:
            return
        if proposal.recipe is None:
            begun += _refused(proposal)
            continue
        key = store.key_of(proposal.recipe, study)
        if key in done and proposal.number is None:
            continue
        begun += 1
        done.add(key)
        number = _noted(study, proposal, proposal.recipe, key)
        if not _reused(study, number, key):
            trial = Trial(proposal.recipe, dict(proposal.setting), study.split, study.limit, versions(), _flag(study))
            yield Task(number, key, trial)


def _spent(study: Study, begun: int, started: float) -> bool:
    """Whether the budget of trials or minutes is used up."""
    minutes = (time.time() - started) / 60
    return bool((study.trials and begun >= study.trials) or (study.minutes and minutes >= study.minutes))


def _refused(proposal: Proposal) -> int:
    """Note a setting that contradicts itself where a sampler asked for it; how many trials that is."""
    if proposal.number is None:
        return 0
    store.fail(proposal.number, proposal.reason)
    return 1


def _noted(study: Study, proposal: Proposal, recipe: Recipe, key: str) -> int:
    """The trial's number in the store, which has it as running."""
    if proposal.number is None:
        return store.begin(study.name, key, recipe, proposal.given, proposal.setting)
    store.note(proposal.number, {"key": key, "recipe": recipe.model_dump(mode="json"), "seed": recipe.seed})
    return proposal.number


def _reused(study: Study, number: int, key: str) -> bool:
    """Whether this was measured before, in whatever study; the numbers are then taken over."""
    known = store.measured(key)
    if known is None:
        return False
    kept = {name: known.user_attrs[name] for name in ("epochs", "versions", "hardware", "weights", "seconds")}
    store.finish(number, study, known.user_attrs["row"], {**kept, "reused": True})
    return True


def _flag(study: Study) -> str:
    return f"stop {study.name}"


def _record(study: Study, future: Future[Any], task: Task) -> None:
    """Keep what came of a trial, or why nothing did."""
    try:
        made: Made = future.result()
    except KilledWorker:
        return store.fail(task.number, f"it took {TRIES} workers with it")
    except Exception as fault:  # whatever breaks in a worker is that setting's fate, not the study's
        return store.fail(task.number, f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}")
    if made.refused:
        raise UserError(made.reason)
    if made.row is None:
        return store.fail(task.number, store.STOPPED if made.stopped else made.reason)
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


def _check_workers(client: Client) -> None:
    """Raise UserError where a worker has other versions of the libraries that numbers depend on."""
    for worker, found in client.run(versions).items():
        if found != versions():
            raise UserError(f"The worker {worker} has {differing(found, versions())}")


@contextmanager
def _client(address: str | None) -> Iterator[Client]:
    if address:
        try:
            joined = Client(address, timeout=store.SECONDS)
        except (OSError, ValueError) as fault:
            reason = str(fault).splitlines()[0][:200]
            raise UserError(f"No scheduler answers at {address} within {store.SECONDS} s: {reason}") from None
        with joined as client:
            yield client
        return
    limit = int(0.8 * psutil.virtual_memory().total / cores())
    with (
        LocalCluster(
            n_workers=cores(), threads_per_worker=1, memory_limit=limit, dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"allowed_failures": TRIES - 1},
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


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
    """Tell the store how the engine is, the last word included."""
    who = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}

    def told(state: str, **more: Any) -> None:
        store.tell(name, {**who, "state": state, "seen": time.time(), **more})

    told("starting")
    try:
        yield told
    except UserError as fault:
        told("failed", message=str(fault))
        raise
    except Exception as fault:
        told("failed", message=f"{type(fault).__name__}: {fault}")
        raise
    told(ENDED[store.wanted(name)])


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
