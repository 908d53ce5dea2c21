"""What the tests of studies share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compression.studies import store


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data root, and so a database, of a test's own."""
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path))
    monkeypatch.delenv(store.VARIABLE, raising=False)
    yield tmp_path
    store.let_go()
