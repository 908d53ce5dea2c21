"""Rates of the parts of a study: the store, the scheduler, the samplers, the engine; ``docs/scaling.md`` reads them."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import Client, LocalCluster

from benchmarks.filled import filled
from benchmarks.postgres import postgres, programs
from benchmarks.report import Row
from benchmarks.studies import own_store
from compression.studies import control, database, recording, records, store
from compression.studies.crew import Crew
from compression.studies.proposals import proposals
from compression.studies.study import Study
from compression.studies.tasks import Task, tasks, trial_of
from compression.studies.trial import Made, Trial

SIZES = (2_000, 20_000)
ASKED = (100, 1_000, 5_000)
SECONDS = 5.0
"""How long a rate is measured for."""
TEAMS = (2, 32, 128)
"""Workers."""


def rows(quick: bool = False) -> list[Row]:
    """Every rate; PostgreSQL's only where its programs are installed."""
    sizes, asked = ((200, 400), (50, 100)) if quick else (SIZES, ASKED)
    seconds = 1.0 if quick else SECONDS
    with own_store():
        found = [_written("SQLite", seconds), *_read(sizes), *_proposed(asked)]
    return [*found, _server(seconds), *_scheduled(seconds, TEAMS[:1] if quick else TEAMS)]


def _written(database: str, seconds: float) -> Row:
    """How many trials a second go through the store, as the engine puts them there, with nobody measuring."""
    study = Study(
        name="written", model="digits-cnn", search="random", trials=1_000_000,
        recipes={"recipe": ({"kind": "prune", "sparsity": {"low": 0.1, "high": 0.9}},)},
    )  # fmt: skip
    store.create(study)
    store.keep_baseline(study.name, {})
    row = {"accuracy": 0.9, "packed_bytes": 1000, "seed": 0}
    about = {"epochs": [], "versions": {}, "hardware": {}, "weights": "", "seconds": 1.0, "stopped": ""}
    todo = tasks(study)

    def one() -> None:
        task = next(todo)
        recording.finish(task.number, study, {**row, **task.trial.setting}, about)

    how = "a trial proposed at random, looked up, begun, and finished with its attributes, one after the other."
    return Row(f"{database}: trials written", f"{_rate(one, seconds):.0f} a second", how=how)


def _read(sizes: tuple[int, ...]) -> list[Row]:
    """What it takes to read a study, and what its trials weigh."""
    found = []
    for size in sizes:
        before = _database_bytes()
        study = filled(f"read {size}", size)
        weighs = (_database_bytes() - before) / size
        timed = {what.__name__: _seconds(partial(what, study.name)) for what in (records.rows, control.status)}
        known = _seconds(lambda: records.measured("0" * 16))
        log = sum(len(str(one.kept["epochs"])) for one in records.records(study.name, "epochs")) / size
        how = (
            f"{weighs / 1000:.1f} kB of database a trial, {log / 1000:.1f} kB of it the epochs; whether a recipe "
            f"is known takes {known * 1000:.1f} ms. The trials are made up."
        )
        said = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in timed.items())
        found.append(Row(f"SQLite, {size:,} trials: read", said, how=how))
    return found


def _proposed(sizes: tuple[int, ...]) -> list[Row]:
    """How long a sampler thinks about the next trial, by how many there are."""
    found = []
    for search in ("random", "nsga2", "tpe"):
        said = []
        for size in sizes:
            study = filled(f"{search} {size}", size, search=search)
            source = proposals(study)
            next(source)  # which reads the trials that are there
            said.append(f"{size:,} trials {1000 * _seconds(partial(next, source), 5):.0f} ms")
        found.append(Row(f"{search}: a proposal after", "; ".join(said)))
    return found


def _scheduled(seconds: float, teams: tuple[int, ...]) -> list[Row]:
    """How many trials a second the engine's crew gives out and takes back where a trial does nothing."""
    study = Study(name="empty", model="digits-cnn", recipes={"recipe": ()})
    trial = trial_of(study, study.base, {}, 0)
    found = []
    for team in teams:
        with _team(team) as client:
            crew = Crew(client, _nothing)
            while len(crew.free()) < team:
                crew.back(0.1)
            found.append(
                Row(f"Dask and the crew, {team} workers", f"{_given(crew, trial, seconds):.0f} trials a second")
            )
            crew.close()
    sizes = f"{len(pickle.dumps(trial)):,} B a trial on its way out, {len(pickle.dumps(_nothing(trial))):,} B back"
    how = f"trials that do nothing, one a worker at a time, on threads of this process; {sizes}, beside the weights."
    return [replace(found[0], how=how), *found[1:]]


def _given(crew: Crew, trial: Trial, seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for worker in crew.free():
            crew.give(Task(0, "", trial), worker)
        done += len(crew.back(1.0))
    rate = done / (time.perf_counter() - began)
    while crew.running():
        crew.back(1.0)
    return rate


@contextmanager
def _team(workers: int) -> Iterator[Client]:
    quiet = {"dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": 50}
    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=False, **quiet) as cluster:
        with Client(cluster) as client:
            yield client


def _nothing(trial: Trial) -> Made:
    return Made(row={"accuracy": 0.9})


def _server(seconds: float) -> Row:
    binaries = programs()
    if binaries is None:
        return Row("PostgreSQL: trials written", "–", how="PostgreSQL, or psycopg, is not installed on this machine.")
    with postgres(binaries) as server, own_store():
        os.environ[database.VARIABLE] = server.address
        return _written("PostgreSQL", seconds)


def _rate(call: Callable[[], Any], seconds: float) -> float:
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - began)


def _seconds(call: Callable[[], Any], times: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


def _database_bytes() -> int:
    with database.talking() as storage, storage.engine.connect() as connection:
        pages = [connection.exec_driver_sql(f"PRAGMA {what}").scalar() or 0 for what in ("page_count", "page_size")]
    return int(pages[0] * pages[1])
