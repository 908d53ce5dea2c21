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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from distributed import Client, Future, KilledWorker, LocalCluster, wait
from distributed import Event as Flag

from compression.data.sets import data_root
from compression.measure.hardware import versions
from compression.registry import UserError
from compression.studies import store
from compression.studies.proposals import Proposal, proposals
from compression.studies.study import Study
from compression.studies.sweep import cores
from compression.studies.trial import Made, Trial, carry_out

TRIES = 2
"""How many workers a setting may take with it before it is marked failed."""
BEAT = 2.0
"""Seconds between two heartbeats."""
LOCAL = ("tcp://127.0.0.1", "tcp://localhost", "tcp://[::1]", "inproc://")


@dataclass
class Progress:
    """What is under way: a future for each trial in the database."""

    running: dict[Future[Any], tuple[int, Proposal, str]] = field(default_factory=dict)
    begun: int = 0
    started: float = field(default_factory=time.time)


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
    with _alone(name), _state(name) as told, _client(cluster) as client:
        store.release(name)
        _check_workers(client)
        outcome = _search(study, client, told)
    return outcome


def check_address(cluster: str | None, insecure: bool) -> None:
    """Raise UserError for plain tcp to another machine: whoever listens could run code in its name."""
    if cluster and not insecure and not cluster.startswith(("tls://", *LOCAL)):
        raise UserError(f"--cluster is {cluster}, which is not encrypted; use tls://, or say --insecure")


def _search(study: Study, client: Client, told: Any) -> str:
    flag = Flag(f"stop {study.name} {os.getpid()}", client=client)
    source, progress, beaten = proposals(study), Progress(), 0.0
    done = {trial.user_attrs.get("key") for trial in store.trials(study.name) if trial.state.is_finished()}
    slots = sum(client.nthreads().values()) + 1  # one waits, so that no worker does
    ended = False
    while not ended or progress.running:
        wanted = store.wanted(study.name)
        if wanted != "run":
            flag.set()
            ended = True
        while not ended and len(progress.running) < slots:
            proposal = None if _spent(study, progress) else next(source, None)
            if proposal is None:
                ended = True
            else:
                _begin(study, proposal, client, flag, progress, done)
        if progress.running:
            try:
                finished = wait(list(progress.running), timeout=BEAT, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                finished = set()
            for future in finished:
                _record(study, future, client, flag, progress)
        if time.monotonic() - beaten > BEAT:
            beaten = time.monotonic()
            told(state="running", running=[number for number, _, _ in progress.running.values()])
    return {"run": "done", "pause": "paused", "cancel": "cancelled"}[store.wanted(study.name)]


def _spent(study: Study, progress: Progress) -> bool:
    """Whether the budget of trials or minutes is used up."""
    minutes = (time.time() - progress.started) / 60
    return bool((study.trials and progress.begun >= study.trials) or (study.minutes and minutes >= study.minutes))


def _begin(
    study: Study, proposal: Proposal, client: Client, flag: Flag, progress: Progress, done: set[str | None]
) -> None:
    """Send one trial off; what is measured already, or cannot be, needs no worker."""
    if proposal.recipe is None:
        progress.begun += 1
        if proposal.number is not None:
            store.fail(proposal.number, proposal.reason)
        return
    key = store.key_of(proposal.recipe, study)
    if key in done and proposal.number is None:
        return
    done.add(key)
    progress.begun += 1
    number = proposal.number
    if number is None:
        number = store.begin(study.name, key, proposal.recipe, proposal.given, proposal.setting)
    else:
        store.note(
            number, {"key": key, "recipe": proposal.recipe.model_dump(mode="json"), "seed": proposal.recipe.seed}
        )
    known = store.measured(key)
    if known is not None:
        kept = {name: known.user_attrs[name] for name in ("epochs", "versions", "hardware", "weights", "seconds")}
        store.finish(number, study, known.user_attrs["row"], {**kept, "reused": True})
        return
    _submit(study, proposal, number, key, client, flag, progress)


def _submit(
    study: Study, proposal: Proposal, number: int, key: str, client: Client, flag: Flag, progress: Progress
) -> None:
    assert proposal.recipe is not None
    trial = Trial(proposal.recipe, dict(proposal.setting), study.split, study.limit, versions(), flag.name)
    future = client.submit(carry_out, trial, key=f"trial-{number}-{time.time_ns()}", pure=False)
    progress.running[future] = (number, proposal, key)


def _record(study: Study, future: Future[Any], client: Client, flag: Flag, progress: Progress) -> None:
    """Keep what came of a trial."""
    number, proposal, key = progress.running.pop(future)
    try:
        made: Made = future.result()
    except KilledWorker as fault:
        return store.fail(number, f"it took {TRIES} workers with it, the last {fault.last_worker.address}")
    except Exception as fault:  # whatever breaks in a worker is that setting's fate, not the study's
        return store.fail(number, f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}")
    if made.stopped:
        return store.fail(number, "stopped")
    if made.refused:
        raise UserError(made.reason)
    if made.row is None:
        return store.fail(number, made.reason)
    path = keep_weights(key, made.weights)
    about = {
        "epochs": made.epochs, "versions": versions(), "hardware": made.hardware, "seconds": made.seconds,
        "weights": path, "stopped": made.reason,
    }  # fmt: skip
    store.finish(number, study, made.row, about)


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
            differing = {name: found.get(name) for name, own in versions().items() if found.get(name) != own}
            raise UserError(f"The worker {worker} has {differing}, this engine {versions()}; give both the same")


@contextmanager
def _client(address: str | None) -> Iterator[Client]:
    if address:
        with Client(address, timeout=store.SECONDS) as client:
            yield client
        return
    limit = int(0.8 * psutil.virtual_memory().total / cores())
    with (
        LocalCluster(
            n_workers=cores(), threads_per_worker=1, memory_limit=limit, dashboard_address=None,
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
def _state(name: str) -> Iterator[Any]:
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
    told({"run": "done", "pause": "paused", "cancel": "cancelled"}[store.wanted(name)])


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
