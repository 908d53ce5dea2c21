"""Latency as a speed-up over the baseline, measured in a process of its own.

The process has one thread and does nothing else; it is ``python -m
compression.measure.latency_process FOLDER``, never a fork or a pool of the process that asks, which may
be a server. Modules travel as pickles in a private temporary folder that this process writes and its own
child reads: never a stranger's file.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compression.measure.runtimes import RUNTIMES
from compression.registry import UserError, in_a_line, pick
from compression.results import Latency

Progress = Callable[[int, int], None]
BEAT_SECONDS = 0.2
"""How often a measurement that is under way is heard of."""


def latency(
    candidate: nn.Module,
    baseline: nn.Module,
    input_shape: tuple[int, ...],
    runtimes: Sequence[str] = ("eager", "onnxruntime"),
    batches: Sequence[int] = (1,),
    pairs: int = 30,
    seconds: float = 2.0,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> tuple[Latency, ...]:
    """Latency of one candidate: ``latencies`` with a single one."""
    return latencies(
        {"candidate": candidate}, baseline, input_shape, runtimes, batches, pairs, seconds, seed, on_progress
    )["candidate"]


def latencies(
    candidates: Mapping[str, nn.Module],
    baseline: nn.Module,
    input_shape: tuple[int, ...],
    runtimes: Sequence[str] = ("eager", "onnxruntime"),
    batches: Sequence[int] = (1,),
    pairs: int = 30,
    seconds: float = 2.0,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> dict[str, tuple[Latency, ...]]:
    """Paired speed-up of each candidate over the baseline, for every runtime and batch in turn.

    A candidate that a runtime cannot run, as PyTorch an int8 file, has no timing in it.

    One child process measures all of them on one CPU thread; processes that measure at the same
    time wait for each other. The baseline as a candidate shows the noise floor.

    Args:
        candidates: modules by name. Their classes must be importable by name.
        baseline: what they are compared with.
        input_shape: C×H×W of one image, without the batch.
        runtimes: names in RUNTIMES.
        batches: images a run; 1 is latency, 64 is throughput.
        pairs: at least so many pairs each.
        seconds: and at least so long each.
        seed: fixes inputs, order and bootstrap.
        on_progress: called some times a second with the measurements done and their total; raising stops the child.

    Raises:
        UserError: an unknown runtime, a number out of range, or a module that cannot be pickled.
        RuntimeError: the child failed; one line that names the candidate and the runtime.
    """
    _check(runtimes, batches, pairs, seconds)
    if not candidates:
        return {}
    with tempfile.TemporaryDirectory(prefix="espalier-latency-") as name:
        folder = Path(name)
        _save(baseline, folder / "baseline.pt", "baseline")
        for i, (label, candidate) in enumerate(candidates.items()):
            _save(candidate, folder / f"{i}.pt", label)
        able = {label: _runtimes_of((model, baseline), runtimes) for label, model in candidates.items()}
        job = {
            "candidates": able,
            "input_shape": list(input_shape),
            "runtimes": list(runtimes),
            "batches": list(batches),
            "pairs": pairs,
            "seconds": seconds,
            "seed": seed,
        }
        (folder / "job.json").write_text(json.dumps(job))
        total = len(batches) * sum(map(len, able.values()))
        rows = _run_child(folder, total, on_progress or _unheard)
    return {label: tuple(Latency(**row) for owner, row in rows if owner == i) for i, label in enumerate(candidates)}


def _check(runtimes: Sequence[str], batches: Sequence[int], pairs: int, seconds: float) -> None:
    for runtime in runtimes:
        pick(RUNTIMES, runtime, "runtime")
    for batch in batches:
        if not 1 <= batch <= 4096:
            raise UserError(f"batches holds {batch}; a batch must lie in 1 to 4096")
    if not 2 <= pairs <= 100_000:
        raise UserError(f"pairs is {pairs}; it must lie in 2 to 100000")
    if not 0 <= seconds <= 3600:
        raise UserError(f"seconds is {seconds}; it must lie in 0 to 3600")


def _runtimes_of(models: Sequence[nn.Module], runtimes: Sequence[str]) -> list[str]:
    """Those of the runtimes that can run all of the modules."""
    return [runtime for runtime in runtimes if all(map(RUNTIMES[runtime].takes, models))]


def _save(model: nn.Module, path: Path, label: str) -> None:
    for module in model.modules():
        if type(module).__module__ == "__main__":
            raise UserError(
                f"The model '{label}' has the class '{type(module).__name__}' of the running script; put it "
                "into a module of its own, from where the timing process can import it"
            )
    try:
        torch.save(model, path)
    except (pickle.PicklingError, AttributeError, TypeError) as fault:
        reason = in_a_line(fault)
        raise UserError(f"The model '{label}' cannot be sent to the timing process: {reason}") from None


def _unheard(done: int, total: int) -> None:
    """Nobody wants to hear of it."""


def _run_child(folder: Path, total: int, on_progress: Progress) -> list[tuple[int, dict[str, Any]]]:
    command = [sys.executable, "-m", "compression.measure.latency_process", str(folder)]
    told = folder / "stdout"
    with told.open("w") as out, (folder / "stderr").open("w") as said:
        child = subprocess.Popen(command, stdout=out, stderr=said, env=_environment())
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        for line in _lines(told, child, lambda: on_progress(len(rows), total)):
            event = json.loads(line)
            if "error" in event:
                raise (UserError if event["user"] else RuntimeError)(event["error"])
            rows.append((event["candidate"], event["latency"]))
        if child.returncode:
            lines = (folder / "stderr").read_text().strip().splitlines() or ["it said nothing"]
            raise RuntimeError(f"The timing process ended with status {child.returncode}: {lines[-1][:200]}")
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        child.wait()
    return rows


def _lines(told: Path, child: subprocess.Popen[bytes], beat: Callable[[], None]) -> Iterator[str]:
    """The whole lines of what a child writes into a file, until it has ended; ``beat`` is called in between."""
    part = ""
    with told.open() as stream:
        while True:
            with suppress(subprocess.TimeoutExpired):
                child.wait(BEAT_SECONDS)
            ended = child.returncode is not None
            *whole, part = (part + stream.read()).split("\n")
            yield from whole
            beat()
            if ended:
                return


def _environment() -> dict[str, str]:
    """One thread in every library, and the import path of this process."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, **threads, "PYTHONPATH": path}
