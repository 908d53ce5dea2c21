"""The Trade-offs page through app.py: studies begun, watched, explored and deleted, all of it from the store."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from compression.recipe import Recipe
from compression.report.elsewhere import device_table
from compression.report.text import percent, size
from compression.studies import control, database, recording, records, store
from compression.studies.presets import autotune, first_look
from compression.studies.study import Study
from compression.subject import load_subject
from pages import _sketched
from tests.pages.forms import Open, handed_out, sound
from tests.studies.plans import measured, until

pytestmark = [
    pytest.mark.usefixtures("empty_store"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PLAN = """
name: cut rows
model: digits-mlp
stages: [{kind: prune, granularity: rows, scope: {choose: [layer, global]}, sparsity: {choose: [0.25, 0.5]}}]
constraints: [accuracy >= 90 %]
"""
SETTING = {"recipe.1.prune.scope": "layer", "recipe.1.prune.sparsity": 0.5}


@pytest.fixture
def filled() -> Study:
    return measured(PLAN)


def until_done(name: str) -> None:
    until(lambda: control.status(name).state not in control.UNDER_WAY)


def text_of(at: AppTest) -> str:
    return "\n".join(one.value for one in (*at.markdown, *at.caption, *at.header))


def click(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


def test_without_a_study_a_first_look_is_shown(open_app: Open) -> None:
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    assert len(at.get("plotly_chart")) == 1 and not at.error
    assert "A first look, one-shot" in text_of(at)


def test_a_sketch_comes_before_the_first_chart_and_no_other(open_app: Open, filled: Study) -> None:
    at = sound(open_app("tradeoffs", model="digits-mlp"))

    def sketches() -> list[str]:
        return [one.proto.body for one in at.get("html") if 'class="sketch"' in one.proto.body]

    (first,) = sketches()
    assert "data:image/svg+xml" in first and at.get("plotly_chart")
    at.toggle(key="study_knee").set_value(True).run()
    assert sketches(), "the browser may not have the chart yet"
    at.session_state[_sketched.FIRST] -= _sketched.LONGEST
    at.toggle(key="study_knee").set_value(False).run()
    assert not sketches() and at.get("plotly_chart")


def test_a_small_sweep_runs_outside_the_page_and_fills_it(open_app: Open) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    at.slider(key="sweep_count").set_value(2)
    at = sound(click(at, "Run sweep"))
    assert at.multiselect(key="study").value == ["digits-mlp sweep"]
    until_done("digits-mlp sweep")
    assert control.status("digits-mlp sweep").state == "done"
    at = sound(at.run())
    assert not at.error and "4 of 4 measured" in text_of(at)
    rows = {(row["granularity"], row["sparsity"]) for row in records.rows("digits-mlp sweep")}
    assert rows == {(style, amount) for style in ("weights", "rows") for amount in (0.1, 0.9)}
    assert len(at.dataframe[-1].value) == 4


def test_a_sweep_of_nothing_is_one_line(open_app: Open) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    at.session_state["sweep_criteria_digits-mlp"] = []
    at = sound(click(at, "Run sweep"))
    assert [fault.value for fault in at.error] == ["criteria is empty; give at least one"]
    assert store.names() == ()


def test_a_search_asks_for_what_its_form_says(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Study] = []
    monkeypatch.setattr(control, "start", begun.append)
    at = open_app("tradeoffs", model="digits-mlp", study_way="Auto-tune")
    at.number_input(key="tune_lose").set_value(1.0)
    at.number_input(key="tune_within").set_value(50.0)
    at.number_input(key="tune_epochs").set_value(0)
    at.toggle(key="tune_int8").set_value(True)
    sound(click(at, "Search"))
    subject = load_subject("digits-mlp", "digits")
    assert begun == [autotune(subject, lose=0.01, within="packed_bytes <= 50 KB", epochs=0, rounded=True)]


def test_a_preset_starts_its_study(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Study] = []
    monkeypatch.setattr(control, "start", begun.append)
    sound(click(open_app("tradeoffs", model="digits-mlp", study_way="Preset"), "Run preset"))
    assert begun == [first_look(load_subject("digits-mlp", "digits"))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages: 3", "name is missing"),
        ("name: a/b\nmodel: digits-mlp\nstages: []", "name is 'a/b'; it must be 1 to 64 letters, digits"),
        (f"name: {'x' * 300}\nmodel: m\nstages: []", "it must be 1 to 64 letters"),
        ("name: <b>x</b>\nmodel: m\nstages: []", "it must be 1 to 64 letters"),
        ("name: a\nmodel: digits-mlp\nrecipes: {}", "recipes"),
        (PLAN + "colour: red", "colour is not a field of a study"),
        (PLAN.replace("[accuracy >= 90 %]", "[accuracy >= 90 %, accuracy <= 80 %]"), "contradict each other"),
        ("name: [", "The study is not valid YAML"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line(open_app: Open, text: str, words: str) -> None:
    at = open_app("tradeoffs", model="digits-mlp", study_way="YAML")
    at.text_area(key="study_yaml").set_value(text).run()
    at = sound(click(at, "Run plan"))
    assert len(at.error) == 1 and words in at.error[0].value and "\n" not in at.error[0].value
    assert store.names() == ()


def test_an_empty_plan_asks_for_one(open_app: Open) -> None:
    at = sound(click(open_app("tradeoffs", model="digits-mlp", study_way="YAML"), "Run plan"))
    assert [one.value for one in at.warning] == ["Paste a plan first; the grey text is one that can be run."]


def test_the_named_point_shows_the_librarys_numbers(open_app: Open, filled: Study) -> None:
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    assert at.multiselect(key="study").value == ["cut rows"] and not at.error
    sound_rows = [row for row in records.rows("cut rows") if row["accuracy"] >= 0.9]
    best = min(sound_rows, key=lambda row: (row["packed_bytes"], -row["accuracy"]))
    shown = {metric.label: metric.value for metric in at.metric}
    assert (shown["Accuracy"], shown["Size packed"]) == (percent(best["accuracy"]), size(best["packed_bytes"]))
    assert "test images that no choice has seen" in text_of(at)
    elsewhere = device_table(best, records.points("cut rows")[0]).drop(columns="source")
    assert at.dataframe[0].value.equals(elsewhere) and "Estimated" in text_of(at)
    assert at.text_input(key="study_bounds_cut rows").value == "accuracy >= 90 %"
    (link,) = [one.proto for one in at.get("page_link")]
    assert (link.page, link.query_string) == ("present", f"present_study=cut+rows&present_points={best['trial']}")


def test_co2_is_an_axis_whose_grid_can_be_edited(open_app: Open, filled: Study) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    assert not [one for one in at.number_input if one.key == "grid"]
    at = sound(at.selectbox(key="study_x_packed_bytes").set_value("co2_g").run())
    assert at.number_input(key="grid").value == 481 and "at 481 g/kWh" in subtitle(at)
    at = sound(at.number_input(key="grid").set_value(30.0).run())
    assert "at 30 g/kWh" in subtitle(at)


def subtitle(at: AppTest) -> str:
    """Of the first chart, in one line."""
    layout = json.loads(at.get("plotly_chart")[0].proto.spec)["layout"]
    return str(layout["title"]["subtitle"]["text"]).replace("\u00a0", " ").replace("<br>", " ")


def test_other_constraints_name_another_point_and_bad_ones_are_one_line(open_app: Open, filled: Study) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    bounds = at.text_input(key="study_bounds_cut rows")
    at = sound(bounds.set_value("accuracy >= 97 %").run())
    best = min(
        (row for row in records.rows("cut rows") if row["accuracy"] >= 0.97), key=lambda row: row["packed_bytes"]
    )
    assert {metric.label: metric.value for metric in at.metric}["Size packed"] == size(best["packed_bytes"])
    at = sound(at.text_input(key="study_bounds_cut rows").set_value("beauty >= 3").run())
    assert [fault.value for fault in at.error] == [
        "Unknown metric in a constraint 'beauty'; choose one of: accuracy, packed_bytes, file_bytes, params, nonzero, "
        "macs, memory_bytes, energy_mj, speedup"
    ]


def test_a_point_goes_over_to_the_pipeline(open_app: Open, filled: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[str] = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params: gone.append(page))
    at = open_app("tradeoffs", model="digits-mlp")
    at.session_state["study_picked"] = ("cut rows", 3)
    at = sound(at.run())
    row = next(row for row in records.rows("cut rows") if row["trial"] == 3)
    at = sound(click(at, "Open in Pipeline"))
    body = at.session_state["pipeline_stages"][0]["body"]
    assert (body["granularity"], body["sparsity"]) == ("rows", row["sparsity"])
    assert (at.session_state["model"], at.session_state["data_digits"]) == ("digits-mlp", "digits")
    assert gone == ["pages/pipeline.py"]


def test_a_trial_is_handed_out_with_the_recipe_that_made_it(open_app: Open, filled: Study, data_root: Path) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    at.session_state["study_picked"] = ("cut rows", 3)
    files = handed_out(sound(at.run()), "study", data_root)
    kept = records.trial("cut rows", 3)
    assert Recipe.from_yaml(files["recipe.yaml"].decode()) == Recipe.from_mapping(kept["recipe"])
    assert len(files["model.packed"]) == kept["row"]["packed_bytes"]


def test_a_point_is_chosen_by_its_number(open_app: Open, filled: Study) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    listed = at.selectbox(key="study_listed")
    assert listed.options == [f"trial {row['trial']}" for row in records.rows("cut rows") if row["trial"] >= 0]
    assert f"{listed.value[1]} of cut rows, named by the chart" in text_of(at)
    other = 1 if listed.value[1] != 1 else 2
    at = sound(listed.select(("cut rows", other)).run())
    assert f"trial {other} of cut rows, chosen" in text_of(at)
    at = sound(click(at, "Back to the named point"))
    assert "named by the chart" in text_of(at) and at.selectbox(key="study_listed").value != ("cut rows", other)


def test_two_points_are_set_side_by_side(open_app: Open, filled: Study) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    at.session_state["study_pinned"], at.session_state["study_picked"] = ("cut rows", 0), ("cut rows", 1)
    at = sound(at.run())
    lines = {line[""]: (line["A"], line["B"]) for line in at.dataframe[1].value.to_dict("records")}
    rows = {row["trial"]: row for row in records.rows("cut rows")}
    assert lines["sparsity"] == ("25 %", "50 %")
    assert lines["Size with zeros packed"] == (size(rows[0]["packed_bytes"]), size(rows[1]["packed_bytes"]))
    assert "scope" not in lines


def test_a_study_is_not_deleted_before_it_was_confirmed(open_app: Open, filled: Study) -> None:
    at = sound(click(open_app("tradeoffs", model="digits-mlp"), "Delete"))
    assert {"Delete it", "Keep it"} <= {button.label for button in at.button}
    assert "goes with its 4 measured settings" in text_of(at) and store.names() == ("cut rows",)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"state": "failed", "message": "No scheduler answers"}, "cut rows: No scheduler answers"),
        ({"state": "running", "started": 0}, "cut rows: what it measured is kept; Resume goes on from there"),
    ],
)
def test_what_happened_to_an_engine_is_said(open_app: Open, filled: Study, said: dict[str, object], words: str) -> None:
    store.tell("cut rows", {**said, "seen": time.time() - 100})
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    assert [fault.value for fault in at.error] == [words]
    assert any(button.label == "Resume" for button in at.button)


def test_why_settings_were_not_measured_is_said(open_app: Open, filled: Study) -> None:
    number = recording.begin("cut rows", "0" * 16, filled.base, filled.space.open("recipe"), SETTING)
    recording.fail(number, "All rows of layers.0 would be removed")
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    assert "1.prune.scope layer, 1.prune.sparsity 0.5: All rows of layers.0 would be removed" in text_of(at)


def test_a_study_that_is_not_here_is_said(open_app: Open) -> None:
    at = sound(open_app("tradeoffs", model="digits-mlp", study="none such"))
    assert any("The link's study `'none such'` is not in this store" in one.value for one in at.warning)


def test_a_store_that_does_not_answer_is_one_line(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(database.VARIABLE, "sqlite:////proc/none/studies.db")
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    assert len(at.error) == 1 and "The studies in sqlite:////proc/none/studies.db cannot be" in at.error[0].value


def test_a_study_under_way_can_be_paused_and_cancelled(open_app: Open, filled: Study) -> None:
    def says(**more: object) -> None:
        now = time.time()
        store.tell("cut rows", {"state": "running", "started": now - 10, "seen": now, "before": 2, **more})

    says(running=[5])
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    assert "running · 4 of 4 measured" in text_of(at)
    labels = {button.label for button in at.button}
    assert {"Pause", "Cancel"} <= labels and not labels & {"Resume", "Delete"}
    says(running=[5])
    sound(click(at, "Pause"))
    assert store.wanted("cut rows") == "pause"
    says(timing=3)
    sound(click(at, "Cancel"))
    assert store.wanted("cut rows") == "cancel"


def test_several_studies_share_a_chart_and_their_table(open_app: Open, filled: Study) -> None:
    other = filled.model_copy(update={"name": "other rows", "constraints": ()})
    store.create(other)
    number = recording.begin("other rows", "1" * 16, other.base, other.space.open("recipe"), SETTING)
    row = records.rows("cut rows")[0] | SETTING
    recording.finish(
        number, other, row, {name: {} for name in ("epochs", "versions", "hardware")} | {"weights": "none"}
    )
    store.tell("other rows", {"state": "done", "seen": time.time()})
    at = sound(open_app("tradeoffs", model="digits-mlp"))
    at = sound(at.multiselect(key="study").set_value(["cut rows", "other rows"]).run())
    table = at.dataframe[-1].value
    assert set(table["study"]) == {"cut rows", "other rows"} and len(table) == 5
    assert at.selectbox(key="study_group_study").value == "study"


def test_a_brush_keeps_its_values_and_asks_before_it_measures_whom_it_names(open_app: Open, filled: Study) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    at.session_state["study_paths_0"] = {"brushes": {"1.prune.sparsity": [0.2, 0.3]}}
    at = sound(at.run())
    assert "2 of 4 trials pass the filters" in text_of(at) and "test images" not in text_of(at)
    assert set(at.dataframe[-1].value["sparsity"]) == {0.25}
    at = sound(click(at, "Measure on the test images"))
    assert "test images that no choice has seen" in text_of(at)
    at = sound(at.selectbox(key="study_y").set_value("macs").run())
    assert "test images that no choice has seen" in text_of(at), "what was asked for stays"
    at.session_state["study_paths_0"] = {"brushes": {"1.prune.sparsity": [0.8, 0.9]}}
    at = sound(at.run())
    assert "0 of 4 trials pass the filters" in text_of(at) and not len(at.dataframe[-1].value)
    at = sound(click(at, "Clear filters"))
    assert "Drag along an axis to filter" in text_of(at) and len(at.dataframe[-1].value) == 4


def test_what_matters_is_asked_of_all_trials_whose_settings_pass(
    open_app: Open, filled: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages._explore.ENOUGH", 2)
    at = open_app("tradeoffs", model="digits-mlp")

    def trials(brushes: dict[str, list[float]]) -> str:
        at.session_state["study_paths_0"] = {"brushes": brushes}
        sound(at.run())
        charts = [json.loads(one.proto.spec)["layout"]["title"] for one in at.get("plotly_chart")]
        found: list[str] = [title["subtitle"]["text"] for title in charts if "explain" in title["text"]]
        return " ".join(found).replace("\u00a0", " ")

    assert "n = 4 trials" in trials({})
    assert "n = 4 trials" in trials({"accuracy": [0.99, 1.0]}) and "do not count here" in text_of(at)
    assert not trials({"1.prune.sparsity": [0.2, 0.3]}), "of two trials with two settings each explains all"


def test_a_slip_in_the_constraints_hides_nothing(open_app: Open, filled: Study) -> None:
    at = open_app("tradeoffs", model="digits-mlp")
    charts = len(at.get("plotly_chart"))
    for text, words in (
        ("accuracy > 5", "constraint is 'accuracy > 5'; write a metric, >= or <=, and a number"),
        ("accuracy >= 97", "accuracy is at most 100 %, did you mean 97 %?"),
        ("accuracy >= 97 %, accuracy <= 90 %", "contradict each other"),
    ):
        at = sound(at.text_input(key="study_bounds_cut rows").set_value(text).run())
        assert len(at.error) == 1 and words in at.error[0].value
        assert len(at.get("plotly_chart")) == charts and len(at.dataframe[-1].value) == 4
