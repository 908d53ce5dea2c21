"""Runs a study: accuracies in parallel first, then latencies alone on a quiet machine.

``python -m compression.studies.sweep FOLDER`` is the process that a page or a script starts
(see jobs.py); the folder holds the plan and receives the rows.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from compression.distillation.lesson import lesson
from compression.machine import cores
from compression.measure import latencies
from compression.measure.calibration import agreement, reliability
from compression.models.files import load_weights, read_weights, weights_bytes
from compression.models.structure import outline
from compression.pipeline import Event, run
from compression.recipe import STRUCTURED
from compression.registry import UserError
from compression.results import Latency, Measurement
from compression.stages import better_than_chance, student_of, teacher_of
from compression.studies import jobs
from compression.studies.jobs import Plan
from compression.studies.lineage import Lineage
from compression.studies.plan import Point, Sweep
from compression.studies.teaching import Teaching
from compression.studies.watch import State, write_state
from compression.subject import Subject, baseline, judge, load_subject
from compression.training import prepare_process, taken_of

Row = dict[str, Any]
TOGETHER = 6
"""Candidates timed by one process: enough to share its start, few enough to see progress."""


@dataclass(frozen=True)
class Done:
    """A point that is finished: its row, or why there is none; and the weights for timing it."""

    point: Point
    row: Row | None
    error: str = ""
    weights: bytes = b""


def sweep(plan: Plan, workers: int = 1, folder: Path | None = None) -> Iterator[Done]:
    """Run every point, in the order in which they finish; latency, if asked for, comes last.

    A point that cannot be made (a layer pruned to nothing, say) is yielded with its reason and
    the others go on. With latency, every row is yielded a second time, timings included.

    Args:
        plan: what to run.
        workers: processes of one thread each; 1 stays in this process.
        folder: a job's, to which the epochs of points that train are written as they come.

    Raises:
        UserError: the model or data set cannot be loaded.
    """
    prepare_process(threads=1)
    _warm(plan)
    finished = []
    for done in _all(plan, workers, folder):
        finished.append(done)
        yield done
    whole = [done for done in finished if done.row]
    if plan.latency and isinstance(plan, Lineage) and folder:
        yield from _timed_lineage(plan, whole, folder)
    elif plan.latency:
        yield from _timed(plan, whole)


def _warm(plan: Plan) -> None:
    """Make what all points share, so that forked workers inherit it instead of making it again."""
    subject = load_subject(plan.model, plan.data)
    baseline(subject, plan.split, plan.limit)
    if isinstance(plan, Sweep) and set(STRUCTURED) & set(plan.granularities):
        subject.groups  # noqa: B018
    if isinstance(plan, Teaching) and not plan.before:
        _warm_teacher(plan, subject)


def _warm_teacher(plan: Teaching, subject: Subject) -> None:
    teacher, student = teacher_of(plan.stage, subject, subject), student_of(plan.stage, subject, subject, seed=0)
    better_than_chance(teacher)
    taken_of(subject.dataset, plan.stage.without)
    for method in plan.methods:
        with suppress(UserError):  # one method's fault is told by its points
            stage = plan.stage.model_copy(update={"method": method, "alpha": 1.0})
            lesson(stage, student.model, teacher.model, subject.dataset)


def _all(plan: Plan, workers: int, folder: Path | None) -> Iterator[Done]:
    keep = plan.latency or plan.kind != "prune"
    work = partial(run_point, split=plan.split, limit=plan.limit, keep=keep, folder=folder)
    if workers == 1:
        yield from map(work, plan.points())
        return
    # A fork shares the warm data; elsewhere each worker starts anew. One thread each: two
    # processes of two threads on two cores are five times slower.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(workers, context, prepare_process, (1,))
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside torch's idle threads; ours use one thread and no locks.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            futures = [pool.submit(work, point) for point in plan.points()]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # whoever stops early does not wait for points not begun


def run_point(point: Point, split: str, limit: int | None, keep: bool, folder: Path | None = None) -> Done:
    """Run one recipe; ``keep`` hands the weights back too, ``folder`` receives the epochs, and of a lineage more."""
    traced = folder and "run" in point.coordinates

    def tell(event: Event) -> None:
        if folder and event.epoch:
            jobs.append_row(folder, {"point": point.index, **event.epoch.model_dump(mode="json")}, "epochs")
        if folder and traced and event.finished and point.index == 0:
            number, made = event.finished
            jobs.keep_weights(folder, number, weights_bytes(made.model, made.blueprint), "stage")

    try:
        result = run(point.recipe, tell, split=split, limit=limit)
    except UserError as fault:
        return Done(point, None, str(fault))
    if folder and traced:
        jobs.keep_result(folder, point.index, result)
    subject = load_subject(point.recipe.model, point.recipe.data)
    row = {
        **point.row(),
        "data": subject.dataset.name,
        "achieved_sparsity": result.achieved_sparsity,
        **result.final.row(),
    }
    if "method" in point.coordinates:
        row |= _beside_teacher(subject, result.model(), split, limit)
        row["notes"] = " ".join(note for stage in result.stages for note in stage.notes)
    return Done(point, row, result.stopped, result.weights if keep else b"")


def _beside_teacher(subject: Subject, student: nn.Module, split: str, limit: int | None) -> Row:
    """How well calibrated a student is, and how often it answers as its teacher does."""
    teacher, labels = baseline(subject, split, limit)[0], subject.dataset.split(split).labels[:limit]
    logits = judge(subject, student, split, limit)[0]
    return {
        "errors": int((logits.argmax(1) != labels).sum()),
        "ece": reliability(logits, labels).ece,
        "agreement": agreement(logits, teacher).fraction,
    }


def _timed(plan: Plan, finished: list[Done]) -> Iterator[Done]:
    """Time each candidate against the baseline, alone, in pairs; a few of them share a process."""
    subject = load_subject(plan.model, plan.data)
    for start in range(0, len(finished), TOGETHER):
        few = finished[start : start + TOGETHER]
        models = {str(done.point.index): read_weights(done.weights, "a point").model for done in few}
        timings = latencies(models, subject.model, subject.blueprint.input_shape)
        for done in few:
            yield _with_timing(done, subject, plan, timings[str(done.point.index)])


def _with_timing(done: Done, subject: Subject, plan: Plan, latency: tuple[Latency, ...]) -> Done:
    return Done(done.point, {**(done.row or {}), **timing_row(subject, latency, plan.split, plan.limit)})


def timing_row(subject: Subject, latency: tuple[Latency, ...], split: str, limit: int | None) -> Row:
    """What timing adds to a measurement's row."""
    untimed = baseline(subject, split, limit)[1]
    timed = untimed.model_copy(update={"latency": latency})
    return dict(timed.row().items() - untimed.row().items())


def _timed_lineage(plan: Lineage, finished: list[Done], folder: Path) -> Iterator[Done]:
    """Time the pipeline after every stage and all final models; models of one shape are timed once.

    Where zeros lie changes no shape, and what shape a model has is all that these runtimes see.
    """
    subject, found = load_subject(plan.model, plan.data), jobs.result(folder.name, 0)
    models = {f"point {done.point.index}": read_weights(done.weights, "a point").model for done in finished}
    for number in range(len(found.stages) if found else 0):
        models[f"stage {number}"] = load_weights(jobs.weights(folder.name, number, "stage")).model
    shape = {name: outline(model) for name, model in (models | {"baseline": subject.model}).items()}
    distinct = {shape[name]: model for name, model in models.items()} | {shape["baseline"]: subject.model}
    timings = latencies(distinct, subject.model, subject.blueprint.input_shape)

    def timed(measured: Measurement, name: str) -> Measurement:
        return measured.model_copy(update={"latency": timings[shape[name]]})

    if found:
        stages = tuple(
            stage.model_copy(update={"measurement": timed(stage.measurement, f"stage {number}")})
            for number, stage in enumerate(found.stages)
        )
        changes = {"baseline": timed(found.baseline, "baseline"), "stages": stages}
        jobs.keep_result(folder, 0, found.model_copy(update=changes))
    for done in finished:
        yield _with_timing(done, subject, plan, timings[shape[f"point {done.point.index}"]])


def main(folder: Path) -> int:
    """Run the plan in a job folder, writing rows and progress there; return the exit status."""
    plan = jobs.read_plan(folder)
    total = len(plan.points()) * (2 if plan.latency else 1)
    state = State(state="running", total=total, pid=os.getpid())
    write_state(folder, state)
    try:
        for count, done in enumerate(sweep(plan, cores(), folder), start=1):
            if done.row:
                jobs.append_row(folder, done.row)
            if plan.kind != "prune" and done.weights:
                jobs.keep_weights(folder, done.point.index, done.weights)
            failures = (*state.failures, f"{done.point.label}: {done.error}") if done.error else state.failures
            state = state.model_copy(update={"done": count, "failures": failures, "message": done.point.label})
            write_state(folder, state)
    except UserError as fault:
        write_state(folder, state.model_copy(update={"state": "failed", "message": str(fault)}))
        return 2
    except Exception as fault:
        reason = f"{type(fault).__name__}: {fault}"
        write_state(folder, state.model_copy(update={"state": "failed", "message": reason}))
        raise
    write_state(folder, state.model_copy(update={"state": "done", "message": ""}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
