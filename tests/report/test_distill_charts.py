"""Every chart of distilling: valid for Plotly, small, in words, and drawing the numbers of its table."""

import json
import math

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest

from compression.registry import UserError
from compression.report import charts
from compression.report.distill_tables import (
    cost_table,
    dark_table,
    entropy_table,
    gradient_table,
    judged_table,
    learning_table,
    reliability_table,
    temperature_table,
)
from compression.report.themes import DARK, LIGHT
from tests.report.teaching import FLAT, PEAK, TRIO, answer, bins, costed, epochs, gradient, judged, swept

RANDOM = np.random.default_rng(0)
HUNDRED = tuple(f"class {at}" for at in range(100))
MANY, MANY_DARK = answer(tuple(RANDOM.normal(size=99) * 3) + (-9,), HUNDRED, 99)
SURE, SURE_DARK = answer((-30, -800, 0, -1600), label=2, temperature=1)
NOTHING = SURE_DARK.assign(probability=0.0, ratio=0.0)
TWO, TWO_DARK = answer((4, 0), ("cat", "dog"), 0, 2)
LIKENESS = [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [math.nan] * 3]
TEMPERATURES = [0.5 * 1.2**at for at in range(26)]
SLOPES = gradient_table(gradient(*((t, 1 / t**2, 1 + 0.1 * t) for t in TEMPERATURES)))
ENTROPY = entropy_table(TEMPERATURES, [2 - 2 / (1 + t) for t in TEMPERATURES])
RUNS = {"distilled": epochs(0.8, 0.9, 0.95), "alone": epochs(0.7, 0.85, parts=False)}
HINTON = {"teacher": (67,), "alone": (146, 151, 141), "distilled": (74, 80, 72)}
CALIBRATED = {
    "teacher": bins((3, 0.5, 1.0), (2000, 0.85, 0.85), (8000, 0.99, 0.98)),
    "alone": bins((3000, 0.85, 0.6), (7000, 0.98, 0.9)),
    "distilled": bins((3000, 0.85, 0.8), (7000, 0.98, 0.97)),
    "hints": bins((10_000, 0.98, 0.97)),
}
ALPHAS = [row for at in range(1, 7) for row in swept(FLAT if at == 1 else {1: (950,), 4: (960,)}, alpha=at / 10)]


def judged_without_cost():
    return [row | {"macs": None} for row in costed(**TRIO)]


MAKERS = {
    "softening": lambda t: charts.softening_chart(answer()[0], t, temperature=4),
    "softening, log": lambda t: charts.softening_chart(answer()[0], t, temperature=4, log=True),
    "softening, certain": lambda t: charts.softening_chart(SURE, t, temperature=1, log=True),
    "softening, two": lambda t: charts.softening_chart(TWO, t, temperature=2),
    "softening, hundred": lambda t: charts.softening_chart(MANY, t, temperature=4),
    "softening, empty": lambda t: charts.softening_chart(answer()[0][:0], t, temperature=4),
    "entropy": lambda t: charts.entropy_chart(ENTROPY, t, classes=4, present=(4, 1.6)),
    "entropy, two": lambda t: charts.entropy_chart(entropy_table([1], [0.2]), t, classes=2),
    "entropy, empty": lambda t: charts.entropy_chart(entropy_table([], []), t, classes=10),
    "dark": lambda t: charts.dark_chart(answer()[1], t, true="cat", temperature=4),
    "dark, log": lambda t: charts.dark_chart(answer()[1], t, true="cat", temperature=4, log=True),
    "dark, certain": lambda t: charts.dark_chart(SURE_DARK, t, true="cat", temperature=1, log=True),
    "dark, nothing": lambda t: charts.dark_chart(NOTHING, t, true="cat", temperature=1, log=True),
    "dark, two": lambda t: charts.dark_chart(TWO_DARK, t, true="cat", temperature=2),
    "dark, hundred": lambda t: charts.dark_chart(MANY_DARK, t, true="class 99", temperature=4),
    "dark, empty": lambda t: charts.dark_chart(dark_table("ab", []), t, true="a", temperature=4),
    "likeness": lambda t: charts.similarity_chart(LIKENESS, t, classes="abc", temperature=4),
    "likeness, two": lambda t: charts.similarity_chart([[0.9, 0.1], [0.2, 0.8]], t, classes="ab", temperature=4),
    "likeness, hundred": lambda t: charts.similarity_chart(
        RANDOM.dirichlet(np.ones(100), 100), t, classes=HUNDRED, temperature=2.5
    ),
    "likeness, certain": lambda t: charts.similarity_chart(np.eye(3), t, classes="abc", temperature=1),
    "likeness, empty": lambda t: charts.similarity_chart(np.full((3, 3), np.nan), t, classes="abc", temperature=1),
    "gradient": lambda t: charts.gradient_chart(SLOPES, t, temperature=4),
    "gradient, one": lambda t: charts.gradient_chart(SLOPES[:1], t),
    "gradient, none": lambda t: charts.gradient_chart(gradient_table(gradient((4, 0, 0))), t),
    "gradient, empty": lambda t: charts.gradient_chart(gradient_table([]), t),
    "learning": lambda t: charts.learning_chart(learning_table(RUNS), t, planned=10),
    "learning, wide": lambda t: charts.learning_chart(learning_table(RUNS), t, width=560),
    "learning, one epoch": lambda t: charts.learning_chart(learning_table({"distilled": epochs(0.8), "alone": []}), t),
    "learning, empty": lambda t: charts.learning_chart(learning_table({"distilled": [], "alone": []}), t),
    "judged": lambda t: charts.judged_chart(judged_table(judged(**HINTON)), t),
    "judged, accuracy": lambda t: charts.judged_chart(judged_table(judged(**HINTON)), t, measure="accuracy"),
    "judged, one seed": lambda t: charts.judged_chart(judged_table(judged(alone=(9,), distilled=(9,), hints=(7,))), t),
    "judged, empty": lambda t: charts.judged_chart(judged_table([]), t),
    "cost": lambda t: charts.cost_chart(cost_table(costed(**TRIO)), t),
    "cost, one seed": lambda t: charts.cost_chart(
        cost_table(costed(n=360, teacher=(6,), alone=(14,), distilled=(14,)), "packed_bytes"), t, x="packed_bytes"
    ),
    "cost, larger student": lambda t: charts.cost_chart(
        cost_table(costed(sizes={"teacher": (9000, 9000, 9000)}, **TRIO), "macs"), t, width=460
    ),
    "cost, all alike": lambda t: charts.cost_chart(cost_table(costed(sizes={}, **TRIO)), t),
    "cost, many": lambda t: charts.cost_chart(
        cost_table(costed(**TRIO, **{f"method {at}": (400 + at, 410, 420 - at) for at in range(6)})), t
    ),
    "cost, teacher": lambda t: charts.cost_chart(cost_table(costed(teacher=(0,))), t),
    "cost, empty": lambda t: charts.cost_chart(cost_table([]), t),
    "cost, unknown and empty": lambda t: charts.cost_chart(cost_table(judged_without_cost(), "macs"), t),
    "reliability": lambda t: charts.reliability_chart(reliability_table(CALIBRATED), t),
    "reliability, one": lambda t: charts.reliability_chart(reliability_table({"teacher": CALIBRATED["teacher"]}), t),
    "reliability, empty": lambda t: charts.reliability_chart(reliability_table({}), t),
    "temperatures": lambda t: charts.temperature_chart(temperature_table(swept(PEAK)), t),
    "temperatures, flat": lambda t: charts.temperature_chart(temperature_table(swept(FLAT)), t),
    "temperatures, many": lambda t: charts.temperature_chart(temperature_table(ALPHAS), t),
    "temperatures, one": lambda t: charts.temperature_chart(temperature_table(swept({4: (950,)})), t),
    "temperatures, empty": lambda t: charts.temperature_chart(temperature_table(swept({None: (950,)})), t),
}  # fmt: skip


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
    assert "width" not in layout and layout["height"] >= 100, "as wide as its place, of a known height"
    assert chart.alt == chart.title and 1 <= len(chart.title.split()) <= 15
    shown = layout["title"]["text"].replace("<br>", " ").replace("\u00a0", " ")
    assert shown == f"<b>{chart.title}</b>"
    other = LIGHT if theme is DARK else DARK
    assert other.text not in text and other.palette[0] not in text, "colours of one theme only"


@pytest.mark.parametrize("name", [name for name in MAKERS if name.endswith("empty")])
def test_an_empty_chart_says_what_to_do(name):
    chart = MAKERS[name](LIGHT)
    (note,) = chart.figure.layout.annotations
    assert note.text and chart.figure.layout.xaxis.visible is False


def named(chart, name):
    (trace,) = [trace for trace in chart.figure.data if trace.name == name]
    return trace


def drawn_bars(chart):
    return [trace for trace in chart.figure.data if trace.type == "bar"]


def texts(chart):
    return [note.text for note in chart.figure.layout.annotations]


def test_both_temperatures_are_bars_on_one_scale():
    table, _ = answer()
    chart = MAKERS["softening"](LIGHT)
    one, soft = drawn_bars(chart)
    assert one.x == pytest.approx(table["one"], rel=1e-4) and soft.x == pytest.approx(table["soft"], rel=1e-4)
    assert (one.xaxis, soft.xaxis) == ("x", "x2")
    layout = chart.figure.layout
    assert layout.xaxis.range == layout.xaxis2.range and layout.xaxis.domain[1] < layout.xaxis2.domain[0]
    assert layout.yaxis.ticktext == ("ant", "bee", "<b>✓ cat</b>", "dog"), "the true class not by colour alone"
    assert len(set(one.marker.color)) == 2 and one.marker.color == soft.marker.color
    assert texts(chart) == ["<b>T = 1</b>", "<b>T = 4</b>"]
    numbers = [trace for trace in chart.figure.data if trace.type == "scatter"]
    written = [text.strip("\u00a0") for text in numbers[1].text]
    assert written == [f"{100 * part:.1f} %" for part in table["soft"]]
    many = MAKERS["softening, hundred"](LIGHT).figure.layout
    assert many.xaxis.range == many.xaxis2.range, "whatever the length of the numbers"


def test_on_a_log_scale_small_probabilities_get_bars():
    linear, log = MAKERS["softening"](LIGHT), MAKERS["softening, log"](LIGHT)
    assert linear.figure.layout.xaxis.type is None and log.figure.layout.xaxis.type == "log"
    least = min(answer()[0]["one"])
    assert 10 ** log.figure.layout.xaxis.range[0] < least and "log scale from 10⁻⁴" in log.subtitle
    certain = MAKERS["softening, certain"](LIGHT)
    assert "log scale from 10⁻⁹" in certain.subtitle and certain.figure.layout.xaxis.range[0] == -9


def test_of_many_classes_the_ten_most_probable_are_shown_and_the_true_one():
    chart = MAKERS["softening, hundred"](LIGHT)
    ranked = MANY.sort_values("soft", ascending=False)["name"][:10].tolist()
    assert list(chart.figure.layout.yaxis.ticktext) == [*ranked, "<b>✓ class 99</b>"]
    assert "the 11 most probable of 100 classes" in chart.subtitle
    dark = MAKERS["dark, hundred"](LIGHT)
    assert list(dark.figure.layout.yaxis.ticktext) == MANY_DARK["name"][:10].tolist()
    assert "the 10 most probable of 99 classes" in dark.subtitle


def test_the_wrong_classes_are_ranked_with_their_probabilities():
    chart = MAKERS["dark"](LIGHT)
    (bar,) = drawn_bars(chart)
    assert bar.x == pytest.approx(answer()[1]["probability"], rel=1e-4)
    assert list(bar.x) == sorted(bar.x, reverse=True)
    assert chart.figure.layout.yaxis.range[0] > chart.figure.layout.yaxis.range[1], "the first on top"
    assert "0.37 × what cat gets" in bar.text[0]


def test_entropy_has_its_bound_and_the_present_point():
    chart = MAKERS["entropy"](LIGHT)
    line = named(chart, "entropy")
    assert line.x == pytest.approx(ENTROPY["temperature"], rel=1e-4) and line.y == pytest.approx(
        ENTROPY["bits"], rel=1e-4
    )
    assert chart.figure.layout.xaxis.type == "log"
    assert chart.figure.layout.shapes[0].y0 == 2, "four classes, two bits"
    ring = chart.figure.data[-1]
    assert (ring.x, ring.y) == ((4,), (1.6,)) and "<b>now 1.60 bits</b>" in texts(chart)


def test_the_diagonal_is_left_out_so_that_the_rest_shows():
    chart = MAKERS["likeness"](LIGHT)
    heat, crosses = chart.figure.data
    assert [list(row) for row in heat.z] == [[None, 0.2, 0.1], [0.3, None, 0.1], [None, None, None]]
    assert heat.zmax == 0.3, "the colours span what is drawn"
    assert (crosses.x, crosses.y) == ((0, 1, 2), (0, 1, 2))
    assert "the diagonal, 65.0 % on average, is left out" in chart.subtitle
    assert chart.title == "B looks most like a: 30.0 % on average at T = 4"
    assert heat.customdata[1][0] == "b → a"


def test_of_many_classes_those_most_alike_are_shown():
    matrix = np.full((30, 30), 0.001)
    for true, other, part in ((3, 20, 0.3), (20, 3, 0.2), (7, 8, 0.25), (29, 0, 0.22)):
        matrix[true, other] = part
    chart = charts.similarity_chart(matrix, LIGHT, classes=[str(at) for at in range(30)], temperature=4, cap=6)
    assert chart.figure.layout.xaxis.ticktext == ("0", "3", "7", "8", "20", "29") == chart.figure.layout.yaxis.ticktext
    assert chart.figure.data[0].z[1][4] == 0.3 and "the 6 of 30 classes most alike" in chart.subtitle
    assert len(MAKERS["likeness, hundred"](LIGHT).figure.layout.xaxis.ticktext) in (9, 10)


def test_a_matrix_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"matrix has shape \(2, 3\); 3 classes"):
        charts.similarity_chart(np.ones((2, 3)), LIGHT, classes="abc", temperature=1)


def test_the_gradient_is_drawn_with_and_without_the_factor():
    chart = MAKERS["gradient"](LIGHT)
    plain, scaled = named(chart, "as it is"), named(chart, "times T²")
    assert plain.y == pytest.approx(SLOPES["plain"], rel=1e-4) and scaled.y == pytest.approx(SLOPES["scaled"], rel=1e-4)
    assert plain.line.dash != scaled.line.dash and plain.marker.symbol != scaled.marker.symbol
    assert chart.figure.layout.xaxis.type == chart.figure.layout.yaxis.type == "log"
    assert chart.figure.layout.shapes[0].x0 == 4 and "now T = 4" in texts(chart)
    assert "Student and teacher agree" in MAKERS["gradient, none"](LIGHT).title


def test_learning_draws_each_part_of_the_loss_and_the_accuracy():
    chart = MAKERS["learning"](LIGHT)
    table = learning_table(RUNS)
    own = table[table["run"] == "distilled"]
    labels, teacher = named(chart, "distilled, labels"), named(chart, "distilled, teacher")
    assert labels.y == pytest.approx(own["hard_loss"], rel=1e-4) and teacher.y == pytest.approx(
        own["teacher_loss"], rel=1e-4
    )
    assert labels.line.dash == "solid" and teacher.line.dash == "dash"
    assert "neither weighed by α" in chart.subtitle and "<b>Training loss, unweighed</b>" in texts(chart)
    assert named(chart, "student alone, labels").y == (9, 4.5)
    assert named(chart, "distilled").y == (0.8, 0.9, 0.95) and named(chart, "student alone").y == (0.7, 0.85)
    assert not [trace for trace in chart.figure.data if trace.name == "student alone, teacher"], "it has none"
    assert chart.figure.layout.xaxis.range[1] > 10, "as long as planned, from the first epoch"
    wide = MAKERS["learning, wide"](LIGHT).figure.layout
    assert wide.xaxis.domain[1] < wide.xaxis2.domain[0], "side by side"
    narrow = chart.figure.layout
    assert narrow.yaxis2.domain[1] < narrow.yaxis.domain[0], "one above the other"


def test_a_live_chart_keeps_its_height_from_the_first_epoch_on():
    heights = {
        MAKERS[name](LIGHT).figure.layout.height for name in ("learning", "learning, one epoch", "learning, empty")
    }
    assert len(heights) == 1


def test_a_loss_that_is_no_number_is_left_out():
    last = epochs(0.8, 0.9)[-1].model_copy(update={"parts": {"hard": math.nan, "teacher": math.inf}})
    chart = charts.learning_chart(learning_table({"distilled": [epochs(0.8)[0], last]}), LIGHT)
    assert named(chart, "distilled, labels").x == (1,) and named(chart, "distilled").x == (1, 2)
    assert "NaN" not in plotly.io.to_json(chart.figure, validate=False)


def test_every_seed_is_a_dot_with_mean_and_sd_beside():
    chart = MAKERS["judged"](LIGHT)
    dots, mean = [trace for trace in chart.figure.data if trace.name == "distilled"]
    assert dots.x == (74, 80, 72)
    assert mean.x[0] == pytest.approx(226 / 3) and mean.error_x.array[0] == pytest.approx(math.sqrt(52 / 3))
    assert chart.figure.layout.shapes[0].x0 == 67 and any("teacher 67" in text for text in texts(chart))
    assert "<b>75.3 ± 4.2</b>" in texts(chart) and "<b>146.0 ± 5.0</b>" in texts(chart)
    low, high = chart.figure.layout.xaxis.range
    assert 50 < low < 67 and 151 < high < 170, "not from zero"
    assert "95 % interval of the gain: 67 to 74 errors fewer" in chart.subtitle
    assert "left is better" in chart.figure.layout.xaxis.title.text


def test_accuracy_is_judged_the_other_way_round():
    chart = MAKERS["judged, accuracy"](LIGHT)
    assert "right is better" in chart.figure.layout.xaxis.title.text
    assert chart.figure.data[0].x == pytest.approx((0.9854, 0.9849, 0.9859))
    assert "<b>99.25 ± 0.04 %</b>" in texts(chart) and "0.67 to 0.74 points more" in chart.subtitle


def test_seeds_that_agree_are_all_seen():
    chart = charts.judged_chart(judged_table(judged(alone=(90, 90, 90, 200))), LIGHT)
    assert len(set(chart.figure.data[0].y[:3])) == 3 and chart.figure.data[0].y[0] == chart.figure.data[0].y[3]


def test_reliability_shows_bins_counts_and_ece():
    chart = MAKERS["reliability"](LIGHT)
    teacher = named(chart, "teacher")
    assert teacher.x == (0.5, 0.85, 0.99) and teacher.y == (1, 0.85, 0.98)
    small, middle, large = teacher.marker.size
    assert (middle / large) ** 2 == pytest.approx(2000 / 8000, rel=0.02), "areas go with the images"
    assert small == 4, "and none is too small to see"
    path = chart.figure.data[list(chart.figure.data).index(teacher) - 1]
    assert path.x == (0.85, 0.99), "three images make no line"
    (key,) = chart.figure.layout.annotations
    assert [line.split("</span> ")[1] for line in key.text.split("<br>")] == [
        "teacher, ECE 0.8 %", "student alone, ECE 13.1 %", "distilled, ECE 2.2 %",
    ]  # fmt: skip
    margin = chart.figure.layout.margin
    upward = chart.figure.layout.height - margin.t - margin.b
    top, tall = -key.y * upward, 3 * 17
    assert (key.yref, key.yanchor) == ("paper", "top")
    assert top > 40, "under the axis and its title, where no point can be"
    assert top + tall <= margin.b, "and not cut off"
    diagonal = chart.figure.layout.shapes[0]
    assert (diagonal.x0, diagonal.y0, diagonal.x1, diagonal.y1) == (0, 0, 1, 1)
    assert "the first 3 of 4 models" in chart.subtitle and "n = 10,003" in chart.subtitle


def test_a_temperature_is_ringed_only_where_it_stands_out():
    peak, flat = MAKERS["temperatures"](LIGHT), MAKERS["temperatures, flat"](LIGHT)
    ring = peak.figure.data[-1]
    assert ring.marker.symbol == "circle-open" and ring.x[0] == pytest.approx(4) and ring.y == pytest.approx((0.972,))
    assert "<b>T = 4: 97.2 %</b>" in texts(peak) and peak.title.startswith("T = 4 stands out")
    assert len(flat.figure.data) == 1 and flat.title.startswith("No temperature stands out")
    line = flat.figure.data[0]
    assert line.x == pytest.approx((1, 4, 20)) and line.y == pytest.approx((0.952, 0.953, 0.952))
    assert line.error_y.array == pytest.approx((0.002, 0.002, math.sqrt(7) / 1000), abs=1e-5)
    band, level = flat.figure.layout.shapes
    assert (band.y0, band.y1, level.y0) == pytest.approx((0.94, 0.944, 0.942))
    assert "± sd of 3 seeds; band: the student alone" in flat.subtitle
    assert flat.figure.layout.xaxis.ticktext == ("1", "4", "20"), "the temperatures tried"


def test_lines_of_a_sweep_differ_by_more_than_colour():
    chart = MAKERS["temperatures, many"](LIGHT)
    lines = [trace for trace in chart.figure.data if trace.mode == "lines+markers"]
    assert len(lines) == 6 and chart.figure.layout.showlegend
    assert len({(line.marker.symbol, line.line.dash) for line in lines}) == 6
    starts = [line.x[0] for line in lines]
    assert starts == sorted(starts) and len(set(starts)) == 6, "bars side by side"
