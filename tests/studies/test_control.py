"""Studies from the terminal, from a file to a table: the engine is a process of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd
import pytest

from compression.cli import main
from compression.registry import UserError
from compression.studies import control, store
from compression.studies.study import Study

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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "none.yaml"), "No study file can be read at 'none.yaml'"),
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
