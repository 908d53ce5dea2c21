"""Studies from the terminal, from a file to a table: the engine is a process of its own."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pandas as pd
import pytest

from compression.cli import main
from compression.pipeline import measure, run
from compression.recipe import Recipe
from compression.registry import UserError
from compression.report.text import percent
from compression.studies import control, recording, records, store
from compression.studies.presets import STUDY_PRESETS
from compression.studies.study import Study
from compression.studies.tasks import tasks
from compression.subject import load_subject

pytestmark = pytest.mark.usefixtures("own_store")
PLAN = """
name: first look
model: digits-mlp
stages: [{kind: prune, granularity: {choose: [weights, rows]}, sparsity: {choose: [0.5, 0.9]}}]
constraints: [accuracy >= 97 %]
"""


@pytest.mark.slow
def test_a_study_from_a_file_to_a_table(own_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = own_store / "plan.yaml"
    plan.write_text(PLAN)
    assert main(["study", "run", str(plan)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "first look: done, 4 of 4 settings measured on val images"
    assert lines[1].split() == ["trial", "1.prune.granularity", "1.prune.sparsity", "accuracy", "95", "%", "interval",
                                "packed", "size", "MACs", "meets"]  # fmt: skip
    assert len(lines) == 6 and lines[2].split()[-1] == "yes" and lines[5].split()[-1] == "no"
    assert main(["study", "ls", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["state"], listed["done"], listed["failed"]) == ("first look", "done", 4, [])
    for suffix, read in ((".csv", pd.read_csv), (".json", pd.read_json), (".parquet", pd.read_parquet)):
        assert main(["study", "export", "first look", "--out", str(own_store / f"rows{suffix}")]) == 0
        assert list(read(own_store / f"rows{suffix}")["trial"]) == [0, 1, 2, 3]
    assert main(["study", "rm", "first look"]) == 2
    assert main(["study", "rm", "first look", "--yes"]) == 0
    assert store.names() == ()


def test_speed_ups_are_shown_where_the_plan_asks_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    study = Study.from_yaml(PLAN + "latency: true\n")
    store.create(study)
    measured = {"accuracy": 0.98, "accuracy_low": 0.97, "accuracy_high": 0.99, "packed_bytes": 1e4, "macs": 1e6}
    timed = {"speedup": 2.41, "speedup_low": 2.3, "speedup_high": 2.52}
    about = {"epochs": [], "versions": {}, "hardware": {}, "seconds": 1.0, "weights": ""}
    for task, row in zip((one for one in tasks(study) if one.number >= 0), (timed, {}), strict=False):
        recording.finish(task.number, study, measured | row | task.trial.setting, about)
    assert main(["study", "show", "first look"]) == 0
    _, head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[-2:] == ["speed-up", "meets"]
    assert "2.4× [2.3, 2.5]" in first and "×" not in second


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "none.yaml"), "No study file can be read at 'none.yaml'"),
        (("show",), "study show needs the name of a study"),
        (("run",), "study run needs a YAML file with the plan"),
        (("export", "nope"), "--out is missing; give a file that ends in .csv"),
        (("show", "nope"), "Unknown study 'nope'; choose one of: none yet"),
        (("rm", "nope"), "rm deletes the study 'nope' with all its trials; say --yes to do so"),
        (("export", "nope", "--out", "rows.xls"), "--out is 'rows.xls'; give a file that ends in .csv, .json"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"espalier: {words}") and printed.err.count("\n") == 1


def test_an_engine_that_falls_silent_is_lost_and_can_be_resumed() -> None:
    study = Study.from_yaml(PLAN)
    store.create(study)
    store.tell(
        study.name, {"state": "running", "started": time.time() - 100, "seen": time.time() - 100, "running": [1]}
    )
    assert control.status(study.name).state == "lost"
    store.tell(study.name, {"state": "running", "started": time.time(), "seen": time.time(), "running": [1]})
    assert control.status(study.name).state == "running"
    with pytest.raises(UserError, match="The study 'first look' is running; cancel it first"):
        control.delete(study.name)


def test_a_study_that_is_cancelled_before_it_began_says_so() -> None:
    study = Study.from_yaml(PLAN)
    store.create(study)
    assert (control.status(study.name).state, control.status(study.name).total) == ("waiting", 4)
    store.tell(study.name, {"state": "paused", "seen": time.time()})
    control.cancel(study.name)
    assert control.status(study.name).state == "cancelled"
    store.tell(study.name, {"state": "done", "seen": time.time()})
    with pytest.raises(UserError, match="^The study 'first look' is done; there is nothing to cancel$"):
        control.cancel(study.name)
    assert control.status(study.name).state == "done"


@pytest.mark.slow
def test_the_smallest_model_that_loses_little_comes_with_its_evidence(
    own_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = own_store / "best"
    asked = ["tune", "digits-mlp", "--epochs", "0", "--trials", "8", "--lose", "2", "--out", str(out)]
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"best of \d settings: .+", lines[0])
    rows = records.rows("digits-mlp smallest within 2 points")
    start = records.points("digits-mlp smallest within 2 points")[0]
    fit = [row for row in rows if row["accuracy"] >= start["accuracy"] - 0.02]
    best = min(fit, key=lambda row: (row["packed_bytes"], -row["accuracy"]))
    model = measure(str(out / "model.safetensors"), "digits", "val")
    assert (model.accuracy, model.packed_bytes) == (best["accuracy"], best["packed_bytes"])
    tested = measure(str(out / "model.safetensors"), "digits", "test")
    assert f"on {tested.n:,} test images that no choice has seen: {percent(tested.accuracy, 2)}" in lines[2]
    again = run(Recipe.from_yaml((out / "recipe.yaml").read_text()), split="val").final
    assert again.packed_bytes == best["packed_bytes"]
    impossible = ["tune", "digits-mlp", "--epochs", "0", "--trials", "5", "--within", "packed_bytes <= 1 KB"]
    assert main(impossible) == 2
    assert "no setting meets" in capsys.readouterr().err


def test_a_preset_becomes_a_plan_to_edit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "plan", "healing", "--model", "digits-mlp"]) == 0
    study = Study.from_yaml(capsys.readouterr().out)
    assert study == STUDY_PRESETS["healing"].build(load_subject("digits-mlp", "digits"))
    assert main(["study", "plan", "heeling"]) == 2
    assert "Unknown preset 'heeling' (did you mean 'healing'?)" in capsys.readouterr().err
