"""Workers that die, swell, are sent away, or have other versions."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client

from compression.registry import UserError
from compression.studies import cluster as clusters
from compression.studies import crew, dispatch, driver
from compression.studies.trial import Made, Trial, carry_out
from tests.faults.account import account, process, running
from tests.studies.plans import GRID, LONG, made, team, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]
STRAY = """
from compression import machine
machine.versions = lambda: {"torch": "1.0"}
"""


def half(trial: Trial) -> bool:
    return any(stage.kind == "prune" and stage.sparsity == 0.5 for stage in trial.recipe.stages)


def poisoned(trial: Trial) -> Made:
    """One setting kills its worker, always."""
    if half(trial):
        os.kill(os.getpid(), signal.SIGKILL)
    return carry_out(trial)


def unlucky(trial: Trial) -> Made:
    """One worker dies in the middle of a trial, once."""
    mark = Path(os.environ["ESPALIER_DATA"]) / "died"
    if half(trial) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return carry_out(trial)


def greedy(trial: Trial) -> Made:
    """One setting takes all the memory it can get."""
    taken = []
    while half(trial):
        taken.append(bytearray(50_000_000))
        time.sleep(0.02)
    return carry_out(trial)


def slow(trial: Trial) -> Made:
    time.sleep(2)
    return carry_out(trial)


@contextmanager
def stray(address: str, folder: Path) -> Iterator[None]:
    """One more worker at a scheduler, with other versions."""
    script = folder / "stray.py"
    script.write_text(STRAY)
    command = ("-m", "dask", "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    with Client(address) as client:
        known = client.nthreads().keys()
        with process(*command, "--preload", str(script)):
            until(lambda: client.nthreads().keys() - known)
            yield


def test_a_worker_killed_in_the_middle_of_a_trial_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    study = made(GRID)
    monkeypatch.setattr(dispatch, "carry_out", unlucky)
    assert driver.run_study("grid") == "done"
    assert account(study, "done", 6).failed == ()


def test_a_poison_setting_is_marked_after_two_tries_and_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    study = made(GRID)
    monkeypatch.setattr(dispatch, "carry_out", poisoned)
    assert driver.run_study("grid") == "done"
    assert sorted(account(study, "done", 4).failed) == [
        f"1.prune.granularity {style}, 1.prune.sparsity 0.5: it took 2 workers with it" for style in ("rows", "weights")
    ]


def test_a_setting_that_goes_over_the_memory_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    study = made(GRID.replace("{choose: [weights, rows]}", "rows"))
    monkeypatch.setenv(clusters.MEMORY, "1.2 GB")
    monkeypatch.setattr(dispatch, "carry_out", greedy)
    assert driver.run_study("grid") == "done"
    (failed,) = account(study, "done", 2).failed
    assert failed == "1.prune.sparsity 0.5: it took 2 of 2 workers over their memory limit of 1.12 GiB"


def test_a_memory_limit_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    study = made(GRID)
    monkeypatch.setenv(clusters.MEMORY, "plenty")
    with pytest.raises(UserError, match="ESPALIER_WORKER_MEMORY is 'plenty'; give a size such as 2 GB"):
        driver.run_study("grid")
    assert "give a size such as 2 GB" in account(study, "failed", 0).message


def test_a_worker_with_other_versions_gets_nothing_and_is_named(cluster: str, own_store: Path) -> None:
    study = made(LONG)
    with stray(cluster, own_store):
        assert driver.run_study("long", cluster) == "done"
        present = account(study, "done", 3)
    assert present.failed == ()
    assert present.message.startswith("The worker tcp://127.0.0.1:") and "torch 1.0 instead of" in present.message


def test_a_study_with_none_but_workers_of_other_versions_fails_at_once(own_store: Path) -> None:
    study = made(LONG)
    with team(0) as address, stray(address, own_store):
        with pytest.raises(UserError, match=r"The worker tcp://127\.0\.0\.1:\d+ has .*torch 1\.0 instead of"):
            driver.run_study("long", address)
    assert "give it the same versions" in account(study, "failed", 0).message


@pytest.mark.faults
def test_a_worker_that_is_sent_away_is_no_fault_of_what_it_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    study = made(LONG.replace("{choose: [0.3, 0.5, 0.7]}", "0.5"))
    monkeypatch.setattr(dispatch, "carry_out", slow)
    with team(crew.TRIES + 1) as address, Client(address) as client, running(study, address):
        for _ in range(crew.TRIES):
            until(lambda: at_work(client))
            client.retire_workers(at_work(client))
    assert account(study, "done", 1).failed == ()


def at_work(client: Client) -> list[str]:
    """Who has the study's first trial."""
    return [worker for worker, keys in client.processing().items() if any(key.startswith("trial-1-") for key in keys)]
