"""The engine of studies, on real Dask workers: what it measures. What survives a fault is in tests/faults."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState

from compression.machine import cores
from compression.measure import latencies
from compression.pipeline import run
from compression.registry import UserError
from compression.results import Latency
from compression.studies import control, driver, recording, records, store, timing
from compression.studies.cluster import connected
from compression.studies.space import recipe_at
from tests.studies.plans import GRID, LONG, WAIT, made, once, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]


def test_a_grid_is_measured_as_its_recipes_are(cluster: str) -> None:
    study = made(GRID)
    assert driver.run_study("grid", cluster) == "done"
    rows = records.rows("grid")
    assert len(rows) == study.space.size == 6
    for name, values in study.space.grid():
        direct = run(recipe_at(study.base, study.space.stages(name, values)), split="val").final
        (row,) = [row for row in rows if values.items() <= row.items()]
        assert row["accuracy"] == direct.accuracy and row["packed_bytes"] == direct.packed_bytes
    assert control.status("grid").state == "done"


def test_the_baseline_is_measured_once_and_leads_the_points(cluster: str) -> None:
    study = made(GRID)
    driver.run_study("grid", cluster)
    direct = run(study.base, split="val").final
    first, *others = records.points("grid")
    assert (first["trial"], first["granularity"], first["accuracy"]) == (records.BASELINE, "baseline", direct.accuracy)
    assert len(others) == 6 and {row["study"] for row in others} == {"grid"}
    said = {(row["granularity"], row["sparsity"], row["recipe.1.prune.sparsity"]) for row in others}
    assert said == {(style, amount, amount) for style in ("weights", "rows") for amount in (0.3, 0.5, 0.9)}


def test_a_model_that_cannot_be_loaded_fails_the_study_at_once(cluster: str) -> None:
    made(GRID.replace("digits-mlp", "digits-none"))
    with pytest.raises(UserError, match="Unknown model 'digits-none'"):
        driver.run_study("grid", cluster)
    assert control.status("grid").state == "failed" and "digits-none" in control.status("grid").message


@pytest.mark.parametrize(("module", "missing"), [("engine", "torch sqlalchemy distributed"), ("driver", "torch")])
def test_an_engine_imports_no_more_than_it_needs(module: str, missing: str) -> None:
    """Every worker imports the engine again; and one that waited for torch would start its workers a second later."""
    code = f"import sys, compression.studies.{module}; sys.exit(bool(set(sys.modules) & set('{missing}'.split())))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_process_of_forks_is_ended_with_its_engine() -> None:
    """It would go on importing torch, and hold the output open that somebody reads to its end."""
    code = (
        "import psutil; from compression.studies.forking import *; prepare_forks(); "
        "forks = [one for one in psutil.Process().children() if 'forkserver' in ' '.join(one.cmdline())]; "
        "end_forks(); psutil.wait_procs(forks, timeout=10); print(len(forks), sum(one.is_running() for one in forks))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], capture_output=True)
    assert done.stdout.split() == [b"1", b"0"]


def test_what_is_measured_is_not_measured_again(cluster: str) -> None:
    made(GRID)
    driver.run_study("grid", cluster)
    first = len(recording.trials("grid"))
    driver.run_study("grid", cluster)
    assert len(recording.trials("grid")) == first
    other = made(GRID.replace("name: grid", "name: other").replace("0.9]", "0.9, 0.95]"))
    driver.run_study("other", cluster)
    reused = [trial.user_attrs.get("reused", False) for trial in recording.trials("other")]
    assert (len(once(other)), sum(reused)) == (8, 6)


@pytest.mark.slow
def test_latencies_come_last_once_for_each_shape(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[str] = []

    def quick(candidates: dict[str, object], *rest: object) -> dict[str, tuple[Latency, ...]]:
        timed.extend(candidates)
        return latencies(candidates, *rest, pairs=5, seconds=0.01)

    monkeypatch.setattr(timing, "latencies", quick)
    made(GRID + "latency: true\n")
    assert driver.run_study("grid", cluster) == "done"
    rows = records.rows("grid")
    assert all(row["speedup_low"] <= row["speedup"] <= row["speedup_high"] for row in rows)
    assert len(timed) == len({row["params"] for row in rows}) == 4  # three times zeros in one shape, and three shapes
    driver.run_study("grid", cluster)
    assert len(timed) == 4


@pytest.mark.parametrize("search", ["random", "tpe", "nsga2"])
def test_a_search_ends_with_its_budget(search: str, cluster: str) -> None:
    text = GRID.replace("{choose: [0.3, 0.5, 0.9]}", "{low: 0.1, high: 0.9}") + f"search: {search}\ntrials: 6\n"
    made(text)
    assert driver.run_study("grid", cluster) == "done"
    trials = recording.trials("grid")
    assert len(trials) == 6 and {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert all(0.1 <= trial.params["recipe.1.prune.sparsity"] <= 0.9 for trial in trials)


def test_a_setting_that_cannot_be_is_left_out_with_its_reason(cluster: str) -> None:
    made(GRID.replace("[weights, rows]", "[weights, '2:4']"))
    driver.run_study("grid", cluster)
    present = control.status("grid")
    assert (present.state, present.done, present.total) == ("done", 4, 4)
    assert len(present.failed) == 2 and "the pattern 2:4 fixes it at 0.5" in present.failed[0]


@pytest.mark.slow
def test_a_paused_study_goes_on(cluster: str) -> None:
    study = made(LONG.replace("epochs: 4", "epochs: 6").replace("digits-mlp", "digits-cnn"))
    engine_thread = threading.Thread(target=driver.run_study, args=("long", cluster))
    engine_thread.start()
    until(lambda: store.told("long").get("running"))
    control.pause("long")
    engine_thread.join(WAIT)
    assert not engine_thread.is_alive()
    assert control.status("long").state == "paused" and len(once(study)) < 3
    store.ask("long", "run")
    driver.run_study("long", cluster)
    assert len(once(study)) == 3


def test_workers_keep_what_memory_they_freed() -> None:
    """Dask has it given back at once, and every batch of images then waits for 300,000 pages a second to be cleared."""
    with connected(None) as client:
        found = client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_")
    assert set(found.values()) == {os.environ.get("MALLOC_TRIM_THRESHOLD_")} and len(found) == cores()


def test_a_cluster_over_plain_tcp_must_be_asked_for() -> None:
    with pytest.raises(UserError, match="which is not encrypted; use tls://, or say --insecure"):
        driver.check_address("tcp://10.0.0.7:8786", insecure=False)
    with pytest.raises(UserError, match="not encrypted"):
        driver.check_address("tcp://127.0.0.1.example.org:8786", insecure=False)
    driver.check_address("tcp://10.0.0.7:8786", insecure=True)
    driver.check_address("tls://10.0.0.7:8786", insecure=False)
    driver.check_address("tcp://127.0.0.1:8786", insecure=False)
    driver.check_address(None, insecure=False)


RACE = """
name: race
model: digits-mlp
stages:
- {kind: prune, granularity: rows, scope: layer, sparsity: 0.7, criterion: {choose: [magnitude, l2, random]}}
- {kind: train, epochs: 250, lr: 0.001, batch_size: 64}
halving: true
"""


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_stopped_and_says_when(cluster: str) -> None:
    made(RACE)
    assert driver.run_study("race", cluster) == "done"
    *others, last = records.records("race", "rungs", "reason", "setting")
    assert all([rung["rung"] for rung in one.kept["rungs"]] == [0, 1, 2, 4, 8, 16, 32, 64, 128] for one in others)
    assert last.kept["setting"]["recipe.1.prune.criterion"] == "random" and last.state == TrialState.PRUNED
    assert last.kept["reason"].startswith("stopped before training: ") and len(last.kept["rungs"]) < 9
    present = control.status("race")
    assert (present.state, present.done, present.behind, present.failed) == ("done", 2, 1, ())
    driver.run_study("race", cluster)
    assert len(recording.trials("race")) == 3  # who was stopped is not run again


def test_the_best_of_a_search_are_run_with_the_other_seeds(cluster: str) -> None:
    text = GRID.replace("{choose: [0.3, 0.5, 0.9]}}", "{low: 0.1, high: 0.9}}, {kind: recalibrate, biases: true}")
    study = made(text + "search: random\ntrials: 8\nseeds: 3\n")
    assert driver.run_study("grid", cluster) == "done"
    rows = records.rows("grid")
    own = [row for row in rows if row["seed"] == 0]
    front = [
        row for row in own
        if not any(other["accuracy"] >= row["accuracy"] and other["packed_bytes"] <= row["packed_bytes"] and
                   (other["accuracy"], other["packed_bytes"]) != (row["accuracy"], row["packed_bytes"])
                   for other in own)
    ]  # fmt: skip
    again = Counter(row["recipe.1.prune.sparsity"] for row in rows if row["seed"] > 0)
    assert len(own) == 8 and set(again.values()) == {2}
    assert set(again) <= {row["recipe.1.prune.sparsity"] for row in front} and len(again) == min(5, len(front))
    driver.run_study("grid", cluster)
    assert len(recording.trials("grid")) == len(rows)
    assert study.seeds == 3
