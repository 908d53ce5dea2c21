"""A database that is locked for a while or for long, may not be written, or is full."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compression.registry import UserError
from compression.studies import control, database, driver, recording, records, spool
from tests.faults.account import ROOT, account, running, some_measured
from tests.faults.spoiled import FAULTS
from tests.studies.plans import LONG, made, once, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]
MANY = LONG.replace("[0.3, 0.5, 0.7]", "[0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]")
"""Trials enough that some are left when the first is measured, however fast the machine."""
SAID = {"read-only": "attempt to write a readonly database", "full": "database or disk is full"}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program has the database to itself."""
    other = sqlite3.connect(folder / "studies.db", isolation_level=None)
    other.execute("PRAGMA busy_timeout = 10000")
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


def test_a_database_that_is_locked_for_a_while_is_waited_for(
    own_store: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SECONDS", 0.2)
    study = made(MANY)
    with running(study, cluster):
        before = some_measured(study)
        with locked(own_store):
            time.sleep(3)
            assert control.status("long").state == "running"  # a page still reads
            with pytest.raises(UserError, match=r"The studies in sqlite:.*studies\.db cannot be reached: database is"):
                control.pause("long")
    assert account(study, "done", 7, before).failed == ()
    assert len(recording.trials("long")) == 7


def test_a_database_that_is_locked_for_long_stops_the_study_which_can_be_resumed(
    own_store: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SECONDS", 0.2)
    monkeypatch.setattr(driver, "WAIT", 1)
    study = made(MANY)
    faults: list[str] = []
    with running(study, cluster, faults):
        some_measured(study)
        with locked(own_store):
            before = once(study)
            until(lambda: faults)
    (fault,) = faults
    assert "studies.db cannot be reached: database is locked" in fault
    assert account(study, "lost", len(before), before).message == fault
    monkeypatch.setattr(driver, "WAIT", 60)
    assert driver.run_study("long", cluster) == "done"
    assert account(study, "done", 7, before).failed == ()


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS)
def test_a_database_that_cannot_be_written_ends_the_study_in_one_line(fault: str, own_store: Path) -> None:
    study = made(LONG)
    command = [sys.executable, "-m", "tests.faults.spoiled", "long", fault]
    ended = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("engine: ")]
    words = f"The studies in sqlite:///{own_store}/studies.db cannot be reached: {SAID[fault]}"
    assert (ended.returncode, line) == (2, f"engine: {words}")
    # A full one has room for a word about itself in place of another.
    present = account(study, "lost" if fault == "read-only" else "failed", 1)
    assert present.message == words
    waiting = {path.stem: spool.left(path.stem) for path in (own_store / "studies").glob("*.json")}
    control.resume("long")
    while control.status("long").state in control.UNDER_WAY:
        time.sleep(0.1)
    assert account(study, "done", 3).failed == ()
    for record in records.records("long", "key", "seconds"):  # what was measured and not yet written is not lost
        left = waiting.get(record.kept.get("key", ""))
        assert not left or not record.state.name == "COMPLETE" or record.kept["seconds"] == left[1]["seconds"]
