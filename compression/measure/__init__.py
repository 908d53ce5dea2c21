"""What a model is and does: accuracy, size, work, memory, time and energy."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from compression.machine import versions
from compression.measure.accuracy import Changed, accuracy_fields, changed
from compression.measure.energy import ENERGY_PJ, Counter, counted, counters, modelled
from compression.measure.hardware import hardware
from compression.measure.latency import latencies, latency
from compression.measure.macs import layer_macs, macs
from compression.measure.memory import memory_bytes, weight_bytes
from compression.measure.onnx import export_onnx
from compression.measure.packing import pack, unpack
from compression.measure.runtimes import RUNTIMES, Runtime
from compression.measure.size import (
    LayerSize,
    Sizes,
    file_bytes,
    layer_sizes,
    nonzero,
    packed_bytes,
    params,
    prunable_weights,
    sizes,
    sparsity,
    stored,
)
from compression.measure.tracing import Trace, trace
from compression.results import Latency, Measurement

__all__ = [
    "ENERGY_PJ",
    "RUNTIMES",
    "Changed",
    "Counter",
    "LayerSize",
    "Runtime",
    "Sizes",
    "Trace",
    "accuracy_fields",
    "changed",
    "counted",
    "counters",
    "export_onnx",
    "file_bytes",
    "hardware",
    "latencies",
    "latency",
    "layer_macs",
    "layer_sizes",
    "macs",
    "measurement",
    "memory_bytes",
    "modelled",
    "nonzero",
    "pack",
    "packed_bytes",
    "params",
    "prunable_weights",
    "sizes",
    "sparsity",
    "stored",
    "trace",
    "unpack",
    "versions",
    "weight_bytes",
]


def measurement(
    model: nn.Module,
    classes: Sequence[str],
    split: str,
    logits_NK: Tensor,
    labels_N: Tensor,
    input_shape: tuple[int, ...],
    latency: tuple[Latency, ...] = (),
    traced: Trace | None = None,
) -> Measurement:
    """Assemble a Measurement from logits that are already there; energy is modelled.

    Args:
        model: the module that gave the logits.
        classes: class names, in the order of the logits.
        split: the name of the split that the images come from.
        logits_NK: images × classes.
        labels_N: int64 labels.
        input_shape: C×H×W of one image, without the batch.
        latency: what ``latency`` measured, if it did.
        traced: the model's ``trace``, where the caller has it: masks do not change it, surgery does.

    Raises:
        UserError: shapes that do not fit, or NaN or infinite logits.
    """
    done = trace(model, input_shape) if traced is None else traced
    size, resident = sizes(model), weight_bytes(model)
    return Measurement(
        split=split,
        **accuracy_fields(logits_NK, labels_N, classes),
        params=size.params,
        nonzero=size.nonzero,
        sparsity=size.sparsity,
        file_bytes=size.file_bytes,
        packed_bytes=size.packed_bytes,
        macs=done.macs,
        memory_bytes=resident + done.peak_bytes,
        energy=modelled(done.macs, resident, done.activation_bytes, done.int8_macs),
        latency=latency,
    )
