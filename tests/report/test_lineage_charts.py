"""Lineages, drifts and schedules as tables and charts, stages in words, and a recipe as Python."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import pytest

import compression
from compression.recipe import STAGES, Distill, Gradual, Lottery, Prune, Quantize, Recalibrate, Recipe, Sparsify, Train
from compression.report import charts, drift_charts, lineage_charts
from compression.report.compare import records
from compression.report.script import script
from compression.report.stage_words import stage_words
from compression.report.themes import DARK, LIGHT
from compression.results import Drift, Latency, Measurement, Result

WORDS = [
    (Prune(granularity="channels", sparsity=0.5), "prune 50 % of channels"),
    (Prune(threshold=0.02), "prune weights below 0.02"),
    (Prune(granularity="2:4"), "prune 2:4 of weights"),
    (Gradual(sparsity=0.95, epochs=10), "prune 95 % of weights gradually, 10 epochs"),
    (
        Gradual(sparsity=0.6, schedule="dense_sparse_dense", epochs=3),
        "train dense, sparse, dense at 60 % of weights, 3 epochs",
    ),
    (Recalibrate(), "recalibrate BatchNorm"),
    (Recalibrate(biases=True), "recalibrate BatchNorm and biases"),
    (Train(epochs=1), "train 1 epoch"),
    (Sparsify(penalty="group_lasso", epochs=2), "train with group lasso, 2 epochs"),
    (Lottery(sparsity=0.9, ticket="shuffled"), "draw a shuffled ticket, 90 % pruned"),
    (Distill(temperature=8, epochs=3), "distil at T = 8, 3 epochs"),
    (Distill(student="mlp", alpha=0, epochs=3), "train into mlp without a teacher, 3 epochs"),
    (Quantize(mode="dynamic"), "quantise to int8, dynamic"),
]


def measured(accuracy: float, packed: int, speedup: float | None = None) -> Measurement:
    latency = ()
    if speedup:
        latency = (Latency(
            runtime="onnxruntime", batch=1, speedup=speedup, speedup_low=speedup - 0.1, speedup_high=speedup + 0.1,
            min_ms=1, median_ms=1, p90_ms=1, baseline_median_ms=1, pairs=30, threads=1,
        ),)  # fmt: skip
    return Measurement(
        split="test", n=1000, accuracy=accuracy, accuracy_low=accuracy - 0.01, accuracy_high=accuracy + 0.01,
        class_accuracy={}, loss=1, params=10, nonzero=10, sparsity=0, file_bytes=packed, packed_bytes=packed,
        macs=packed, memory_bytes=1, latency=latency,
    )  # fmt: skip


def result(accuracy: float, packed: int, speedup: float | None = None) -> Result:
    body = Result(recipe=Recipe(model="m"), baseline=measured(0.95, 1000, speedup and 1.0))
    stage = {"stage": Train(), "measurement": measured(accuracy, packed, speedup)}
    return Result.model_validate(body.model_dump() | {"stages": (stage,)})


@pytest.mark.parametrize(("stage", "words"), WORDS)
def test_stages_in_words(stage: object, words: str) -> None:
    assert stage_words(stage) == words  # type: ignore[arg-type]


def test_every_kind_of_stage_has_words() -> None:
    assert {type(stage) for stage, _ in WORDS} == set(STAGES.values())


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (result(0.95, 250, 2.0), "4.0× smaller, 2.0× the speed, accuracy the same within its interval"),
        (result(0.90, 250, 1.05), "4.0× smaller, no faster, −5.0 points of accuracy"),
        (result(0.90, 500), "2.0× smaller, −5.0 points of accuracy"),
    ],
)
def test_the_title_claims_what_the_intervals_bear(found: Result, title: str) -> None:
    table = lineage_charts.lineage_table(found)
    chart = charts.lineage_chart(table, LIGHT, n=1000)
    assert chart.title == title
    go.Figure(chart.figure.to_dict())  # which validates


def test_a_lineage_has_a_line_a_step_and_one_for_each_control() -> None:
    control = {"run": "random", "seed": 0, **measured(0.8, 250, 2.0).row()}
    table = lineage_charts.lineage_table(result(0.95, 250, 2.0), [control])
    assert list(table["step"]) == ["baseline", "train 1 epoch", "control: pruned at random"]
    assert list(table["accuracy"]) == [0.95, 0.95, 0.8]
    assert list(table["control"]) == [False, False, True]
    figure = charts.lineage_chart(table, DARK, n=1000).figure.to_dict()
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    assert [list(bar["text"]) for bar in bars] == [
        ["1 KB", "250 bytes", "250 bytes"], ["1 K", "250", "250"], ["1.0×", "2.0×", "2.0×"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("random", "scratch", "verdict"),
    [
        (0.8, 0.7, "; better than pruned at random and a small dense model"),
        (0.8, 0.95, "; better than pruned at random, no better than a small dense model"),
        (0.96, None, "; no better than pruned at random"),
        (None, None, ""),
    ],
)
def test_the_title_says_whether_the_controls_do_as_well(
    random: float | None, scratch: float | None, verdict: str
) -> None:
    ends = {"random": random, "scratch": scratch}
    controls = [{"run": run, "seed": 0, **measured(end, 250).row()} for run, end in ends.items() if end is not None]
    rows = records(lineage_charts.lineage_table(result(0.95, 250), controls))
    assert lineage_charts.lineage_title(rows) == f"4.0× smaller, accuracy the same within its interval{verdict}"
    assert lineage_charts.lineage_title(rows, stopped=True).startswith("Stopped early; until then 4.0× smaller")


def test_what_was_not_timed_is_said_and_not_drawn_as_a_number() -> None:
    control = {"run": "scratch", "seed": 0, **measured(0.8, 250).row()}
    table = lineage_charts.lineage_table(result(0.95, 250, 2.0), [control])
    speed = charts.lineage_chart(table, LIGHT).figure.to_dict()["data"][-1]
    assert list(speed["text"]) == ["1.0×", "2.0×", "not timed"]


def test_an_empty_lineage_and_an_untouched_drift_say_what_to_do() -> None:
    empty = pd.DataFrame()
    for chart in (
        charts.lineage_chart(empty, LIGHT),
        charts.drift_chart(empty, LIGHT, penalty="l1"),
        charts.free_chart(empty, LIGHT, penalty="l1"),
        charts.schedule_chart([], LIGHT),
    ):
        assert chart.title
        go.Figure(chart.figure.to_dict())


DRIFT = (
    Drift(epoch=0, reach=1.0, counts=(0, 2, 8, 0), below=((0.1, 0.0), (0.5, 0.2), (1.0, 1.0))),
    Drift(epoch=1, reach=1.0, counts=(6, 2, 2, 0), below=((0.1, 0.5), (0.5, 0.8), (1.0, 1.0))),
)


def test_a_drift_names_the_size_below_which_most_has_come() -> None:
    chart = charts.drift_chart(drift_charts.drift_table(DRIFT), LIGHT, penalty="l1")
    assert chart.title == "After 1 epoch 60.0 % of the weights are smaller than 0.25; before, 0.0 %"
    frames = [list(frame["data"][0]["y"]) for frame in chart.figure.to_dict()["frames"]]
    assert frames == [[0, 2, 8, 0], [6, 2, 2, 0]]
    first = charts.drift_chart(drift_charts.drift_table(DRIFT), LIGHT, penalty="l1", bars=2)
    assert first.title == "After 1 epoch 80.0 % of the weights are smaller than 0.5; before, 20.0 %"


@pytest.mark.parametrize("count", [9, 11, 95])
def test_no_bar_of_a_drift_is_cut_off(count: int) -> None:
    drift = (Drift(epoch=0, reach=1.0, counts=(count, 1), below=((1.0, 1.0),)),)
    chart = charts.drift_chart(drift_charts.drift_table(drift), LIGHT, penalty="l1").figure.to_dict()
    assert 10 ** chart["layout"]["yaxis"]["range"][1] > count


def test_the_free_sparsity_is_told_where_it_grew_most() -> None:
    chart = charts.free_chart(drift_charts.free_table(DRIFT), DARK, penalty="group_lasso")
    assert chart.title == "A threshold of 0.5 now takes 80.0 % of the units, before 20.0 %"
    asked = charts.free_chart(drift_charts.free_table(DRIFT), DARK, penalty="l2", threshold=0.1)
    assert asked.title == "A threshold of 0.1 now takes 50.0 % of the weights, before 0.0 %"
    still = charts.free_chart(drift_charts.free_table((DRIFT[0], DRIFT[0])), DARK, penalty="l1")
    assert still.title == "No threshold takes more of the weights than before"


def test_a_schedule_is_drawn_as_the_steps_that_it_is() -> None:
    chart = charts.schedule_chart([(0.0, 0.4), (0.5, 0.8)], LIGHT)
    assert chart.title == "Sparsity ends at 80 % after 2 steps"
    trace = chart.figure.to_dict()["data"][0]
    assert (list(trace["x"]), list(trace["y"])) == ([0, 0, 50, 100], [0, 0.4, 0.8, 0.8])


def test_the_lines_of_python_build_the_same_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = tuple(stage for stage, _ in WORDS)
    recipe = Recipe(model="digits-mlp", data="digits", seed=3, stages=stages)
    seen: list[Recipe] = []

    def noted(given: Recipe) -> Result:
        seen.append(given)
        return result(0.5, 10)

    monkeypatch.setitem(vars(compression), "run", noted)
    exec(script(recipe), {})
    assert seen == [recipe]
