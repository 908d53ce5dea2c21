"""Tables, titles and charts of a scan: valid, small, in words, and drawing the numbers of their tables."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import plotly.io
import pytest

from compression.report import sensitivity_titles as titles
from compression.report.charts import DARK, LIGHT
from compression.report.compare import records
from compression.report.sensitivity_bars import allocation_chart, layer_cost_chart, outcome_chart
from compression.report.sensitivity_charts import NAMED, sensitivity_chart, sensitivity_map
from compression.report.sensitivity_tables import (
    allocation_table,
    layer_cost_table,
    outcome_table,
    sensitivity_table,
    spare,
)
from compression.results import wilson

SPARSITIES = (0.1, 0.5, 0.9)
LOSSES = {"stem": (0.02, 0.3, 0.8), "blocks.0.conv1": (0.0, 0.05, 0.4), "blocks.1.conv1": (-0.01, 0.0, 0.005)}


def reading(layer: str, sparsity: float, loss: float, n: int = 200) -> dict:
    return {
        "layer": layer, "granularity": "channels", "sparsity": sparsity, "achieved": sparsity + 0.01, "n": n,
        "accuracy": 0.95 - loss, "loss": 1.0, "divergence": 0.1, "whole_accuracy": 0.95, "whole_loss": 0.2,
        "params_saved": round(1000 * sparsity), "macs_saved": round(9000 * sparsity),
    }  # fmt: skip


def readings() -> list[dict]:
    return [
        reading(layer, sparsity, loss)
        for layer, losses in LOSSES.items()
        for sparsity, loss in zip(SPARSITIES, losses, strict=True)
    ]


MANY = [reading(f"blocks.{i}.conv", s / 10, max(0.0, s * (i - 3) / 600)) for i in range(54) for s in range(1, 10)]
COSTS = [
    {"layer": "stem", "units": 16, "params": 100, "macs": 60_000},
    {"layer": "blocks.0.conv1", "units": 32, "params": 300, "macs": 30_000},
    {"layer": "blocks.1.conv1", "units": 64, "params": 600, "macs": 10_000},
]
WHOLE = {"accuracy": 0.95}


def method(key: str, accuracy: float, predicted: float | None, sparsities: tuple[float, ...]) -> dict:
    low, high = wilson(round(200 * accuracy), 200)
    return {
        "method": key, "label": key.capitalize(), "sparsity": 0.5, "accuracy": accuracy, "accuracy_low": low,
        "accuracy_high": high, "predicted": predicted, "n": 200,
        "sparsities": dict(zip(LOSSES, sparsities, strict=True)),
    }  # fmt: skip


METHODS = [
    method("uniform", 0.4, 0.2, (0.5, 0.5, 0.5)),
    method("sensitivity", 0.9, 0.92, (0.0, 0.25, 0.75)),
    method("lamp", 0.88, None, (0.1, 0.3, 0.7)),
]
MAKERS = {
    "lines": lambda t: sensitivity_chart(sensitivity_table(readings()), t),
    "lines, many": lambda t: sensitivity_chart(sensitivity_table(MANY), t),
    "lines, empty": lambda t: sensitivity_chart(sensitivity_table([]), t),
    "map": lambda t: sensitivity_map(sensitivity_table(readings()), t),
    "map, many": lambda t: sensitivity_map(sensitivity_table(MANY), t),
    "map, empty": lambda t: sensitivity_map(sensitivity_table([]), t),
    "costs": lambda t: layer_cost_chart(layer_cost_table(COSTS), t),
    "costs, empty": lambda t: layer_cost_chart(layer_cost_table([]), t),
    "allocation": lambda t: allocation_chart(allocation_table(METHODS), t),
    "allocation, empty": lambda t: allocation_chart(allocation_table([]), t),
    "outcome": lambda t: outcome_chart(outcome_table(METHODS, WHOLE), t),
    "outcome, empty": lambda t: outcome_chart(outcome_table([], WHOLE), t),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", MAKERS)
def test_every_chart_is_valid_small_and_in_words(name, theme):
    chart = MAKERS[name](theme)
    drawn = chart.figure.to_dict()
    go.Figure(**drawn)  # the charts skip Plotly's validation; here it raises on any bad property
    text = plotly.io.to_json(drawn, validate=False)
    assert len(text) < 120_000
    assert "NaN" not in text and "Infinity" not in text
    assert chart.alt == chart.title and 1 <= len(chart.title.split()) <= 15
    shown = json.loads(text)["layout"]["title"]["text"].replace("<br>", " ").replace("\u00a0", " ")
    assert shown == f"<b>{chart.title}</b>"
    other = LIGHT if theme is DARK else DARK
    assert other.text not in text and other.palette[0] not in text, "colours of one theme only"


def named(chart, name):
    (trace,) = [trace for trace in chart.figure.data if trace.name == name]
    return trace


def test_the_table_holds_the_last_reading_of_each_point_with_its_interval():
    early = [reading(layer, s, 0.4, n=50) for layer in LOSSES for s in SPARSITIES]
    table = sensitivity_table(early + readings())
    assert list(table.n) == [200] * 9 and list(table.layer.unique()) == list(LOSSES)
    row = records(table)[1]
    assert (row["x"], row["sparsity"]) == (0.51, 0.5)
    assert row["change"] == pytest.approx(-0.3)
    assert (row["accuracy_low"], row["accuracy_high"]) == wilson(130, 200)


def test_what_a_layer_can_spare_ends_at_its_first_loss():
    rows = [{"x": x, "change": change} for x, change in ((0.3, -0.02), (0.1, 0.0), (0.2, -0.01), (0.4, 0.0))]
    assert spare(rows) == 0.2 and spare(rows, 0.02) == 0.4 and spare(rows, 0) == 0.1
    assert spare([{"x": 0.1, "change": -0.5}]) == 0


def test_titles_say_what_the_rows_say():
    rows = records(sensitivity_table(readings()))
    assert titles.sensitivity_title(rows) == "stem gives way first: 11 % of its channels cost 2.0 points"
    assert titles.map_title(rows) == "Within 1 point blocks.1.conv1 can spare 91 % alone, stem nothing"
    tough = [row for row in rows if row["layer"] == "blocks.1.conv1"]
    assert titles.sensitivity_title(tough) == "No layer alone costs more than 1 point, even at 91 %"
    assert titles.map_title(tough) == "Within 1 point every layer alone can spare 91 %"
    costs = records(layer_cost_table(COSTS))
    assert titles.layer_cost_title(costs) == "blocks.1.conv1 holds 60 % of the parameters, stem does 60 % of the work"
    assert titles.layer_cost_title(costs[:1]) == "stem holds 10 % of the parameters and does 60 % of the work"
    spread = records(allocation_table(METHODS))
    assert titles.allocation_title(spread) == "stem loses 50 % with Uniform, 0 % with Sensitivity"
    assert titles.allocation_title(spread[:3]) == "Every layer loses 50 %: it is spread evenly"
    found = records(outcome_table(METHODS, WHOLE))
    assert titles.outcome_title(found) == "Sensitivity keeps most, 90.0 %; Lamp is within noise"
    assert titles.outcome_title([found[0], found[2]]) == "Sensitivity keeps most, 90.0 %; next is Uniform, 40.0 %"
    assert (
        titles.outcome_title(found[:2]) == "All 2 methods leave 88.0 % to 90.0 %: they are within noise of each other"
    )
    assert titles.outcome_title(found[:1]) == "Sensitivity leaves 90.0 % before fine-tuning"


def test_lines_start_at_the_whole_model_and_the_harmless_are_faded():
    chart = MAKERS["lines"](LIGHT)
    stem, calm = named(chart, "stem"), named(chart, "blocks.1.conv1")
    assert stem.x == (0, 0.11, 0.51, 0.91) and stem.y == pytest.approx((0.95, 0.93, 0.65, 0.15))
    assert stem.line.color == LIGHT.palette[0] and calm.line.color.startswith("rgba") and calm.mode == "lines"
    assert {stem.line.dash, named(chart, "blocks.0.conv1").line.dash} == {"solid", "dash"}
    notes = [note.text for note in chart.figure.layout.annotations]
    assert any("stem" in note for note in notes) and not any("blocks.1" in note for note in notes)
    assert "whole model 95.0 %" in notes and "1 that can spare more are grey" in chart.subtitle
    assert "n = 200" in chart.subtitle


def test_of_many_layers_those_that_give_way_first_are_named():
    chart = MAKERS["lines, many"](LIGHT)
    coloured = {trace.name for trace in chart.figure.data if trace.mode == "lines+markers"}
    assert coloured == {f"blocks.{i}.conv" for i in range(53, 53 - NAMED, -1)}


def test_the_map_has_the_points_lost_and_a_dot_where_they_are_few():
    heat, dots = MAKERS["map"](LIGHT).figure.data
    assert [list(line) for line in heat.z] == [[0.02, 0.3, 0.8], [0, 0.05, 0.4], [0, 0, 0.005]]
    assert heat.zmin == 0 and heat.zmax == 0.8
    assert set(zip(dots.x, dots.y, strict=True)) == {(0, 1), (0, 2), (1, 2), (2, 2)}
    assert MAKERS["map"](LIGHT).figure.layout.xaxis.ticktext == ("10 %", "50 %", "90 %")


def test_a_point_that_could_not_be_read_is_a_gap():
    rows = [row for row in readings() if (row["layer"], row["sparsity"]) != ("stem", 0.1)]
    heat, _ = sensitivity_map(sensitivity_table(rows), LIGHT).figure.data
    assert heat.z[0][0] is None and heat.z[0][1] == pytest.approx(0.3)


def test_costs_are_two_bars_a_layer_told_apart_without_colour():
    numbers, work = MAKERS["costs"](LIGHT).figure.data
    assert numbers.x == (0.1, 0.3, 0.6) and work.x == (0.6, 0.3, 0.1)
    assert work.marker.pattern.shape == "/"
    assert MAKERS["costs"](LIGHT).figure.layout.yaxis.ticktext == tuple(LOSSES)


def test_allocations_are_a_panel_of_bars_for_each_method():
    chart = MAKERS["allocation"](LIGHT)
    assert [trace.name for trace in chart.figure.data] == ["Uniform", "Sensitivity", "Lamp"]
    assert chart.figure.data[1].x == (0, 0.25, 0.75) and chart.figure.data[1].xaxis == "x2"
    layout = chart.figure.layout
    assert layout.xaxis.domain[1] < layout.xaxis2.domain[0] < layout.xaxis3.domain[0]
    assert layout.yaxis.domain[1] < 1, "room for the names of the methods"


def test_outcomes_are_measured_discs_and_estimated_rings_the_best_on_top():
    chart = MAKERS["outcome"](LIGHT)
    measured, guessed = named(chart, "measured"), named(chart, "estimated")
    assert measured.x == (0.9, 0.88, 0.4) and measured.y == (0, 1, 2)
    assert guessed.x == (0.92, 0.2) and guessed.y == (0, 2), "no estimate without a scan"
    low, high = wilson(180, 200)
    assert measured.error_x.array[0] == pytest.approx(high - 0.9, abs=1e-5)
    assert measured.error_x.arrayminus[0] == pytest.approx(0.9 - low, abs=1e-5)
    assert chart.figure.layout.shapes[0].x0 == 0.95
    assert chart.figure.layout.yaxis.ticktext == ("Sensitivity", "Lamp", "Uniform")
