"""How an engine runs a study on a Dask cluster.

The store says what is done; the plan says what there is to do; the engine does the difference. It
can be killed at any moment and started again: trials that it left running are run again, and
nothing that was measured is measured twice. Accuracies come first, in parallel; then the latency
of the candidates, alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from compression.registry import UserError
from compression.studies import recording, records, spool, store
from compression.studies.address import check_address
from compression.studies.control import BEAT, Told, is_lost
from compression.studies.patience import patient
from compression.studies.study import Study
from compression.studies.tasks import confirming, tasks

WAIT = 60.0
"""Seconds that a database may be away, locked or restarting, before the study stops."""
HERE = socket.gethostname()
RUNS = ("starting", "running")
"""The states of an engine that runs."""
ENDED = {"run": "done", "pause": "paused", "cancel": "cancelled"}
"""The state in which a study is left, by what was wanted of it."""


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
    recording.release(study.name)
    wanted, last = tasks(study), confirming(study)
    first, whole = next(wanted, None) or next(last, None), True
    if first:  # else there is nothing to do, and no cluster to start for it: importing Dask alone takes a second
        from compression.studies.cluster import connected
        from compression.studies.dispatch import search

        with connected(cluster) as client:
            whole = search(study, client, [chain([first], wanted), last], told)
        recording.release(study.name)  # what was asked for twice, since the answer was lost
    if whole and study.latency:
        from compression.studies.timing import time_candidates  # torch comes with it

        for left in time_candidates(study, lambda: store.wanted(study.name) == "run"):
            told("running", timing=left)
        whole = store.wanted(study.name) == "run"
    return whole


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
