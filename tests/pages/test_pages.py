"""Every page through app.py, without a browser: what it shows is what the library computes."""

from __future__ import annotations

import gc
import json
import os
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from compression.distillation.softening import instructive
from compression.models.architectures import TRUSTED
from compression.pruning import sparsity_at, threshold_of, weight_index
from compression.recipe import Distill, Prune
from compression.report.text import percent, size
from compression.studies import jobs
from compression.studies.teaching import Teaching
from compression.subject import _judged, baseline, load_subject, preview, prune_subject
from pages._serve import warm
from pages._stages import packed
from tests.pages.forms import Open, sound
from tests.studies.plans import until

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.timeout(300),
    # AppTest runs the script in a thread of its own, which ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def shown(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def charts(at: AppTest) -> list[str]:
    return [chart.proto.id or chart.proto.form_id for chart in at.get("plotly_chart")]


def test_a_server_warms_just_what_its_first_page_asks_for(open_app: Open) -> None:
    _judged.cache_clear()
    warm()
    assert _judged.cache_info().misses == 1
    sound(open_app("overview"))
    assert _judged.cache_info().misses == 1


def test_what_a_server_loads_at_its_start_is_left_out_of_collections(data_root: Path) -> None:
    gc.unfreeze()
    warm()
    assert gc.get_freeze_count() > 100_000


def test_the_dashboard_trusts_no_code_of_models(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUSTED, "somebodys_nets:net")
    sound(open_app("overview"))
    assert TRUSTED not in os.environ


def test_overview_shows_the_baseline_and_a_chart_without_a_click(open_app: Open) -> None:
    at = sound(open_app("overview", model="digits-mlp"))
    assert not at.error
    subject = load_subject("digits-mlp", "digits")
    whole = preview(subject, prune_subject(subject, Prune(sparsity=0.001))).measurement
    assert shown(at)["File"] == size(whole.file_bytes)
    assert len(at.get("plotly_chart")) == 1


def test_the_numbers_are_those_of_the_library_before_and_after_a_move(open_app: Open) -> None:
    at = sound(open_app("prune", model="digits-mlp"))
    subject = load_subject("digits-mlp", "digits")
    for sparsity in (0.5, 0.8):
        at.slider(key="prune_sparsity").set_value(sparsity).run()
        found = preview(subject, prune_subject(subject, Prune(sparsity=sparsity))).measurement
        assert shown(sound(at))["Accuracy"] == percent(found.accuracy)
        assert shown(at)["Size packed"] == size(found.packed_bytes)
        assert len(at.get("plotly_chart")) == 5


def test_the_threshold_and_the_sparsity_move_each_other(open_app: Open) -> None:
    at = open_app("prune", model="digits-mlp")
    index = weight_index(load_subject("digits-mlp", "digits").model)
    at.slider(key="prune_sparsity").set_value(0.7).run()
    assert at.slider(key="prune_threshold").value == pytest.approx(threshold_of(index, 0.7))
    at.slider(key="prune_threshold").set_value(0.1).run()
    assert at.slider(key="prune_sparsity").value == pytest.approx(sparsity_at(index, 0.1))
    assert not sound(at).error


@pytest.mark.parametrize("style", ["weights", "2:4", "rows"])
def test_every_style_of_a_linear_network_draws_all_charts(open_app: Open, style: str) -> None:
    at = open_app("prune", model="digits-mlp")
    at.selectbox(key="prune_style").set_value(style).run()
    assert len(sound(at).get("plotly_chart")) == 5
    assert not at.error


@pytest.mark.parametrize("style", ["kernels", "channels"])
def test_every_style_of_a_convolutional_network_draws_all_charts(open_app: Open, style: str) -> None:
    at = open_app("prune", model="digits-cnn")
    at.selectbox(key="prune_style").set_value(style).run()
    assert len(sound(at).get("plotly_chart")) == 5
    assert not at.error


def test_a_layer_keeps_its_own_sparsity(open_app: Open) -> None:
    at = open_app("prune", model="digits-mlp")
    at.multiselect(key="prune_layers").set_value(["layers.0"]).run()
    subject = load_subject("digits-mlp", "digits")
    found = preview(subject, prune_subject(subject, Prune(sparsity=0.5, overrides={"layers.0": 0.0}))).measurement
    assert shown(sound(at))["Size packed"] == size(found.packed_bytes)


def test_a_criterion_that_looks_at_data_says_at_how_much(open_app: Open) -> None:
    at = sound(open_app("prune", model="digits-mlp"))
    assert not [control for control in at.number_input if control.key == "prune_images"]
    at = sound(at.selectbox(key="prune_criterion").set_value("fisher").run())
    assert any("looked at 512 of 1,078 training images" in caption.value for caption in at.caption)
    at = sound(at.number_input(key="prune_images").set_value(40).run())
    assert any("looked at 40 of 1,078 training images" in caption.value for caption in at.caption)
    subject = load_subject("digits-mlp", "digits")
    found = preview(subject, prune_subject(subject, Prune(criterion="fisher", sparsity=0.5, images=40))).measurement
    assert shown(at)["Accuracy"] == percent(found.accuracy)
    assert len(at.get("plotly_chart")) == 5 and not at.error


def test_garbage_in_a_link_falls_back_to_the_defaults(open_app: Open) -> None:
    garbage = {"data_digits": "no-such", "prune_sparsity": "nan", "prune_style": "<b>", "prune_round_to": "-3"}
    at = sound(open_app("prune", **garbage))
    assert at.selectbox(key="model").value == "digits-cnn"
    assert at.slider(key="prune_sparsity").value == 0.5


def test_absent_data_is_one_line_that_says_how_to_get_it(open_app: Open) -> None:
    at = sound(open_app("prune", model="mnist-lenet-300-100"))
    (line,) = [fault.value for fault in at.error]
    assert "espalier data mnist --get" in line
    assert "digits" in line
    assert "\n" not in line


def test_the_softened_teacher_moves_with_the_temperature(open_app: Open) -> None:
    at = sound(open_app("distill", model="digits-mlp"))
    logits = baseline(load_subject("digits-mlp"), "val")[0]
    for temperature in (4.0, 10.0):
        at = sound(at.slider(key="distill_temperature").set_value(temperature).run())
        most = int(instructive(logits, temperature, 1)[0])
        assert any(caption.value.startswith(f"No. {most}: class ") for caption in at.caption)
        assert len(charts(at)) == 5
    at = sound(at.slider(key="distill_rank").set_value(3).run())
    third = int(instructive(logits, 10.0, 3)[2])
    assert any(caption.value.startswith(f"No. {third}: class ") for caption in at.caption)
    again = sound(open_app("distill", model="digits-mlp", distill_temperature="10", distill_rank="3"))
    assert any(caption.value.startswith(f"No. {third}: class ") for caption in again.caption)
    at = sound(at.segmented_control(key="distill_way").set_value("number").run())
    assert len(charts(at)) == 5


def test_a_student_is_taught_judged_and_compared(open_app: Open) -> None:
    at = sound(open_app("distill", model="digits-mlp"))
    at = sound(at.segmented_control(key="distill_view").set_value("judge").run())
    assert "Nothing has been taught yet" in at.info[0].value
    at = sound(at.segmented_control(key="distill_view").set_value("teach").run())
    at.selectbox(key="teach_student").set_value("mlp")
    at = sound(at.run())
    at.text_input(key="teach_hidden").set_value("12")
    at.number_input(key="teach_epochs").set_value(2)
    at = sound(at.run())
    # 64 pixels to 12 units to 10 classes, with biases.
    assert any(f"{64 * 12 + 12 + 12 * 10 + 10} parameters" in caption.value for caption in at.caption)
    at = sound(at.button(key="teach_go").click().run())
    name = jobs.latest("distill", "digits-mlp", "digits")
    assert name is not None
    until(lambda: jobs.state(name).state not in jobs.UNDER_WAY)
    assert jobs.state(name).state == "done"
    at = sound(at.run())
    assert len(charts(at)) == 1
    at = sound(at.segmented_control(key="distill_view").set_value("judge").run())
    assert len(charts(at)) == 3
    [alone, taught] = [row for row in jobs.rows(name) if row["method"] != "teacher"]
    assert shown(at)["Answers as its teacher, alone"] == percent(alone["agreement"])
    assert shown(at)["Answers as its teacher, distilled"] == percent(taught["agreement"])
    assert list(at.dataframe[0].value["errors"]) == [row["errors"] for row in jobs.rows(name)]
    at = sound(at.segmented_control(key="distill_view").set_value("temperature").run())
    assert len(charts(at)) == 1
    assert "Choose several temperatures" in at.info[0].value


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("twelve", "Units of each layer are 'twelve'; give whole numbers from 1 to 65536, such as 800,800"),
        ("12,0", "Units of each layer are '12,0'; give whole numbers from 1 to 65536, such as 800,800"),
        ("65000,65000", "The student would have 4,229,940,010 parameters; at most 50,000,000 are allowed"),
    ],
)
def test_what_cannot_be_taught_is_one_line_in_a_form_that_stays(open_app: Open, typed: str, told: str) -> None:
    at = sound(open_app("distill", model="digits-mlp"))
    at = sound(at.segmented_control(key="distill_view").set_value("teach").run())
    at = sound(at.selectbox(key="teach_student").set_value("mlp").run())
    at.number_input(key="teach_epochs").set_value(3)
    at = sound(at.text_input(key="teach_hidden").set_value(typed).run())
    assert [fault.value for fault in at.error] == [told]
    assert at.selectbox(key="teach_student").value == "mlp" and at.number_input(key="teach_epochs").value == 3
    assert at.button(key="teach_go").disabled
    at = sound(at.text_input(key="teach_hidden").set_value("12").run())
    assert not at.error and not at.button(key="teach_go").disabled


def test_a_form_without_a_method_stays_too(open_app: Open) -> None:
    at = sound(open_app("distill", model="digits-mlp", distill_view="Teach"))
    at.session_state["teach_methods"] = []
    at = sound(at.run())
    assert [fault.value for fault in at.error] == ["methods is empty; give at least one"]
    assert at.button(key="teach_go").disabled


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root of a lesson of two methods, two temperatures and two seeds, run to its end once."""
    stage = Distill(student="mlp", hidden=(12,), epochs=1)
    plan = Teaching(
        model="digits-mlp", data="digits", stage=stage, methods=("soft_targets", "logits"), temperatures=(1, 4), seeds=2
    )
    root = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESPALIER_DATA", str(root))
        name = jobs.start(plan)
        until(lambda: jobs.state(name).state not in jobs.UNDER_WAY)
        assert jobs.state(name).state == "done"
    return root


@pytest.fixture
def taught(done: Path, data_root: Path) -> str:
    """The lesson's name, which is in this test's data root too."""
    shutil.copytree(done, data_root, dirs_exist_ok=True)
    name = jobs.latest("distill", "digits-mlp", "digits")
    assert name is not None
    return name


def test_a_link_reopens_the_lesson_and_what_was_chosen_of_it(open_app: Open, taught: str) -> None:
    later = jobs.start(Teaching(model="digits-mlp", data="digits", stage=Distill(student="mlp", epochs=1)))
    jobs.cancel(later)
    way = "Soft targets, T = 1, α = 0.9"
    link = {"lesson": taught, "lesson_way": way, "lesson_curve": f"{way}, seed 1"}
    at = sound(open_app("distill", model="digits-mlp", distill_view="Teach", **link))
    curves = at.selectbox(key="lesson_curve")
    assert curves.options[curves.index] == f"{way}, seed 1"
    at = sound(at.segmented_control(key="distill_view").set_value("judge").run())
    assert at.query_params["lesson"] in (taught, [taught])
    assert list(at.selectbox(key="lesson_way").options) == [
        way,
        "Soft targets, T = 4, α = 0.9",
        "Logit matching, α = 0.9",
    ]
    assert (
        sound(open_app("distill", distill_view="Judge", model="digits-mlp", **link)).selectbox(key="lesson_way").value
        == way
    )
    at = sound(open_app("distill", model="digits-mlp", distill_view="Judge"))
    assert at.query_params["lesson"] in (later, [later]), "the latest is shown, and the link says which that is"


def test_methods_are_called_by_their_labels_in_the_chart_of_temperatures(open_app: Open, taught: str) -> None:
    at = sound(open_app("distill", model="digits-mlp", distill_view="Which temperature?", lesson=taught))
    (chart,) = at.get("plotly_chart")
    assert "soft_targets" not in chart.proto.spec
    assert at.dataframe[0].value["way"].tolist()[2] == "Soft targets, T = 1, α = 0.9"


def test_matched_stages_are_in_the_link(open_app: Open) -> None:
    pair = "teach_pair_digits-cnn_narrower_blocks.0"
    query = {"distill_view": "Teach", "teach_methods": "Attention transfer"}
    at = sound(open_app("distill", **query))
    before = at.selectbox(key=pair)
    other = next(option for option in before.options if option not in ("not compared", before.options[before.index]))
    again = sound(open_app("distill", **query, **{pair: other})).selectbox(key=pair)
    assert again.options[again.index] == other


# Pipeline


def test_a_pipeline_opens_with_stages_that_can_be_added_moved_copied_and_removed(open_app: Open) -> None:
    at = sound(open_app("pipeline", "digits-cnn"))
    heads = [md.value for md in at.markdown if md.value.startswith("**") and ". " in md.value[:6]]
    assert heads == [
        "**1. Prune 50 % of channels**",
        "**2. Recalibrate BatchNorm**",
        "**3. Distil at T = 4, 5 epochs**",
    ]
    at.selectbox(key="pipeline_kind").set_value("gradual").run()
    sound(at.button(key="pipeline_add").click().run())
    assert stage_heads(at)[3] == "4. Prune 90 % of weights gradually, 10 epochs"
    sound(at.button(key="stage4_up").click().run())
    assert stage_heads(at)[2].startswith("3. Prune 90 %")
    sound(at.button(key="stage1_copy").click().run())
    assert stage_heads(at)[1] == "2. Prune 50 % of channels"
    sound(at.button(key="stage1_drop").click().run())
    assert len(stage_heads(at)) == 4
    at.number_input(key="stage4_sparsity").set_value(0.8).run()
    assert "Prune 80 % of weights gradually, 10 epochs" in stage_heads(sound(at))[2]


def stage_heads(at: AppTest) -> list[str]:
    return [md.value.strip("*") for md in at.markdown if md.value.startswith("**") and ". " in md.value[:6]]


def test_a_link_holds_the_stages_and_a_broken_one_is_named(open_app: Open) -> None:
    at = open_app("pipeline", "digits-cnn")
    at.selectbox(key="pipeline_preset").set_value("gradual").run()
    sound(at.button(key="pipeline_load").click().run())
    (link,) = at.query_params["stages"] if isinstance(at.query_params["stages"], list) else [at.query_params["stages"]]
    again = sound(open_app("pipeline", stages=link))
    assert stage_heads(again) == stage_heads(at) == ["1. Prune 95 % of weights gradually, 10 epochs"]
    broken = sound(open_app("pipeline", stages="not-a-link"))
    assert any("cannot be read" in warning.value for warning in broken.warning)
    assert stage_heads(broken)


def test_stages_that_make_no_sense_are_one_line_and_nothing_is_lost(open_app: Open) -> None:
    at = open_app("pipeline", "digits-cnn")
    at.text_area(key="pipeline_yaml").set_value("stages:\n- {kind: prune, sparsity: 2}").run()
    sound(at.button(key="pipeline_take").click().run())
    assert [error.value for error in at.error] == ["stages.0: sparsity is 2; it must lie in (0, 1), ends excluded"]
    at.text_area(key="pipeline_yaml").set_value("stages:\n- {kind: prune, sparsity: 0.3}\n- {kind: train}").run()
    sound(at.button(key="pipeline_take").click().run())
    assert stage_heads(at) == ["1. Prune 30 % of weights", "2. Train 1 epoch"]


def test_a_stage_of_int8_asks_what_its_mode_needs_and_stands_last(open_app: Open) -> None:
    at = open_app("pipeline", "digits-mlp")
    at.text_area(key="pipeline_yaml").set_value("stages:\n- {kind: prune, sparsity: 0.3}").run()
    sound(at.button(key="pipeline_take").click().run())
    at.selectbox(key="pipeline_kind").set_value("quantize").run()
    sound(at.button(key="pipeline_add").click().run())
    assert stage_heads(at)[1] == "2. Quantise to int8, static"
    mode, images = (one.key for group in (at.selectbox, at.number_input) for one in group if one.label in INT8)
    assert "Jacob et al. 2018" in " ".join(caption.value for caption in at.caption)
    sound(at.selectbox(key=mode).set_value("dynamic").run())
    assert stage_heads(at)[1] == "2. Quantise to int8, dynamic"
    assert images not in [one.key for one in at.number_input]
    sound(at.button(key=mode.replace("mode", "up")).click().run())
    assert [error.value for error in at.error] == [
        "stage prune follows quantize; nothing can change an int8 file, put it last"
    ]


INT8 = ("Ranges", "Images looked at")


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ("[{kind: prune, granularity: heads, sparsity: 0.5}]", "Stage 1: granularity heads does not fit digits-mlp"),
        ("[{kind: train}, {kind: prune, granularity: rows, criterion: batchnorm, sparsity: 0.5}]", "Stage 2: criter"),
        ("[{kind: sparsify, penalty: batchnorm_l1}]", "penalty 'batchnorm_l1' has nothing to act on"),
    ],
)  # fmt: skip
def test_stages_that_do_not_fit_the_model_are_refused_and_not_changed_unsaid(
    open_app: Open, stages: str, words: str
) -> None:
    at = open_app("pipeline", "digits-mlp")
    before = stage_heads(at)
    at.text_area(key="pipeline_yaml").set_value(f"model: digits-vit\nstages: {stages}").run()
    sound(at.button(key="pipeline_take").click().run())
    assert at.error[0].value.startswith(words)
    assert stage_heads(sound(at.run())) == before


def test_a_pipeline_runs_beside_its_controls_and_shows_its_lineage(open_app: Open) -> None:
    at = open_app("pipeline", "digits-mlp")
    at.text_area(key="pipeline_yaml").set_value(
        "stages:\n- {kind: sparsify, epochs: 1}\n- {kind: prune, sparsity: 0.5}"
    ).run()
    at.button(key="pipeline_take").click().run()
    at.toggle(key="pipeline_latency").set_value(False).run()
    sound(at.button(key="pipeline_run").click().run())
    name = at.query_params["run"]
    name = name[0] if isinstance(name, list) else name
    until(lambda: jobs.state(name).state not in jobs.UNDER_WAY)
    assert jobs.state(name).state == "done"
    sound(at.run())
    assert {"lineage", "drift0", "free0", "pipeline_accuracy"} <= {
        key for chart in charts(at) for key in [chart.split("-")[-1]]
    }
    result = jobs.result(name, 0)
    assert result is not None
    table = at.dataframe[0].value
    assert list(table.index) == ["this pipeline", "pruned at random", "small dense model from scratch"]
    assert table["accuracy"].iloc[0] == result.final.accuracy


def test_a_vision_transformer_shows_where_its_heads_look_before_and_after(open_app: Open) -> None:
    at = sound(open_app("prune", "digits-vit"))
    assert {"attention_before", "attention_after", "heads"} <= {chart.split("-")[-1] for chart in charts(at)}
    sound(at.selectbox(key="prune_style").set_value("heads").run())
    assert {"attention_before", "attention_after", "heads"} <= {chart.split("-")[-1] for chart in charts(at)}
    sound(at.selectbox(key="prune_style").set_value("blocks").run())
    assert "attention_after" in {chart.split("-")[-1] for chart in charts(at)}


def test_recalibration_is_a_bar_of_its_own_and_joins_the_recipe(open_app: Open) -> None:
    at = open_app("prune", "digits-cnn")
    at.selectbox(key="prune_style").set_value("channels").run()
    assert "recovery" not in {chart.split("-")[-1] for chart in charts(at)}
    sound(at.toggle(key="prune_batchnorm").set_value(True).run())
    assert "recovery" in {chart.split("-")[-1] for chart in charts(at)}
    with pytest.raises(KeyError):
        open_app("prune", "digits-mlp").toggle(key="prune_batchnorm")


def test_a_prune_stage_of_a_pipeline_takes_a_threshold_and_two_penalties_are_drawn_apart(open_app: Open) -> None:
    at = open_app("pipeline", "digits-mlp")
    penalties = "- {kind: sparsify, epochs: 1}\n- {kind: sparsify, epochs: 1, penalty: l2}\n"
    text = f"seed: 7\nstages:\n{penalties}- {{kind: prune, sparsity: 0.5}}"
    at.text_area(key="pipeline_yaml").set_value(text).run()
    sound(at.button(key="pipeline_take").click().run())
    assert at.number_input(key="pipeline_seed").value == 7
    uid = max(int(box.key[5:].split("_")[0]) for box in at.selectbox if box.key and box.key.startswith("stage"))
    sound(at.selectbox(key=f"stage{uid}_amount").set_value("threshold").run())
    at.number_input(key=f"stage{uid}_threshold").set_value(0.02).run()
    assert stage_heads(at)[2] == "3. Prune weights below 0.02"
    assert "threshold=0.02" in "".join(code.value for code in at.code)


def test_what_a_link_asks_is_not_changed_unsaid(open_app: Open) -> None:
    link = packed([{"kind": "prune", "sparsity": 0.995}, {"kind": "train", "lr": 2.0, "epochs": 500}])
    at = sound(open_app("pipeline", "digits-mlp", stages=link))
    assert "sparsity: 0.995" in at.code[0].value
    assert "lr: 2.0" in at.code[0].value and "epochs: 500" in at.code[0].value


def curve_words(at: AppTest) -> str:
    """The title and the subtitle of Prune's chart, in one line."""
    (chart,) = [chart for chart in at.get("plotly_chart") if chart.proto.id.endswith("-curve")]
    title = json.loads(chart.proto.spec)["layout"]["title"]
    return f"{title['text']} {title['subtitle']['text']}".replace("<br>", " ").replace("\u00a0", " ")


def test_prunes_chart_stands_on_a_cost_a_device_or_co2_of_the_grid_that_is_given(open_app: Open) -> None:
    at = sound(open_app("prune", model="digits-mlp"))
    across = at.selectbox(key="prune_across")
    assert across.value == "sparsity"
    assert {"Dense file size", "Latency on Raspberry Pi 5", "CO₂ per million images"} <= set(across.options)
    at = sound(across.set_value("pi5_ms").run())
    assert "estimated" in curve_words(at) and "Raspberry Pi 5" in curve_words(at)
    at = sound(at.selectbox(key="prune_across").set_value("co2_g").run())
    assert "estimated at 481 g/kWh" in curve_words(at)
    at = sound(at.number_input(key="grid").set_value(56.0).run())
    assert "estimated at 56 g/kWh" in curve_words(at)
    found = load_subject("digits-mlp", "digits")
    energy = baseline(found, "val")[1].energy
    table = next(frame.value for frame in at.dataframe if "CO₂ per million images" in frame.value)
    grams = float(table["CO₂ per million images"].iloc[0].removesuffix(" g"))
    assert grams == pytest.approx(energy.energy_mj * 56 / 3600, rel=0.01) and table["source"].iloc[0] == "modelled"
