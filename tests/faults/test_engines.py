"""Engines that are killed, or started twice, and the dashboard that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import psutil
import pytest

from benchmarks.browsing import free_port
from compression.registry import UserError
from compression.studies import control, driver, recording, records, spool, store
from tests.faults.account import ROOT, account, some_measured
from tests.studies.plans import GRID, LONG, made, once, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]
ENGINE = (sys.executable, "-m", "compression.studies.engine")
KILLED_BEFORE_IT_IS_STORED = """
import os, signal
from compression.studies import engine, recording
recording.finish = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)
engine.main(["long"])
"""
DASHBOARD = """
import runpy, sys
from compression.studies import control, store
control.start(store.plan("long"))
sys.argv = ["pages._serve", "--server.headless", "true", "--server.port", sys.argv[1]]
runpy.run_module("pages._serve", run_name="__main__")
"""
PAGE = """
from compression.studies import control
print(control.status("long").state)
"""


def test_an_engine_that_is_killed_goes_on_where_it_was(cluster: str) -> None:
    study = made(LONG)
    with subprocess.Popen([*ENGINE, "long", "--cluster", cluster], cwd=ROOT) as first:
        before = some_measured(study)
        first.send_signal(signal.SIGKILL)
    assert 0 < len(before) < 3
    account(study, "lost", len(once(study)), before)
    assert driver.run_study("long", cluster) == "done"
    assert account(study, "done", 3, before).failed == ()
    assert all(trial.state.is_finished() for trial in recording.trials("long"))


@pytest.mark.faults
def test_what_was_measured_when_the_engine_was_killed_is_not_measured_again(own_store: Path, cluster: str) -> None:
    study = made(LONG)
    subprocess.run([sys.executable, "-c", KILLED_BEFORE_IT_IS_STORED], cwd=ROOT, check=False)
    account(study, "lost", 0)
    (key,) = [path.stem for path in (own_store / "studies").glob("*.json")]
    row, about = spool.left(key) or ({}, {})
    assert driver.run_study("long", cluster) == "done"
    account(study, "done", 3)
    kept = [one.kept for one in records.records("long", "key", "row", "seconds") if one.kept.get("key") == key]
    assert kept[-1] == {"key": key, "row": row, "seconds": about["seconds"]} and spool.left(key) is None


def test_two_starts_at_once_are_one_engine(cluster: str) -> None:
    study = made(LONG.replace("epochs: 4", "epochs: 12"))
    outcome: list[str] = []
    other = threading.Thread(target=lambda: outcome.append(driver.run_study("long", cluster)))
    other.start()
    until(lambda: store.told("long"))
    with pytest.raises(UserError, match="The study 'long' is being run by another engine"):
        driver.run_study("long", cluster)
    assert control.status("long").state == "running"
    other.join()
    assert outcome == ["done"] and len(recording.trials("long")) == 3
    account(study, "done", 3)


@pytest.mark.faults
def test_the_dashboard_is_killed_and_its_study_goes_on_as_a_second_process_reads(own_store: Path) -> None:
    """A browser only reads: closing one is the end of a reader, and a new one reads the same."""
    study = made(LONG.replace("epochs: 4", "epochs: 36"))  # longer than a second process takes to start
    port = str(free_port())
    with (own_store / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", DASHBOARD, port], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"))
        until(lambda: store.told("long").get("running"))
        killed = [server.pid, *(child.pid for child in psutil.Process(server.pid).children())]
        assert store.told("long")["pid"] in killed  # the study is the dashboard's own child
        os.killpg(server.pid, signal.SIGKILL)  # as when its terminal is closed
        server.wait()
    assert not answers(f"http://127.0.0.1:{port}/_stcore/health")
    page = subprocess.run([sys.executable, "-c", PAGE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert page.stdout.strip() == "running"
    until(lambda: control.status("long").state == "done")
    assert account(study, "done", 3).failed == ()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.faults
def test_two_starts_from_a_page_are_one_engine() -> None:
    study = made(GRID)
    for _ in range(2):
        control.resume("grid")
    until(lambda: control.status("grid").state == "done")
    account(study, "done", 6)
    assert len(recording.trials("grid")) == 6
