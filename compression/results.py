"""What was measured: frozen snapshots that hold numbers and never a live object."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from compression.recipe import Frozen, Recipe, Stage

SplitName = Literal["val", "test"]
"""The splits on which a study may measure."""


def wilson(correct: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    r"""The Wilson score interval of a proportion, 95 % by default.

    .. math:: \frac{p + z^2/2n \pm z\sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}

    Source: Wilson 1927, JASA 22:209-212.
    """
    if n <= 0:
        return 0.0, 1.0
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


class Latency(Frozen):
    """Paired timing of a candidate against its baseline in one runtime at one batch size.

    ``speedup`` is the median of the paired ratios baseline / candidate, with a 95 % bootstrap
    interval. The milliseconds belong to this machine only. A baseline is paired with itself,
    which shows the noise floor.
    """

    runtime: str
    batch: int
    speedup: float
    speedup_low: float
    speedup_high: float
    min_ms: float
    median_ms: float
    p90_ms: float
    baseline_median_ms: float
    pairs: int
    threads: int


class Energy(Frozen):
    """Energy of one inference in millijoules, and how it is known."""

    energy_mj: float
    source: Literal["metered", "counter", "modelled"]
    detail: str


class LayerReport(Frozen):
    """Asked against achieved for one prunable layer.

    ``kept`` of ``width`` counts what the granularity removes: output channels, rows, heads, blocks,
    kernels, or single weights (N:M too). ``asked`` is None where the layers compete for one sparsity or are
    cut at a threshold. ``threshold`` is the score below which this layer was cut, where the
    criterion has one on the scale of weights. ``note`` says why achieved is not asked, if so.
    """

    layer: str
    shape: tuple[int, ...]
    asked: float | None
    achieved: float
    kept: int
    width: int
    threshold: float | None = None
    note: str = ""


class Measurement(Frozen):
    """What one model is and does: accuracy, size four ways, work, memory, time and energy."""

    split: str
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    class_accuracy: dict[str, float]
    loss: float
    params: int
    nonzero: int
    sparsity: float
    file_bytes: int
    packed_bytes: int
    macs: int
    memory_bytes: int
    energy: Energy | None = None
    latency: tuple[Latency, ...] = ()

    def row(self) -> dict[str, Any]:
        """The measurement as flat names and numbers, for one line of a table.

        ``speedup`` and its company are those of the first runtime other than eager PyTorch at
        the smallest batch, since eager alone ranks small models wrongly, or of eager where
        nothing else was timed; ``runtime`` says which. ``sparsity`` is left out: in a row it is
        what was asked.
        """
        row = self.model_dump(mode="json", exclude={"class_accuracy", "sparsity", "energy", "latency"})
        if self.energy is not None:
            row |= {"energy_mj": self.energy.energy_mj, "energy_source": self.energy.source}
        timed = sorted(self.latency, key=lambda timing: timing.batch)
        eager = next((timing for timing in timed if timing.runtime == "eager"), None)
        main = next((timing for timing in timed if timing.runtime != "eager"), eager)
        if main:
            row |= {name: getattr(main, name) for name in ("speedup", "speedup_low", "speedup_high")}
            row |= {"runtime": main.runtime, "batch": main.batch, "latency_ms": main.median_ms}
            row["baseline_latency_ms"] = main.baseline_median_ms
        if eager:
            row |= {f"eager_{name}": getattr(eager, name) for name in ("speedup", "speedup_low", "speedup_high")}
        return row


class Epoch(Frozen):
    """One epoch of training, last batch included.

    ``parts`` are the terms of its loss, where it has several; ``sparsity`` is the one that held at
    its end, where pruning goes on while training does.
    """

    stage: int
    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    seconds: float
    parts: dict[str, float] = Field(default_factory=dict)
    sparsity: float | None = None


class Drift(Frozen):
    """How large what a penalty draws to zero is after an epoch; epoch 0 is before training.

    ``counts`` are over equal bins from 0 to ``reach``, what lies beyond in the last. ``below`` says
    for rising thresholds which fraction lies below each: the sparsity that comes for free.
    """

    epoch: int
    reach: float
    counts: tuple[int, ...]
    below: tuple[tuple[float, float], ...]


class StageResult(Frozen):
    """A stage, what it did to each layer, and the measurement after it; ``notes`` are what a reader must know."""

    stage: Stage
    measurement: Measurement
    layers: tuple[LayerReport, ...] = ()
    asked_sparsity: float | None = None
    achieved_sparsity: float | None = None
    notes: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()


class Result(Frozen):
    """A recipe and everything measured while it ran; ``stopped`` says why it ended early, if it did."""

    recipe: Recipe
    baseline: Measurement
    stages: tuple[StageResult, ...] = ()
    history: tuple[Epoch, ...] = ()
    seed: int = 0
    stopped: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: dict[str, Any] = Field(default_factory=dict)

    @property
    def achieved_sparsity(self) -> float:
        """What the last stage that pruned removed; 0 where none did."""
        pruned = [stage.achieved_sparsity for stage in self.stages if stage.achieved_sparsity is not None]
        return pruned[-1] if pruned else 0.0

    @property
    def final(self) -> Measurement:
        """The measurement after the last stage; the baseline where there is none."""
        return self.stages[-1].measurement if self.stages else self.baseline
