"""Small studies, and what tests ask of every one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import LocalCluster
from optuna.trial import TrialState

from compression.studies import making, recording, records, spool, store, tasks
from compression.studies.cluster import SETTINGS
from compression.studies.forking import prepare_forks
from compression.studies.study import Study

WAIT = 120
GRID = """
name: grid
model: digits-mlp
stages: [{kind: prune, granularity: {choose: [weights, rows]}, sparsity: {choose: [0.3, 0.5, 0.9]}}]
"""
CUT_ROWS = """
name: cut rows
model: digits-mlp
stages: [{kind: prune, granularity: rows, scope: layer, sparsity: {choose: [0.25, 0.75]}}]
constraints: [accuracy >= 50 %]
"""
LONG = """
name: long
model: digits-mlp
stages:
- {kind: prune, sparsity: {choose: [0.3, 0.5, 0.7]}}
- {kind: train, epochs: 4}
"""


def made(text: str) -> Study:
    study = Study.from_yaml(text)
    store.create(study)
    return study


def measured(text: str) -> Study:
    """A study that is done, measured in this process."""
    study = made(text)
    for task in tasks.tasks(study):
        done = making.made(task.trial)
        if not done.row:
            recording.fail(task.number, done.reason)
        elif task.number == records.BASELINE:
            store.keep_baseline(study.name, done.row)
        else:
            about = {"epochs": done.epochs, "versions": {}, "hardware": {}, "seconds": done.seconds}
            recording.finish(task.number, study, done.row, spool.keep(task.key, done.weights, done.row, about))
    store.tell(study.name, {"state": "done", "seen": time.time()})
    return study


def once(study: Study) -> list[str]:
    """The keys that were measured, which must all be different."""
    keys = [trial.user_attrs["key"] for trial in recording.trials(study.name) if trial.state == TrialState.COMPLETE]
    assert max(Counter(keys).values(), default=0) <= 1
    return keys


def until(true: Callable[[], object], seconds: float = WAIT) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@contextmanager
def team(workers: int, **options: Any) -> Iterator[str]:
    """A cluster as a team would have one; the address of its scheduler. ``options`` go to its workers."""
    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
            env=prepare_forks(),
            **options,
        ) as running,
    ):
        yield running.scheduler_address
