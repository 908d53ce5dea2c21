"""A user's zip of all 60,000 photographs of CIFAR-10: uploaded, a data set, a model of their own, an ONNX file."""

from __future__ import annotations

import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.browsing import browser, free_port, serving, wait_for
from benchmarks.report import Row, absent
from benchmarks.studies import own_store
from compression.data.root import data_root
from compression.data.sets import DATASETS
from compression.report.text import percent
from tests.e2e.browser import settle
from tests.e2e.journey import add_images, add_resnet, judged, shipped

BAR = 60.0
WAIT_MS = 3_600_000
STAGES = [
    {"kind": "prune", "granularity": "channels", "scope": "layer", "sparsity": 0.5},
    {"kind": "train", "epochs": 1, "lr": 0.05},
]


def rows(quick: bool = False) -> list[Row]:
    """Seconds from the click to the data set, to the model, and through a pipeline to the downloaded files."""
    copies = data_root() / "cifar10-jpg"
    if not copies.is_dir():
        return [absent("zip to data set", DATASETS["cifar10"].label, f"under {BAR:.0f} s")]
    with tempfile.TemporaryDirectory() as folder, own_store():
        archive, count = _zipped(copies, Path(folder) / "photographs.zip", 60 if quick else None)
        command = [sys.executable, "-m", "pages._serve", "--server.port", str(port := free_port())]
        with serving(command, port) as server, browser() as chromium:
            wait_for(server)
            page = chromium.new_context(accept_downloads=True).new_page()
            page.goto(server.url)
            settle(page)
            data = _timed(lambda: add_images(page, server.url, archive, "photographs", WAIT_MS))
            model = _timed(lambda: add_resnet(page, server.url, "mine", WAIT_MS))
            began = time.perf_counter()
            with shipped(page, server.url, "mine", STAGES, WAIT_MS) as files:
                shipping = time.perf_counter() - began
                right, total = judged(archive, files)
            told = page.get_by_text("test images right").inner_text()
    how = f"{count:,} JPEG files of 32×32, from the page's address to the words that say it is there"
    return [
        Row("zip to data set", f"{data:.1f} s", f"under {BAR:.0f} s", None if quick else data < BAR, how),
        Row("ResNet-18 by name, with its card", f"{model:.1f} s"),
        Row("half its channels, one epoch, files downloaded", f"{shipping:.1f} s", how="test accuracy included"),
        Row(
            "the ONNX file's accuracy", f"{right / total:.2%} of {total:,}", "what the page says",
            f"{percent(right / total, 2)} of {total:,} test images right" in told,
            f"The zip's own test images, decoded apart from Espalier; the page says: {told}",
        ),
    ]  # fmt: skip


def _zipped(root: Path, path: Path, most: int | None) -> tuple[Path, int]:
    """A zip of the photographs in their class folders, of each class and split at most so many."""
    found = [
        file
        for split in ("train", "test")
        for label in sorted((root / split).iterdir())
        for file in sorted(label.iterdir())[:most]
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for file in found:
            archive.write(file, file.relative_to(root))
    return path, len(found)


def _timed(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
