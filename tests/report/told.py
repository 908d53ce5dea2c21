"""A small study whose story can be worked out by hand: a baseline, three trials, and answers on 1,000 test images."""

from __future__ import annotations

from typing import Any

from compression.goals import Constraint
from compression.report.savings import Assumptions
from compression.report.story import ClassAnswers, Evidence, Story, Studied, story
from compression.results import wilson

Row = dict[str, Any]
FAST, SLOW, POOR = 0, 1, 2
"""A trial that is smaller and faster, one that is only smaller, and one that is not accurate."""
CLASSES = (
    ClassAnswers("a", n=400, right=396, lost=4, won=2),
    ClassAnswers("b", n=300, right=297, lost=20, won=0),
    ClassAnswers("c", n=300, right=290, lost=2, won=3),
)
SEEN = Evidence("test", CLASSES, otherwise=4)
TIMED = {"runtime": "onnxruntime", "batch": 1, "baseline_latency_ms": 1.2}


def trial(number: int, correct: int, **more: Any) -> Row:
    """A trial on 1,000 validation images."""
    low, high = wilson(correct, 1000)
    row = {"study": "s", "trial": number, "model": "net", "data": "digits", "split": "val", "seed": 0, "n": 1000}
    row |= {"accuracy": correct / 1000, "accuracy_low": low, "accuracy_high": high, "energy_source": "modelled"}
    return row | {"params": 25_000, "nonzero": 25_000, "file_bytes": 100_000, "memory_bytes": 200_000} | more


def rows() -> list[Row]:
    start = trial(-1, 980, granularity="baseline", packed_bytes=100_000, macs=1_000_000, energy_mj=3.0)
    fast = trial(FAST, 970, granularity="channels", packed_bytes=32_000, macs=250_000, energy_mj=0.75)
    fast |= {"speedup": 2.4, "speedup_low": 2.3, "speedup_high": 2.5, "latency_ms": 0.5, "sparsity": 0.6, **TIMED}
    slow = trial(SLOW, 978, granularity="weights", packed_bytes=50_000, macs=1_000_000, energy_mj=3.0)
    slow |= {"speedup": 1.01, "speedup_low": 0.98, "speedup_high": 1.04, "latency_ms": 1.19, "sparsity": 0.5, **TIMED}
    poor = trial(POOR, 700, granularity="weights", packed_bytes=10_000, macs=1_000_000, energy_mj=3.0)
    poor |= {"speedup": 1.0, "speedup_low": 0.97, "speedup_high": 1.03, "latency_ms": 1.2, "sparsity": 0.9, **TIMED}
    trials = [fast, slow, poor]
    return [start, *(row | {"recipe": row["granularity"], "1.prune.sparsity": row["sparsity"]} for row in trials)]


def studied(**more: Any) -> Studied:
    about: dict[str, Any] = {"name": "s", "rows": rows(), "seconds": 7200.0, "ended": "3 May 2026"}
    about["constraints"] = (Constraint.read("accuracy >= 95 %"), Constraint.read("packed_bytes <= 40 KB"))
    about["hardware"] = {FAST: {"cpu": "A cpu", "cores": 2, "gpu": None, "platform": "An OS"}}
    about["versions"] = {FAST: {"python": "3.11", "torch": "2.15"}}
    return Studied(**(about | more))


def made(
    *trials: int, assumed: Assumptions | None = None, seen: Evidence | None = SEEN, axis: str = "", **more: Any
) -> Story:
    """The story of the study, with the same evidence for each of its trials."""
    return story(studied(**more), trials, assumed, lambda number: seen, axis)
