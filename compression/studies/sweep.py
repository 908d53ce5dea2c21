"""Runs a sweep: accuracies in parallel first, then latencies alone on a quiet machine.

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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from compression.measure import latencies
from compression.models.files import read_weights
from compression.pipeline import run
from compression.registry import UserError
from compression.studies import jobs
from compression.studies.plan import Point, Sweep, points
from compression.subject import baseline, load_subject
from compression.training import prepare_process

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


def sweep(plan: Sweep, workers: int = 1) -> Iterator[Done]:
    """Run every point, in the order in which they finish; latency, if asked for, comes last.

    A point that cannot be made (a layer pruned to nothing, say) is yielded with its reason and
    the others go on. With latency, every row is yielded a second time, timings included.

    Args:
        plan: what to run.
        workers: processes of one thread each; 1 stays in this process.

    Raises:
        UserError: the model or data set cannot be loaded.
    """
    prepare_process(threads=1)
    subject = load_subject(plan.model, plan.data)
    # Warmed here, so that forked workers inherit images, groups and baseline instead of redoing them.
    baseline(subject, plan.split, plan.limit)
    if any(granularity in ("rows", "channels") for granularity in plan.granularities):
        subject.groups  # noqa: B018
    finished = []
    for done in _all(plan, workers):
        finished.append(done)
        yield done
    if plan.latency:
        yield from _timed(plan, [done for done in finished if done.row])


def _all(plan: Sweep, workers: int) -> Iterator[Done]:
    work = partial(run_point, split=plan.split, limit=plan.limit, keep=plan.latency)
    if workers == 1:
        yield from map(work, points(plan))
        return
    # A fork shares the warm data; elsewhere each worker starts anew. One thread each: two
    # processes of two threads on two cores are five times slower.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(workers, context, prepare_process, (1,))
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside torch's idle threads; ours use one thread and no locks.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            futures = [pool.submit(work, point) for point in points(plan)]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # whoever stops early does not wait for points not begun


def run_point(point: Point, split: str, limit: int | None, keep: bool) -> Done:
    """Run one recipe; ``keep`` hands the weights back too, for timing."""
    try:
        result = run(point.recipe, split=split, limit=limit)
    except UserError as fault:
        return Done(point, None, str(fault))
    pruned = [stage.achieved_sparsity for stage in result.stages if stage.achieved_sparsity is not None]
    data = load_subject(point.recipe.model, point.recipe.data).dataset.name
    row = {
        **point.row(),
        "data": data,
        "achieved_sparsity": pruned[-1] if pruned else 0.0,
        **result.final.row(),
    }
    return Done(point, row, weights=result.weights if keep else b"")


def _timed(plan: Sweep, finished: list[Done]) -> Iterator[Done]:
    """Time each candidate against the baseline, alone, in pairs; a few of them share a process."""
    subject = load_subject(plan.model, plan.data)
    untimed = baseline(subject, plan.split, plan.limit)[1]
    for start in range(0, len(finished), TOGETHER):
        few = finished[start : start + TOGETHER]
        models = {str(done.point.index): read_weights(done.weights, "a point").model for done in few}
        timings = latencies(models, subject.model, subject.blueprint.input_shape)
        for done in few:
            timed = untimed.model_copy(update={"latency": timings[str(done.point.index)]})
            timing = dict(timed.row().items() - untimed.row().items())
            yield Done(done.point, {**(done.row or {}), **timing})


def main(folder: Path) -> int:
    """Run the plan in a job folder, writing rows and progress there; return the exit status."""
    plan = jobs.read_plan(folder)
    total = len(points(plan)) * (2 if plan.latency else 1)
    state = jobs.State(state="running", total=total, pid=os.getpid())
    try:
        for count, done in enumerate(sweep(plan, workers=cores()), start=1):
            if done.row:
                jobs.append_row(folder, done.row)
            failures = (*state.failures, f"{done.point.label}: {done.error}") if done.error else state.failures
            state = state.model_copy(update={"done": count, "failures": failures, "message": done.point.label})
            jobs.write_state(folder, state)
    except UserError as fault:
        jobs.write_state(folder, state.model_copy(update={"state": "failed", "message": str(fault)}))
        return 2
    except Exception as fault:
        reason = f"{type(fault).__name__}: {fault}"
        jobs.write_state(folder, state.model_copy(update={"state": "failed", "message": reason}))
        raise
    jobs.write_state(folder, state.model_copy(update={"state": "done", "message": ""}))
    return 0


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
