"""int8 against float on every sample model whose data is here: accuracy, bytes and speed, in both modes."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.report import Row, absent
from compression.data.sets import DATASETS
from compression.measure import latencies
from compression.models.zoo import SAMPLES, available
from compression.pipeline import run
from compression.quantization import MODES
from compression.recipe import Quantize, Recipe
from compression.results import Measurement
from compression.subject import load_subject
from compression.training import prepare_process

LOSS = 0.005
"""A loss of test accuracy that is allowed, as a fraction: digits has 359 test images, where this is not quite two."""
HOW = "Test images; the ONNX file against the dense safetensors file; ONNX Runtime, one thread, batch 1, in pairs."


def rows(quick: bool = False) -> list[Row]:
    """A row for each trained sample model and mode."""
    prepare_process(threads=1)
    found = []
    for name in (name for name in available() if SAMPLES[name].training):
        if not DATASETS[SAMPLES[name].data].here():
            found.append(absent(name, SAMPLES[name].data))
            continue
        found += _of(name, quick)
    return [replace(found[0], how=HOW), *found[1:]]


def _of(name: str, quick: bool) -> list[Row]:
    subject, models, measured = load_subject(name), {}, dict[str, tuple[Measurement, Measurement]]()
    for mode in MODES:
        stage = Quantize.model_validate({"mode": mode})
        result = run(Recipe(model=name, stages=(stage,)), limit=500 if quick else None)
        models[mode], measured[mode] = result.model(), (result.baseline, result.final)
    timed = latencies(
        models, subject.model, subject.blueprint.input_shape, ("onnxruntime",),
        pairs=30 if quick else 100, seconds=0.5 if quick else 2.0,
    )  # fmt: skip
    told = []
    for mode, (before, after) in measured.items():
        (timing,) = timed[mode]
        said = (
            f"{before.accuracy:.2%} to {after.accuracy:.2%}, {before.file_bytes / after.file_bytes:.1f}× smaller, "
            f"{timing.speedup:.2f}× ({timing.speedup_low:.2f} to {timing.speedup_high:.2f}) the speed"
        )
        met = after.accuracy >= before.accuracy - LOSS
        told.append(Row(f"{name}, {mode}", said, f"loses ≤ {100 * LOSS:g} points", met))
    return told
