"""Surgery pays, zeros do not: paired latency of a smaller network and of a sparse one."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.report import Row
from compression.measure import latencies, macs
from compression.models.files import Blueprint
from compression.models.zoo import SAMPLES, load
from compression.pruning import prune
from compression.recipe import Prune
from compression.registry import UserError
from compression.results import Latency

MODEL = "cifar10-resnet20"
HALF = Prune(granularity="channels", criterion="magnitude", scope="layer", sparsity=0.5)
SPARSE = Prune(granularity="weights", criterion="magnitude", scope="global", sparsity=0.9)
SPEEDUP = 2.2
SAME = 0.05
"""Zeros change nothing where the speed-up is within this of 1: pairs of equal models spread as far."""


def rows(quick: bool = False) -> list[Row]:
    """Speed-ups of half the channels and of 90 % zeros, with intervals, in both runtimes."""
    model, weights = _model()
    shape = SAMPLES[MODEL].input_shape
    half, sparse = (prune(model, stage, shape).model for stage in (HALF, SPARSE))
    timed = latencies(
        {"half": half, "sparse": sparse, "itself": model}, model, shape,
        pairs=30 if quick else 300, seconds=0.5 if quick else 6.0,
    )  # fmt: skip
    (half_eager, half_onnx), (sparse_eager, sparse_onnx), (_, noise) = timed["half"], timed["sparse"], timed["itself"]
    fewer = macs(model, shape) / macs(half, shape)
    how = (
        f"{weights}; channels by magnitude within each layer, {fewer:.1f} times fewer MACs. Median of "
        f"{half_onnx.pairs} shuffled pairs with its 95 % bootstrap interval, one thread, in a process of its own; "
        f"{half_onnx.baseline_median_ms:.3f} ms to {half_onnx.median_ms:.3f} ms."
    )
    met = half_onnx.speedup >= SPEEDUP
    same = abs(sparse_onnx.speedup - 1) <= SAME
    about = f"The baseline timed against itself shows {_interval(noise)}, which is the noise."
    return [
        Row("Half the channels, ONNX Runtime, batch 1", _interval(half_onnx), f"≥ {SPEEDUP}×", met, how),
        Row("90 % of single weights zero, ONNX Runtime, batch 1", _interval(sparse_onnx), "1.0×", same, about),
        Row("Half the channels, PyTorch eager, batch 1", _interval(half_eager)),
        Row("90 % of single weights zero, PyTorch eager, batch 1", _interval(sparse_eager)),
    ]


def _model() -> tuple[nn.Module, str]:
    try:
        return load(MODEL).model, "The trained sample model"
    except UserError:
        sample = SAMPLES[MODEL]
        torch.manual_seed(0)
        model = Blueprint(sample.architecture, sample.config, sample.input_shape).build().eval()
        return model, f"The shapes of {MODEL} with random weights, since its trained ones are missing"


def _interval(timing: Latency) -> str:
    return f"{timing.speedup:.2f}× ({timing.speedup_low:.2f} to {timing.speedup_high:.2f})"
