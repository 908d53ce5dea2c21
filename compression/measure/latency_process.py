"""The process that times: ``python -m compression.measure.latency_process FOLDER``.

It reads the job and the pickled modules that ``latency`` wrote into FOLDER, and prints one JSON line for
each measurement, or one that holds the error.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compression.measure.runtimes import RUNTIMES, Run
from compression.measure.timing import paired_stats, time_pairs
from compression.registry import UserError, in_a_line

Emit = Callable[[dict[str, Any]], None]


def main(folder: Path) -> int:
    """Measure what ``folder/job.json`` asks for; 1 if it failed."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between our lines
    try:
        with _alone():
            measure_all(folder, lambda event: print(json.dumps(event), file=lines))
    except Exception as fault:
        message = in_a_line(fault, 300)
        print(json.dumps({"error": message, "user": isinstance(fault, UserError)}), file=lines)
        return 1
    return 0


def measure_all(folder: Path, emit: Emit) -> None:
    """Every runtime, batch and candidate in turn; an event after each."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # pruned and decayed weights may be denormal, which costs 1.5 times
    job = json.loads((folder / "job.json").read_text())
    candidates = job["candidates"]
    for runtime in job["runtimes"]:
        for batch in job["batches"]:
            generator = torch.Generator().manual_seed(job["seed"])
            x = torch.randn(batch, *job["input_shape"], generator=generator)
            baseline = _built(folder / "baseline.pt", runtime, x, "baseline")
            for i, label in enumerate(candidates):
                if runtime not in candidates[label]:
                    continue
                candidate = _built(folder / f"{i}.pt", runtime, x, label)
                samples = time_pairs(baseline, candidate, pairs=job["pairs"], seconds=job["seconds"], seed=job["seed"])
                measured = paired_stats(
                    samples.baseline_s, samples.candidate_s, runtime=runtime, batch=batch, seed=job["seed"]
                )
                emit({"candidate": i, "latency": measured.model_dump()})


def _built(path: Path, runtime: str, x: torch.Tensor, label: str) -> Run:
    """A run of the module in this runtime, tried once. Raises RuntimeError that names both."""
    try:
        # Written a moment ago by the process that started this one, into a folder of its own.
        model: nn.Module = torch.load(path, map_location="cpu", weights_only=False)
        run = RUNTIMES[runtime].build(model.float().eval(), x)
        run()
    except Exception as fault:
        reason = in_a_line(fault)
        raise RuntimeError(f"'{label}' does not run in {RUNTIMES[runtime].label}: {reason}") from None
    return run


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock of this user's, so that two measurements never share the processor."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: then nothing keeps two apart
        yield
        return
    path = Path(tempfile.gettempdir()) / f"espalier-latency-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
