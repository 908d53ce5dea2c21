"""Every chart: valid for Plotly, small, on the page's ground, in words; and it draws the numbers of its table."""

import json
import math

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest

from compression.report import charts
from compression.report.bins import filter_grid, histogram_table, unit_table
from compression.report.curve import mean_gap
from compression.report.drawing import Frame, laid_over
from compression.report.drawing import chart as drawn
from compression.report.tables import (
    change_table,
    class_table,
    curve_table,
    history_table,
    layer_table,
    speed_table,
    tradeoff_table,
)
from compression.report.themes import DARK, LIGHT
from compression.results import Epoch, LayerReport
from tests.report.rows import row, sweep, timed

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.laplace(0, 0.05, 20_000)
COUNTS, EDGES = np.histogram(WEIGHTS, bins=160)
SCORES = RANDOM.uniform(0, 2, 64)
FILTERS = RANDOM.normal(size=(20, 5, 5)) * (RANDOM.random((20, 5, 5)) > 0.5)
REPORTS = [
    LayerReport(layer=f"block{i}.conv", shape=(64, 8, 3, 3), asked=0.5 if i else None, achieved=i / 8, kept=64 - 8 * i,
                width=64, note="kept at a multiple of 8")
    for i in range(8)
]  # fmt: skip
EPOCHS = [
    Epoch(stage=1, epoch=i, train_loss=1 / i, train_accuracy=1 - 0.1 / i, val_loss=1.2 / i, val_accuracy=0.97 - 0.1 / i,
          lr=0.1, seconds=1)
    for i in range(1, 7)
]  # fmt: skip
MANY = [
    row("baseline", 0, 392),
    *(
        row(kind, s, 392 - int(100 * s), criterion=criterion, epochs=e, packed_bytes=int(1e5 * (1.01 - s)))
        for kind in ("weights", "channels")
        for criterion in ("magnitude", "random", "l2")
        for e in (0, 2)
        for s in (0.2, 0.5, 0.8)
    ),
]
NOW = {"sparsity": 0.4, "accuracy": 0.97, "accuracy_low": 0.95, "accuracy_high": 0.99}
BEFORE = {f"class {i}": 0.9 for i in range(20)}
AFTER = {f"class {i}": 0.9 - 0.01 * i for i in range(20)}

MAKERS = {
    "trade-off": lambda t: charts.tradeoff_chart(tradeoff_table(sweep()), t, show_knee=True),
    "trade-off, speed": lambda t: charts.tradeoff_chart(tradeoff_table(sweep(), "speedup"), t, budget=1.5),
    "trade-off, log": lambda t: charts.tradeoff_chart(tradeoff_table(sweep(), "macs"), t, log=True, floor=0.5),
    "trade-off, many": lambda t: charts.tradeoff_chart(tradeoff_table(MANY), t, budget=5e4),
    "trade-off, baseline": lambda t: charts.tradeoff_chart(tradeoff_table(sweep()[:1]), t),
    "trade-off, empty": lambda t: charts.tradeoff_chart(tradeoff_table([]), t),
    "trade-off, untimed": lambda t: charts.tradeoff_chart(tradeoff_table(MANY, "eager_speedup"), t),
    "curve": lambda t: charts.curve_chart(curve_table(sweep()), t, present=NOW),
    "curve, many": lambda t: charts.curve_chart(curve_table(MANY), t),
    "curve, one point": lambda t: charts.curve_chart(curve_table([sweep()[0], row("2:4", 0.5, 390)]), t),
    "curve, empty": lambda t: charts.curve_chart(curve_table([]), t),
    "speed": lambda t: charts.speed_chart(speed_table(sweep()), t),
    "speed, narrow": lambda t: charts.speed_chart(speed_table(sweep()[:1] + sweep()[2::3]), t, width=280),
    "speed, empty": lambda t: charts.speed_chart(speed_table([]), t),
    "histogram": lambda t: charts.histogram_chart(histogram_table(EDGES, COUNTS, 0.03), t, threshold=0.03),
    "histogram, log": lambda t: charts.histogram_chart(histogram_table(EDGES, COUNTS), t, log=True),
    "units": lambda t: charts.histogram_chart(
        unit_table(SCORES, SCORES < 0.7), t, threshold=0.7, what="channels", x_title="L2 norm"
    ),
    "histogram, empty": lambda t: charts.histogram_chart(histogram_table([0, 1], [0]), t),
    "layers": lambda t: charts.layer_chart(layer_table(REPORTS), t, unit="channels"),
    "layers, empty": lambda t: charts.layer_chart(layer_table([]), t),
    "classes": lambda t: charts.class_chart(class_table(BEFORE, AFTER), t, split="val", n=400),
    "filters": lambda t: charts.filter_chart(filter_grid(FILTERS, [True] + 19 * [False]), t),
    "filters, large": lambda t: charts.filter_chart(filter_grid(RANDOM.normal(size=(100, 28, 28))), t),
    "accuracy": lambda t: charts.history_chart(history_table(EPOCHS), t),
    "loss": lambda t: charts.history_chart(history_table(EPOCHS[:1]), t, measure="loss"),
    "history, empty": lambda t: charts.history_chart(history_table([]), t),
    "change": lambda t: charts.change_chart(change_table(sweep()[0], sweep()[5]), t),
}  # fmt: skip


def named(chart, name):
    (trace,) = [trace for trace in chart.figure.data if trace.name == name and trace.y and trace.y != (None,)]
    return trace


def test_the_revision_of_a_charts_data_changes_with_them_and_only_with_them():
    def revision(level):
        return drawn([{"type": "bar", "x": [1.0, level]}], LIGHT, "One", "", Frame(300, 200)).figure.layout.datarevision

    assert revision(2.0) == revision(2.0) != revision(2.5)


def test_one_layout_over_another_keeps_what_only_one_says():
    under = {"xaxis": {"title": {"font": 12}, "ticks": ""}, "height": 1}
    over = laid_over(under, {"xaxis": {"title": {"text": "s"}, "range": [0, 1]}, "height": 2})
    assert over == {"xaxis": {"title": {"font": 12, "text": "s"}, "ticks": "", "range": [0, 1]}, "height": 2}
    assert under["xaxis"] == {"title": {"font": 12}, "ticks": ""}, "the lower one is left as it was"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", MAKERS)
def test_every_chart_is_valid_small_and_in_words(name, theme):
    chart = MAKERS[name](theme)
    drawn = chart.figure.to_dict()
    go.Figure(**drawn)  # the charts skip Plotly's validation; here it raises on any bad property
    text = plotly.io.to_json(drawn, validate=False)
    assert len(text) < 60_000
    assert "NaN" not in text and "Infinity" not in text
    layout = json.loads(text)["layout"]
    assert layout["template"] == "none", "no template is carried along, which Plotly would draw anew for"
    assert layout["paper_bgcolor"] == theme.page and layout["datarevision"]
    assert {axis["gridcolor"] for key, axis in layout.items() if key[1:5] == "axis"} == {theme.grid}
    assert "width" not in layout and layout["height"] >= 100, "as wide as its place, of a known height"
    assert chart.alt == chart.title and 1 <= len(chart.title.split()) <= 15
    shown = layout["title"]["text"].replace("<br>", " ").replace("\u00a0", " ")
    assert shown == f"<b>{chart.title}</b>"
    other = LIGHT if theme is DARK else DARK
    assert other.text not in text and other.palette[0] not in text, "colours of one theme only"


def test_a_curve_drawn_by_hand_is_beside_the_measured_one_and_its_gap_is_their_mean_distance():
    table = curve_table(sweep())
    measured = dict(zip(*(table[table["granularity"] == "weights"][key] for key in ("x", "accuracy")), strict=True))
    drawn = [(x, accuracy - step) for (x, accuracy), step in zip(measured.items(), (0.0, 0.1, 0.2, 0.3), strict=False)]
    line = named(charts.curve_chart(table, LIGHT, drawn=drawn), "you drew")
    assert (list(line.x), list(line.y)) == tuple(map(list, zip(*drawn, strict=True)))
    only = table[table["granularity"].isin(["weights", "baseline"])]
    assert mean_gap([*drawn, (0.123, 0.0)], only) == pytest.approx(np.mean([0.0, 0.1, 0.2, 0.3][: len(drawn)]))


def test_histograms_are_tiny():
    for name in ("histogram", "histogram, log", "units"):
        assert len(plotly.io.to_json(MAKERS[name](LIGHT).figure, validate=False)) < 10_000


def test_the_trade_off_draws_every_point_in_its_unit():
    chart = charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT)
    weights = named(chart, "weights")
    assert weights.x == (73, 53, 33) and weights.y == (0.98, 0.975, 0.94)
    assert "KB" in chart.figure.layout.xaxis.title.text and "left is better" in chart.figure.layout.xaxis.title.text
    low, high = weights.error_y.arrayminus[0], weights.error_y.array[0]
    assert (0.98 - low, 0.98 + high) == pytest.approx(
        (sweep()[1]["accuracy_low"], sweep()[1]["accuracy_high"]), abs=1e-5
    )
    assert named(chart, "baseline").x == (100,)
    assert "60 % sparsity" not in weights.text[0] and "30 % sparsity" in weights.text[0]
    assert "accuracy 98.0 %" in weights.text[0] and "1.4× smaller" in weights.text[0]


def test_the_front_is_a_staircase_from_the_cheapest_to_the_most_accurate():
    chart = charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT)
    front = named(chart, "Pareto front")
    assert front.x == (10, 25, 50, 73) and front.y == (0.625, 0.95, 0.975, 0.98)
    assert front.line.shape == "hv"
    fast = charts.tradeoff_chart(tradeoff_table(sweep(), "speedup"), LIGHT)
    assert named(fast, "Pareto front").line.shape == "vh"
    assert "right is better" in fast.figure.layout.xaxis.title.text


def test_beaten_points_are_faded_and_those_within_noise_less():
    rows = [*sweep(), row("weights", 0.9, 300, packed_bytes=60_000)]
    chart = charts.tradeoff_chart(tradeoff_table(rows), LIGHT, floor=0.5)
    assert named(chart, "weights").marker.opacity == (1, 0.6, 0.6, 0.35), "94 and 95 % of 400 are not told apart"


def test_low_points_are_off_the_first_view_and_counted():
    chart = charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT)
    assert chart.figure.layout.yaxis.range[0] == 0.75
    assert "1 below 75 % are off the chart" in chart.subtitle
    assert 0.625 in named(chart, "channels").y, "zooming out still finds it"
    whole = charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT, floor=0.5)
    assert "off the chart" not in whole.subtitle


def test_the_axis_turns_logarithmic_by_itself():
    assert charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT).figure.layout.xaxis.type is None
    wide = charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT, floor=0.5)
    low, high = wide.figure.layout.xaxis.range
    assert wide.figure.layout.xaxis.type == "log"
    assert 10**low < 10 and 10**high > 100


def test_a_budget_shades_what_it_rules_out_and_moves_the_recommendation():
    chart = charts.tradeoff_chart(tradeoff_table(sweep()), LIGHT, budget=60_000)
    shade, line = chart.figure.layout.shapes[:2]
    assert (shade.type, shade.x0) == ("rect", 60) and shade.x1 == chart.figure.layout.xaxis.range[1]
    assert line.x0 == line.x1 == 60 and line.label.text == "budget 60 KB"
    assert chart.title.startswith("Within 60 KB: removing 30 % of channels")
    fast = charts.tradeoff_chart(tradeoff_table(sweep(), "speedup"), LIGHT, budget=1.5)
    assert fast.figure.layout.shapes[0].x1 == fast.figure.layout.xaxis.range[0], "slower is ruled out"


def test_the_baseline_and_the_recommended_point_are_labelled():
    notes = [note.text for note in MAKERS["trade-off"](LIGHT).figure.layout.annotations]
    assert any(note.startswith("baseline 98.0 %") for note in notes)
    assert "<b>channels 30 %: 2.0× smaller</b>" in notes
    assert any("knee" in note for note in notes)
    assert sum("●" in note or "■" in note for note in notes) == 2, "both series, by symbol and name"


def test_many_series_go_to_a_legend():
    chart = MAKERS["trade-off, many"](LIGHT)
    entries = [trace for trace in chart.figure.data if trace.showlegend is not False]
    assert chart.figure.layout.showlegend and len(entries) == 12
    assert len({(trace.marker.symbol, trace.marker.color) for trace in entries}) == 8
    assert chart.figure.layout.height > 440


def test_unmeasured_points_are_counted():
    rows = sweep()
    rows[1] = rows[1] | {"speedup": None}
    chart = charts.tradeoff_chart(tradeoff_table(rows, "speedup"), LIGHT)
    assert "1 of 7 without it are not drawn" in chart.subtitle


def test_the_curve_has_its_band_baseline_and_present_point():
    chart = MAKERS["curve"](LIGHT)
    line = named(chart, "channels")
    assert line.x == (0, 0.3, 0.5, 0.7) and line.y == (0.98, 0.975, 0.95, 0.625)
    band = chart.figure.data[list(chart.figure.data).index(line) - 1]
    rows = curve_table(sweep()).query("series == 'channels' and not baseline")
    assert band.x == (0, 0.3, 0.5, 0.7, 0.7, 0.5, 0.3, 0)
    assert band.y == (*rows["accuracy_low"], *rows["accuracy_high"][::-1])
    assert (named(chart, "now").x, named(chart, "now").y) == ((0.4,), (0.97,))
    assert chart.figure.layout.shapes[0].y0 == 0.98 and chart.figure.layout.shapes[0].line.dash == "dot"
    assert {line.line.dash for line in chart.figure.data if line.name in ("weights", "channels")} == {"solid", "dash"}
    assert any("now 97.0 %" in note.text for note in chart.figure.layout.annotations)


def test_size_and_speed_stand_in_two_panels_at_the_same_sparsities():
    chart = charts.speed_chart(speed_table(sweep()), LIGHT)
    panels = {(trace.name, trace.xaxis): trace for trace in chart.figure.data}
    assert panels["channels", "x"].y == (2.0, 4.0, 10.0)
    assert panels["channels", "x2"].y == (1.6, 2.2, 3.0)
    assert panels["weights", "x2"].y == (1.0, 1.01, 0.99)
    assert panels["weights", "x"].x == panels["channels", "x2"].x == (0.3, 0.5, 0.7)
    assert panels["weights", "x2"].error_y.array == pytest.approx((0.05,) * 3)
    assert panels["weights", "x"].line.dash != panels["channels", "x"].line.dash
    wide, narrow = chart.figure.layout, MAKERS["speed, narrow"](LIGHT).figure.layout
    assert wide.xaxis.domain[1] < wide.xaxis2.domain[0], "side by side"
    assert narrow.yaxis2.domain[1] < narrow.yaxis.domain[0], "one above the other"


def test_the_histogram_shades_exactly_to_the_threshold():
    chart = MAKERS["histogram"](LIGHT)
    whole, gone = chart.figure.data
    assert sum(whole.y[:-1]) > sum(gone.y[:-1]) > 0
    shaded = [x for x, y in zip(gone.x, gone.y, strict=True) if y]
    ends = [x for x, y, before in zip(gone.x[1:], gone.y[1:], gone.y, strict=False) if before and not y]
    assert (min(shaded), ends) == (-0.03, [0.03])
    assert gone.fillpattern.shape == "/", "not by colour alone"
    assert [shape.x0 for shape in chart.figure.layout.shapes] == [-0.03, 0.03]
    part = (np.abs(WEIGHTS) < 0.03).mean()
    stated = float(chart.title.split()[0])
    assert stated == pytest.approx(100 * part, abs=0.5)


def test_outliers_lie_beyond_the_edges_and_are_counted():
    chart = MAKERS["histogram"](LIGHT)
    low, high = chart.figure.layout.xaxis.range
    outside = (np.abs(WEIGHTS) > high).mean()
    assert -low == pytest.approx(high) and 0.001 < outside <= 0.005
    stated = float(chart.subtitle.split("; ")[1].split()[0])
    assert stated == pytest.approx(100 * outside, abs=0.1)
    assert chart.figure.data[0].x[-1] > high, "zooming out still finds them"
    whole = MAKERS["histogram, log"](LIGHT)
    assert "beyond" not in whole.subtitle and whole.figure.layout.xaxis.range[1] == pytest.approx(EDGES[-1], rel=1e-4)
    wide = charts.histogram_chart(histogram_table(EDGES, COUNTS, 0.2), LIGHT, threshold=0.2)
    assert wide.figure.layout.xaxis.range[1] >= min(0.6, EDGES[-1]) - 1e-9, "the cut stays well inside"


def test_scores_have_one_cut():
    chart = MAKERS["units"](LIGHT)
    assert [shape.x0 for shape in chart.figure.layout.shapes] == [0.7]
    assert chart.title.endswith("channels lie below 0.7 and are pruned")


def test_layers_show_achieved_asked_and_kept():
    chart = MAKERS["layers"](LIGHT)
    bars, kept, ticks = chart.figure.data
    assert bars.x == tuple(i / 8 for i in range(8)) and bars.orientation == "h"
    assert [text.strip() for text in kept.text] == [f"{64 - 8 * i} of 64" for i in range(8)]
    assert (ticks.x, ticks.y) == ((0.5,) * 7, tuple(range(1, 8))), "nothing was asked of the first"
    assert "kept at a multiple of 8" in bars.text[3]


def test_of_many_layers_those_that_lost_most_are_shown_in_order():
    chart = charts.layer_chart(layer_table(REPORTS), LIGHT, cap=3)
    assert chart.figure.layout.yaxis.ticktext == ("block5.conv", "block6.conv", "block7.conv")
    assert "the 3 of 8 layers that lost most" in chart.subtitle


def test_classes_show_before_and_after():
    chart = MAKERS["classes"](LIGHT)
    assert named(chart, "before").x == (0.9,) * 15
    assert named(chart, "after").x == pytest.approx([0.9 - 0.01 * i for i in range(19, 4, -1)])
    assert chart.figure.layout.yaxis.ticktext[0] == "class 19"
    assert "the 15 of 20 that lose most" in chart.subtitle and "one image ≈ 5.0 points" in chart.subtitle


def test_filters_are_one_picture_with_zeros_and_crosses():
    chart = MAKERS["filters"](LIGHT)
    heat, crosses = chart.figure.data
    cells = [cell for line in heat.z for cell in line if cell is not None]
    assert len(cells) == 19 * 25
    assert cells.count(0) == int((FILTERS[1:] == 0).sum())
    assert min(cells) >= -100 and max(cells) <= 100
    assert crosses.x.count(None) == 3
    scale = dict(map(tuple, heat.colorscale[-4:-2]))
    assert set(scale.values()) == {LIGHT.zero}, "exactly zero has a colour of its own"
    position = (0 - heat.zmin) / (heat.zmax - heat.zmin)
    assert min(scale) < position < max(scale)
    for near in (-1, 1):
        at = (near - heat.zmin) / (heat.zmax - heat.zmin)
        assert not min(scale) <= at <= max(scale), "one percent is not drawn as zero"


def test_large_filters_travel_as_bytes():
    chart = MAKERS["filters, large"](LIGHT)
    (heat,) = chart.figure.data
    assert heat.z.dtype == np.int8 and "first 25 of 100 filters" in chart.subtitle
    assert heat.z.min() == heat.zmin == -101, "gaps are clear"


def test_training_curves():
    chart = MAKERS["accuracy"](LIGHT)
    assert named(chart, "validation").y == tuple(e.val_accuracy for e in EPOCHS)
    assert named(chart, "training").y == tuple(e.train_accuracy for e in EPOCHS)
    assert {named(chart, n).line.dash for n in ("validation", "training")} == {"solid", "dash"}
    assert named(MAKERS["loss"](LIGHT), "validation").y == (1.2,)


def test_changes_are_bars_against_an_outline():
    left, outline = MAKERS["change"](LIGHT).figure.data
    assert left.x == (0.25, 1.0, 0.25) and outline.x == (1, 1, 1)
    words = [note.text for note in MAKERS["change"](LIGHT).figure.layout.annotations]
    assert "<b>4.0×</b> 100 KB → 25 KB" in words and "25 K → 25 K" in words


def test_timings_that_are_slower_are_drawn_too():
    rows = [row("baseline", 0, 392), row("weights", 0.5, 390, **timed(0.6)), row("channels", 0.5, 390, **timed(0.8))]
    chart = charts.speed_chart(speed_table(rows), LIGHT)
    low = 10 ** chart.figure.layout.yaxis2.range[0]
    assert low < 0.55 and math.isfinite(low)
