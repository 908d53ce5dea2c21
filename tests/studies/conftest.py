"""What the tests of studies share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compression.studies import database
from tests.studies.plans import team


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data root, and so a database, of a test's own."""
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path))
    monkeypatch.delenv(database.VARIABLE, raising=False)
    yield tmp_path
    database.let_go()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a scheduler with two workers, as a team would have one."""
    with team(2) as address:
        yield address
