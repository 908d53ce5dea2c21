"""Studies: what an engine's 64 trials cost beside a plain loop over them, and what a finished study costs again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.report import ROOT, Row, absent
from compression.data.root import data_root
from compression.data.sets import DATASETS
from compression.machine import cores
from compression.models.samples import SAMPLES
from compression.studies import control, database, recording, records, store
from compression.studies.study import Study

MODEL = "mnist-lenet-5"
SPARSITIES = 16
ROUNDS = 3
WAIT, START, AGAIN = 1.25, 3.0, 2.0
"""The most of its compute shared among the cores that a study may take, beside seconds to start; seconds again."""
FASTER = 1.6
"""How many times faster than a plain loop two cores must be."""


@dataclass(frozen=True)
class Times:
    """One round: seconds of the engine's process, of a plain loop's, of the trials alone, and of the engine again."""

    engine: float
    loop: float
    compute: float
    again: float


def throughput(quick: bool = False) -> list[Row]:
    """The engine against its trials' own compute, against a plain loop, and once more when all is done."""
    data = SAMPLES[MODEL].data
    if not DATASETS[data].here():
        return [absent(MODEL, data)]
    times = [_round(grid(2 if quick else SPARSITIES)) for _ in range(1 if quick else ROUNDS)]
    return throughput_rows(times, int(grid(2 if quick else SPARSITIES).space.size), cores())


def grid(sparsities: int) -> Study:
    """One-shot prunings: weights and channels, by two criteria, at so many sparsities from 20 %."""
    amounts = [round(0.2 + 0.05 * step, 2) for step in range(sparsities)]
    choices = {"granularity": ("weights", "channels"), "criterion": ("magnitude", "lamp"), "sparsity": amounts}
    prune = {"kind": "prune", **{field: {"choose": values} for field, values in choices.items()}}
    return Study(name="grid", model=MODEL, recipes={"recipe": (prune,)}, split="test")


def throughput_rows(times: list[Times], trials: int, workers: int) -> list[Row]:
    """What the rounds come to, each ratio within one round."""
    over = median((one.engine - START) / (one.compute / workers) for one in times)
    wall, loop, compute, again = (
        median(getattr(one, side) for one in times) for side in ("engine", "loop", "compute", "again")
    )
    ratio = median(one.loop / one.engine for one in times)
    how = (
        f"{trials} one-shot prunings of {MODEL}, weights and channels by two criteria, the 10,000 test images, fp32, a "
        f"worker of one thread for each of {workers} cores. Medians of {len(times)} rounds, ratios within a round; "
        f"whole processes, imports, the local cluster and the baseline's trial in. The trials' own compute is "
        f"{compute:.1f} s, the process takes {wall:.1f} s."
    )
    told = f"the same {trials} recipes one after the other in one process of one thread, which takes {loop:.1f} s."
    settled = "the process of an engine that finds every trial in the store, which has as many trials after as before."
    name = "of compute ÷ cores, after 3 s of start"
    return [
        Row(f"{trials} trials: wall time {name}", f"{over:.2f}×", f"≤ {WAIT:g}×", over <= WAIT, how),
        Row("Against a plain loop", f"{ratio:.2f}×", f"≥ {FASTER:g}×", ratio >= FASTER if workers > 1 else None, told),
        Row("The finished study again", f"{again:.2f} s", f"< {AGAIN:g} s", again < AGAIN, settled),
    ]


def _round(study: Study) -> Times:
    with own_store():
        store.create(study)
        engine = engine_seconds(study)
        kept = [record.kept["seconds"] for record in records.records(study.name, "seconds")]
        _check(len(kept) == study.space.size and control.status(study.name).state == "done", "the study is not done")
        again = engine_seconds(study)
        _check(len(recording.trials(study.name)) == len(kept), "a finished study was given more trials")
        loop = _seconds("benchmarks.studies_loop", study.to_yaml())
    return Times(engine, loop, sum(kept), again)


def engine_seconds(study: Study) -> float:
    """How long an engine's process takes for a study in the store."""
    return _seconds("compression.studies.engine", study.name)


@contextmanager
def own_store() -> Iterator[Path]:
    """A data root of the benchmark's own, and so an empty store, with this machine's data sets in it."""
    known = {folder for source in DATASETS.values() for folder in source.folders}
    here = [data_root() / folder for folder in known if (data_root() / folder).exists()]
    before = {name: os.environ.get(name) for name in ("ESPALIER_DATA", database.VARIABLE)}
    with tempfile.TemporaryDirectory() as folder:
        for path in here:
            (Path(folder) / path.name).symlink_to(path)
        os.environ.pop(database.VARIABLE, None)
        os.environ["ESPALIER_DATA"] = folder
        try:
            yield Path(folder)
        finally:
            database.let_go()
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _seconds(module: str, *arguments: str) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True)
    wall = time.perf_counter() - began
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    _check(not done.returncode, f"{module} failed: {last}")
    return wall


def _check(true: bool, fault: str) -> None:
    if not true:
        raise RuntimeError(fault)
