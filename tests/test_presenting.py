"""What is presented of a real study: its rows from the store, the answers of its models, and `espalier report`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from pptx import Presentation

from compression import presenting
from compression.cli import main
from compression.data.root import own_root
from compression.models.files import load_weights
from compression.registry import UserError
from compression.report.story_words import headline
from compression.studies import recording, records
from compression.studies.study import Study
from compression.subject import load_subject
from compression.training import inputs, predict
from tests.studies.plans import CUT_ROWS, made, measured

pytestmark = pytest.mark.usefixtures("empty_store")


@pytest.fixture
def filled() -> Study:
    return measured(CUT_ROWS)


def test_a_study_is_told_as_the_store_has_it(filled: Study) -> None:
    about = presenting.studied("cut rows")
    assert about.rows == records.points("cut rows") and about.constraints == filled.bounds
    spent = [trial.user_attrs["seconds"] for trial in recording.trials("cut rows")]
    assert about.seconds == pytest.approx(sum(spent)) and len(spent) == 2
    assert (about.split, about.failed, about.cost) == ("val", 0, "packed_bytes")
    assert about.ended == f"{datetime.now(UTC):%-d %B %Y}"


def test_the_evidence_is_that_of_both_models_answers_one_by_one(filled: Study) -> None:
    subject = load_subject("digits-mlp")
    test = subject.dataset.test
    after = load_weights(own_root() / records.trial("cut rows", 1)["weights"]).model
    answers = [predict(model, inputs(test, subject.dataset)).argmax(1).tolist() for model in (subject.model, after)]
    expected = {name: [0, 0, 0, 0] for name in subject.dataset.classes}
    otherwise = 0
    for was, now, label in zip(*answers, test.labels.tolist(), strict=True):
        told = expected[subject.dataset.classes[label]]
        for at, holds in enumerate((True, was == label, was == label != now, was != label == now)):
            told[at] += holds
        otherwise += label not in (was, now) and was != now
    found = presenting.evidence("cut rows", 1)
    assert found is not None and (found.split, found.otherwise) == ("test", otherwise)
    assert {one.name: [one.n, one.right, one.lost, one.won] for one in found.classes} == expected
    assert found.lost > found.won and otherwise > 0


def test_without_the_model_the_story_keeps_to_what_was_measured(filled: Study) -> None:
    for path in {records.trial("cut rows", number)["weights"] for number in (0, 1)}:
        (own_root() / path).unlink()
    told = presenting.told("cut rows")
    assert told.points[0].evidence is None and told.points[0].change.split == "val"


def test_a_point_that_was_deleted_is_one_line(filled: Study) -> None:
    with pytest.raises(UserError, match="has no finished trial 5; it may have been deleted meanwhile"):
        presenting.told("cut rows", (5,))
    with pytest.raises(UserError, match="has no finished trial 5"):
        presenting.evidence("cut rows", 5)


def test_a_study_of_which_nothing_could_be_measured_says_so() -> None:
    measured(CUT_ROWS.replace("rows, scope: layer, sparsity: {choose: [0.25, 0.75]}", "blocks, sparsity: 0.5"))
    with pytest.raises(UserError, match="has no finished trial to present; 1 could not be measured"):
        presenting.told("cut rows")


@pytest.mark.parametrize("ending", [".html", ".pptx", ".csv"])
def test_the_command_writes_what_the_file_is_called(filled: Study, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"report{ending}"
    options = ["--trial", "0", "--trial", "1", "--title", "Ours", "--grid", "norway", "--decimal", ","]
    assert main(["report", "cut rows", "--out", str(out), *options]) == 0
    told = presenting.told("cut rows", (0, 1))
    said = headline(told, told.points[0])
    if ending == ".html":
        assert said in out.read_text() and "<h1>Ours</h1>" in out.read_text()
    elif ending == ".pptx":
        words = [shape.text_frame.text for shape in Presentation(out).slides[0].shapes if shape.has_text_frame]
        assert {"Ours", said} <= set(words)
    else:
        table = pd.read_csv(out, sep=";", decimal=",").set_index("measure")
        assert table.loc["packed_bytes", ["baseline", "A", "B"]].tolist() == [
            row["packed_bytes"] for row in records.points("cut rows")
        ]
        assert table.loc["g_per_kwh assumed", "baseline"] == 30 and table.loc["title", "note"] == "Ours"


def test_without_a_file_the_command_prints_the_story(filled: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "cut rows", "--trial", "1"]) == 0
    printed = capsys.readouterr().out
    told = presenting.told("cut rows", (1,))
    assert printed.startswith(f"digits-mlp, compressed: {headline(told, told.points[0])}\n")
    for words in ("Who is harmed", "World average, 2023", "Size with zeros packed", "picked by hand among 2"):
        assert words in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nope", "Unknown study 'nope'; choose one of: none yet"),
        ("empty", "The study 'empty' has no finished trial to present"),
        ("empty --out a.pdf", "--out is 'a.pdf'; give a file that ends in .html, .pptx, .csv"),
        ("empty --logo nowhere.png", "--logo is 'nowhere.png'; no file can be read there"),
        ("empty --logo pyproject.toml", "logo is not a readable image"),
        ("empty --requests-per-day -1", "requests_per_day is '-1'; it should be greater than or equal to 0"),
        ("empty --grid mars", "grid is 'mars'; give g of CO₂ per kWh from 0 to 2000, or one of: world, norway"),
        ("empty --accent red", "accent is 'red'; give a colour as #rrggbb"),
        ("empty --trial x", "argument --trial: invalid int value: 'x'"),
    ],
)
def test_a_report_that_cannot_be_is_one_line(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "empty" in arguments:
        made(CUT_ROWS.replace("cut rows", "empty"))
    try:
        status = main(["report", *arguments.split()])
    except SystemExit as left:
        status = int(left.code or 0)
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "") and said in printed.err and printed.err.count("\n") == 1
