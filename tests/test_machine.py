"""What the machine gives: its memory, and of that what a container was given."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from compression import machine


@pytest.mark.parametrize(("given", "most"), [("1048576\n", 2**20), ("max\n", None), (None, None), (str(2**60), None)])
def test_memory_is_the_machines_or_what_its_container_was_given(
    given: str | None, most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "GIVEN", tmp_path / "memory.max")
    if given is not None:
        machine.GIVEN.write_text(given)
    assert machine.memory() == (most or psutil.virtual_memory().total)
