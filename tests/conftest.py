"""What all tests share: one thread each, quick collections, and data sets that do not depend on the machine."""

from __future__ import annotations

import gc
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

# Before torch is imported: tensors this small gain nothing from a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Spare collections of garbage what was imported: Streamlit asks for one after every run of a page."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter tidy up in the end, as some libraries say so aloud where it did not."""
    gc.unfreeze()


@pytest.fixture
def data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root, so that no test sees what this machine has fetched."""
    root = tmp_path / "data-root"
    root.mkdir()
    monkeypatch.setenv("ESPALIER_DATA", str(root))
    return root


@pytest.fixture
def empty_store(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No studies: those of a file under the empty data root, which is let go of afterwards."""
    from compression.studies import database

    monkeypatch.delenv(database.VARIABLE, raising=False)
    yield
    database.let_go()


@pytest.fixture
def no_errands(data_root: Path) -> Iterator[None]:
    """What a page has sent on its way under the empty data root is stopped in the end."""
    from compression import errands

    yield
    for folder in (data_root / "errands").glob("*"):
        errands.cancel(folder.name)


@pytest.fixture
def fake_mnist(data_root: Path) -> Path:
    """120 training and 30 test images of noise in MNIST's own IDX files; label i is ``i % 10``."""
    raw = data_root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, n in (("train", 120), ("t10k", 30)):
        images = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, n, 28, 28) + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, n) + labels.tobytes())
    return data_root
