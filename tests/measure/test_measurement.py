from __future__ import annotations

import torch
import torch.nn.functional as F

from compression.measure import (
    accuracy_fields,
    file_bytes,
    macs,
    measurement,
    memory_bytes,
    nonzero,
    packed_bytes,
    params,
    sparsity,
    trace,
)
from compression.results import Measurement
from tests.measure.nets import cnn, sparse


def test_it_assembles_what_the_parts_say() -> None:
    model, shape = sparse(cnn(), 0.5), (2, 8, 8)
    images = torch.randn(40, *shape, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 3
    with torch.inference_mode():
        logits = model(images)
    result = measurement(model, ("a", "b", "c"), "val", logits, labels, shape)
    assert result.split == "val"
    assert result.n == 40 and result.accuracy == float((logits.argmax(1) == labels).double().mean())
    assert abs(result.loss - float(F.cross_entropy(logits, labels))) < 1e-6
    assert result.class_accuracy == accuracy_fields(logits, labels, ("a", "b", "c"))["class_accuracy"]
    assert result.params == params(model) and result.nonzero == nonzero(model) < result.params
    assert result.sparsity == sparsity(model) > 0.4
    assert result.file_bytes == file_bytes(model) and result.packed_bytes == packed_bytes(model)
    assert result.macs == macs(model, shape) and result.memory_bytes == memory_bytes(model, shape)
    assert result.energy is not None and result.energy.source == "modelled"
    assert Measurement.model_validate_json(result.model_dump_json()) == result
    seen = trace(model, shape)
    assert measurement(model, ("a", "b", "c"), "val", logits, labels, shape, traced=seen) == result
