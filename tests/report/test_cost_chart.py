"""Teacher, student alone and distilled student on the trade-off: points, intervals, and labels that stay apart."""

import itertools
import re

import pytest

from compression.registry import UserError
from compression.report import charts
from compression.report.distill_tables import cost_table
from compression.report.themes import LIGHT
from compression.results import wilson
from tests.report.teaching import SIZES, TRIO, costed

WIDTHS = (300, 360, 460)


def drawn(x="params", width=300, n=10_000, sizes=SIZES, **wrong):
    return charts.cost_chart(cost_table(costed(n, sizes, **wrong), x), LIGHT, width=width)


def named(chart, name):
    (trace,) = [trace for trace in chart.figure.data if trace.name == name]
    return trace


def texts(chart):
    return [re.sub(r"<[^>]*>", "", note.text) for note in chart.figure.layout.annotations]


def test_three_points_with_their_intervals():
    chart = drawn(**TRIO)
    teacher, alone, distilled = (named(chart, name) for name in ("teacher", "student alone", "distilled"))
    assert (teacher.x, teacher.y) == ((1.2,), (0.988,))
    assert alone.x == distilled.x == pytest.approx((0.035294,)), "far apart they stand at their very cost"
    low, high = wilson(9880, 10_000)
    assert (teacher.error_y.arrayminus[0], teacher.error_y.array[0]) == pytest.approx(
        (0.988 - low, high - 0.988), abs=1e-5
    )
    sd = (((480 - 491.667) ** 2 + (495 - 491.667) ** 2 + (500 - 491.667) ** 2) / 2) ** 0.5 / 10_000
    assert alone.y[0] == pytest.approx(1 - 0.0491667, abs=1e-6) and alone.error_y.array[0] == pytest.approx(
        sd, abs=1e-5
    )
    assert len({trace.marker.symbol for trace in (teacher, alone, distilled)}) == 3, "not by colour alone"
    assert texts(chart) == ["★ teacher 98.8 %", "■ student alone 95.1 %", "● distilled 96.7 %, +1.6 points"]
    assert not chart.figure.layout.showlegend
    assert (
        "34× fewer parameters than the teacher" in distilled.text[0]
        and "+1.6 points against the student alone" in (distilled.text[0])
    )


def test_a_line_is_what_the_hint_is_worth():
    line = named(drawn(**TRIO), "hint to distilled")
    assert line.y == pytest.approx((1 - 0.0491667, 1 - 0.0328333), abs=1e-6) and line.line.dash == "solid"
    noise = drawn(n=360, teacher=(6,), alone=(14,), distilled=(13,), width=360)
    assert named(noise, "hint to distilled").line.dash == "dot" and "● distilled 96.4 %, within noise" in texts(noise)
    other = drawn(sizes=SIZES | {"distilled": (70_000, 70_000, 70_000)}, **TRIO)
    assert not [trace for trace in other.figure.data if trace.mode == "lines"], "a larger student is no hint's worth"


def test_costs_far_apart_stand_on_a_logarithmic_axis():
    axis = drawn(**TRIO).figure.layout.xaxis
    assert axis.type == "log" and 10 ** axis.range[0] < 0.035 and 10 ** axis.range[1] > 1.2
    assert axis.title.text == "Parameters (millions) · left is better"
    near = drawn("packed_bytes", sizes={"teacher": (0, 0, 500_000)}, **TRIO).figure.layout.xaxis
    assert near.type is None and near.range[0] < 141.176 and near.range[1] > 500
    assert near.title.text == "Size with zeros packed (KB) · left is better"
    alike = drawn(sizes={}, **TRIO).figure.layout.xaxis
    assert alike.tickvals == (35.3,), "one cost, one tick"


@pytest.mark.parametrize("sizes", [SIZES, {}], ids=["a dearer teacher", "one cost"])
def test_students_that_agree_are_both_seen_at_their_very_cost(sizes):
    chart = drawn(n=360, sizes=sizes, teacher=(6,), alone=(14,), distilled=(14,), hints=(14,))
    alone, distilled, hints = (named(chart, name) for name in ("student alone", "distilled", "hints"))
    table = cost_table(costed(360, sizes, teacher=(6,), alone=(14,), distilled=(14,), hints=(14,)))
    unit = 1e-6 if sizes else 1e-3
    shown = {trace.name: trace.x[0] for trace in chart.figure.data if trace.mode == "markers"}
    assert list(shown.values()) == pytest.approx((table["x"] * unit).tolist()), "the axis holds what it says"
    assert alone.y == distilled.y == hints.y
    assert alone.marker.size > distilled.marker.size + 5 > hints.marker.size + 10, "a ring round a ring round a mark"
    assert [trace.marker.symbol for trace in (alone, distilled, hints)] == ["square-open", "circle-open", "diamond"]
    assert alone.error_y.width > distilled.error_y.width > hints.error_y.width
    assert [text[0] for text in texts(chart)][1:] == ["□", "○", "◆"], "named by what is drawn"
    apart = named(drawn(**TRIO), "student alone").marker
    assert (apart.symbol, apart.size) == ("square", 11), "as everywhere, where nothing lies on it"


def test_no_accuracy_is_written_above_one():
    ticks = drawn(n=360, teacher=(0,), alone=(1, 0, 2), distilled=(0, 0, 0)).figure.layout.yaxis.tickvals
    assert max(ticks) == 1.0 and 2 <= len(ticks) <= 7
    assert drawn(**TRIO).figure.layout.yaxis.tickvals == (0.96, 0.98)


def boxes(chart, width):
    """Each label's corners in pixels, from its annotation alone, with characters half a font size wide."""
    layout = chart.figure.layout
    across = width - layout.margin.l - layout.margin.r
    upward = layout.height - layout.margin.t - layout.margin.b
    found = []
    for note in layout.annotations:
        x, y = (
            (value - axis.range[0]) / (axis.range[1] - axis.range[0]) * length
            for value, axis, length in ((note.x, layout.xaxis, across), (note.y, layout.yaxis, upward))
        )
        right, up = (note.ax, -note.ay) if note.showarrow else (note.xshift, note.yshift)
        wide, tall = 6.0 * len(re.sub(r"<[^>]*>", "", note.text)), 14.0
        left = x + right - wide * {"left": 0, "center": 0.5, "right": 1}[note.xanchor]
        below = y + up - tall * {"bottom": 0, "middle": 0.5, "top": 1}[note.yanchor]
        found.append((left, below, left + wide, below + tall))
    return found, across


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("apart", [0, 1, 3, 10, 30])
def test_labels_do_not_cover_each_other(width, apart):
    cases = [
        {"n": 360, "teacher": (6,), "alone": (40,), "distilled": (40 - apart,)},
        {"teacher": (120,), "alone": (480, 495, 500), "distilled": (480 - apart, 495 - apart, 500 - 2 * apart)},
        {"sizes": {"teacher": (9000, 9000, 9000)}, "teacher": (100,), "alone": (99,), "distilled": (99 - apart,)},
        {"sizes": {}, "teacher": (100,), "alone": (99,), "distilled": (99 - apart,)},
        {"teacher": (120,), "alone": (480,), "distilled": (480 - apart,), "hints": (470,)},
    ]
    for case in cases:
        found, across = boxes(drawn(width=width, **case), width)
        assert len(found) == len(case) - ("n" in case) - ("sizes" in case)
        for a, b in itertools.combinations(found, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (case, a, b)
        assert all(box[0] >= 0 and box[2] <= across + 14 for box in found), (case, found)


def test_a_long_name_is_cut_and_leaves_room():
    chart = drawn(width=280, **TRIO | {"a method of a very long name": (400, 410, 420)})
    assert "◆ a method…long name 95.9 %" in texts(chart)


def test_a_table_of_another_cost_is_refused():
    table = cost_table(costed(**TRIO), "macs")
    assert charts.cost_chart(table, LIGHT, x="macs").title.startswith("34× fewer MACs")
    with pytest.raises(UserError, match="x is 'params'; this table holds macs"):
        charts.cost_chart(table, LIGHT, x="params")


def test_an_unknown_cost_is_not_drawn():
    rows = costed(**TRIO)
    part = [row | ({"macs": None} if row["run"] == "teacher" else {}) for row in rows]
    chart = charts.cost_chart(cost_table(part, "macs"), LIGHT)
    assert texts(chart)[0].startswith("■") and chart.title == "Distilling adds 1.6 points at equal cost"
    nothing = charts.cost_chart(cost_table([row | {"macs": None} for row in rows], "macs"), LIGHT)
    assert nothing.title == "MACs per image: not known yet"
