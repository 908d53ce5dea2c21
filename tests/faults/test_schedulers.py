"""Schedulers that do not answer, or die while a study runs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from compression.registry import UserError
from compression.studies import database, driver
from tests.faults.account import account, process, some_measured
from tests.studies.plans import GRID, LONG, made, once, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]
TEAM = """
import sys, time
from pathlib import Path
from tests.studies.plans import team
if __name__ == "__main__":
    with team(2) as address:
        Path(sys.argv[1]).write_text(address)
        time.sleep(600)
"""


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SECONDS", 0.5)
    study = made(GRID)
    with pytest.raises(UserError, match="No scheduler answers at tcp://127.0.0.1:1 within 0.5 s"):
        driver.run_study("grid", "tcp://127.0.0.1:1")
    assert "No scheduler answers" in account(study, "failed", 0).message


@pytest.mark.faults
def test_a_scheduler_that_is_lost_ends_the_study_which_goes_on_elsewhere(own_store: Path, cluster: str) -> None:
    study, said = made(LONG.replace("epochs: 4", "epochs: 8")), own_store / "address"
    with process("-c", TEAM, str(said)) as theirs:
        until(lambda: said.exists() and said.read_text())
        with process("-m", "compression.studies.engine", "long", "--cluster", said.read_text()) as ours:
            before = some_measured(study)
            theirs.send_signal(signal.SIGKILL)
            assert ours.wait(60) == 2
    present = account(study, "failed", len(once(study)), before)
    assert present.message.startswith(f"The scheduler at {said.read_text()} was lost; resume the study")
    assert present.failed == ()
    assert driver.run_study("long", cluster) == "done"
    assert account(study, "done", 3, before).failed == ()
