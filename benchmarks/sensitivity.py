"""A scan of every layer alone: prefixes replayed, against the plain passes in the same process."""

from __future__ import annotations

import time

from benchmarks.report import Row
from compression.data.sets import DATASETS
from compression.models.zoo import SAMPLES
from compression.pruning.sensitivity import SPARSITIES, Reading, probes
from compression.subject import Subject, layer_names, load_subject, scan_subject
from compression.training import prepare_process

MODEL = "cifar10-resnet20"
BAR = 2.0
IMAGES = {"weights": 500, "channels": 200}


def rows(quick: bool = False) -> list[Row]:
    """How many times faster the scan is by weights and by channels, and whether the numbers are the same."""
    data = SAMPLES[MODEL].data
    if not DATASETS[data].here():
        return [Row(MODEL, "–", f"≥ {BAR:g}×", None, f"the data set {data} is not on this machine")]
    prepare_process(threads=1)
    subject = load_subject(MODEL)
    # The bar is of single weights: a cut channel reaches into the layers that read it.
    return [_compared(subject, "weights", BAR, quick), _compared(subject, "channels", None, quick)]


def _compared(subject: Subject, granularity: str, bar: float | None, quick: bool) -> Row:
    layers, images = layer_names(subject, granularity), 100 if quick else IMAGES[granularity]
    sparsities = SPARSITIES[1::3] if quick else SPARSITIES
    for reuse in (True, False):  # what the first of both would pay alone: the couplings, the inputs
        _scanned(subject, granularity, layers, sparsities[:1], 32, reuse)
    replayed, with_ = _scanned(subject, granularity, layers, sparsities, images, True)
    plain, without = _scanned(subject, granularity, layers, sparsities, images, False)
    same = "equal" if replayed == plain else "**not equal**"
    how = (
        f"{len(layers)} layers × {len(sparsities)} sparsities on {images} validation images, one thread, one after the "
        f"other in one process: {with_:.1f} s against {without:.1f} s, cutting included; all {len(plain)} readings "
        f"(accuracy, loss, divergence after every batch) are {same}."
    )
    ratio = without / with_
    met = None if bar is None else ratio >= bar and replayed == plain
    name = f"{MODEL} by {granularity}, prefixes replayed"
    return Row(name, f"{ratio:.2f}×, numbers {same}", f"≥ {bar:g}×, equal" if bar else "", met, how)


def _scanned(
    subject: Subject, granularity: str, layers: tuple[str, ...], sparsities: tuple[float, ...], images: int, reuse: bool
) -> tuple[list[Reading], float]:
    """The readings, and the seconds that they took."""
    each = probes(layers, granularity, sparsities=sparsities)
    began = time.perf_counter()
    found = list(scan_subject(subject, each, images, reuse))
    return found, time.perf_counter() - began
