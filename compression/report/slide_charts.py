"""The charts of a deck: native ones, whose numbers can be edited where the deck is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.chart.series import XySeries
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION, XL_MARKER_STYLE
from pptx.enum.dml import MSO_LINE
from pptx.oxml.ns import qn
from pptx.oxml.xmlchemy import OxmlElement
from pptx.shapes.shapetree import SlideShapes
from pptx.util import Emu, Pt

from compression.report.cloud_bounds import bounds_on
from compression.report.cloud_titles import best_of, split_words
from compression.report.compare import records
from compression.report.measures import AXES
from compression.report.story import Point, Story
from compression.report.story_tables import classes_of, left_table
from compression.report.text import unit_of
from compression.report.themes import LIGHT

Row = Mapping[str, Any]
Box = tuple[Emu, Emu, Emu, Emu]
FONT_PT = 12
CLASSES = 12
"""Of more classes those that lose most are drawn."""
OTHER, BEST = "other trials", "best"
"""How the series of all that is not presented is called, and what the name of the suggested one begins with."""
MARKERS = (XL_MARKER_STYLE.DIAMOND, XL_MARKER_STYLE.SQUARE, XL_MARKER_STYLE.TRIANGLE)
POINTS = (LIGHT.palette[0], LIGHT.palette[3], LIGHT.palette[2])
"""The colours of A, B and C."""


def tradeoff(story: Story, shapes: SlideShapes, box: Box) -> Any:
    """Every trial on the two measures: baseline, points with their intervals, front, constraints; None without any."""
    rows = [row for row in records(story.table) if row["x"] == row["x"] and row["y"] == row["y"]]
    if all(row["baseline"] for row in rows):
        return None
    axis = AXES[rows[0]["x_axis"]]
    divisor, unit = unit_of(max(row["x"] for row in rows), axis.scale)
    data = XyChartData()
    series = _series(story, rows)
    lines = _bounds(story, rows)
    for name, own in {**series, **lines}.items():
        added = data.add_series(name)
        for row in own:
            added.add_data_point(row["x"] / divisor, row["y"])
    frame = shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *box, data)
    chart = frame.chart
    _frame(chart)
    for at, (name, own) in enumerate({**series, **lines}.items()):
        _dress(chart.plots[0].series[at], name, own, divisor)
    _axis(chart.value_axis, f"Accuracy on {split_words(rows)} images", "0%")
    _axis(chart.category_axis, f"{axis.label} ({unit})" if unit else axis.label, "General")
    chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = _span([row["y"] for row in rows])
    return frame


def _series(story: Story, rows: list[dict[str, Any]]) -> dict[str, list[Row]]:
    """The rows of each series by its name: the points presented apart from all others."""
    own = {number: point for point in story.points for number in point.row["trials"]}
    best = best_of(rows, story.studied.constraints)
    best = None if best and own.keys() & set(best["trials"]) else best
    shown = [_name(point) for point in story.points]
    named: dict[str, list[Row]] = {name: [] for name in (OTHER, "front", "baseline", *shown)}
    front = sorted((row for row in rows if row["front"]), key=lambda row: row["x"])
    named["front"] = _stairs(front, AXES[rows[0]["x_axis"]].more_is_better)
    for row in rows:
        point = None if row["baseline"] else own.get(row["trial"])
        named[_name(point) if point else "baseline" if row["baseline"] else OTHER].append(row)
    if best:
        named[f"{BEST} feasible: {best['label']}" if story.studied.constraints else f"{BEST}: {best['label']}"] = [best]
    return {name: members for name, members in named.items() if members}


def _name(point: Point) -> str:
    return f"{point.letter}: {point.label}"


def _stairs(front: Sequence[Row], more_is_better: bool) -> list[Row]:
    """Between two trials of a front there is none, so that its line goes by steps."""
    steps = list(front[:1])
    for one, other in pairwise(front):
        corner = {"x": one["x"], "y": other["y"]} if more_is_better else {"x": other["x"], "y": one["y"]}
        steps += [corner, other]
    return steps


def _bounds(story: Story, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """A line for each constraint on either axis, from edge to edge of what is drawn."""
    low, high = _span([row["y"] for row in rows])
    across = [row["x"] for row in rows]
    lines: dict[str, list[Row]] = {}
    for bound, _, words in bounds_on(rows[0]["x_axis"], story.studied.constraints):
        lines[words] = [{"x": bound, "y": low}, {"x": bound, "y": high}]
    for bound, _, words in bounds_on("accuracy", story.studied.constraints):
        lines[words] = [{"x": min(across), "y": bound}, {"x": max(across), "y": bound}]
    return lines


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Whole tenths round all accuracies."""
    return min(0.9, int(10 * min(values)) / 10), 1.0


def _dress(series: XySeries, name: str, rows: Sequence[Row], divisor: float) -> None:
    """The look of a series by what it is."""
    line = name == "front" or "baseline" not in rows[0]
    series.marker.style = XL_MARKER_STYLE.NONE if line else XL_MARKER_STYLE.CIRCLE
    if line:
        series.format.line.color.rgb = rgb(LIGHT.text if name == "front" else LIGHT.muted)
        series.format.line.width = Pt(1.5)
        series.format.line.dash_style = None if name == "front" else MSO_LINE.DASH
        return
    series.format.line.fill.background()
    _mark(series, name)
    if name != OTHER:
        _intervals(series, rows, "y", 1.0)
        if any(row["x_low"] < row["x_high"] for row in rows):
            _intervals(series, rows, "x", divisor)


def _mark(series: XySeries, name: str) -> None:
    """Style, size, fill and outline, none of which is left to the program that opens the deck."""
    colour, size, style = LIGHT.muted, 8, XL_MARKER_STYLE.CIRCLE
    if name == "baseline":
        colour, size, style = LIGHT.baseline, 12, XL_MARKER_STYLE.STAR
    elif name.startswith(BEST):
        colour, size = LIGHT.text, 14
    elif name != OTHER:
        turn = ord(name[0]) - ord("A")
        colour, size, style = POINTS[turn], 12, MARKERS[turn]
    series.marker.style, series.marker.size = style, size
    look = series.marker.format
    if name.startswith(BEST):
        look.fill.background()  # a ring, as on the page
    else:
        look.fill.solid()
        look.fill.fore_color.rgb = rgb(colour)
    look.line.fill.solid()
    look.line.color.rgb, look.line.width = rgb(colour), Pt(1.5)


def _intervals(series: XySeries, rows: Sequence[Row], side: str, divisor: float) -> None:
    """Error bars, which python-pptx has no words for: numbers of their own, as PowerPoint writes them."""
    bars = OxmlElement("c:errBars")
    for tag, value in (("errDir", side), ("errBarType", "both"), ("errValType", "cust"), ("noEndCap", "0")):
        _child(bars, tag).set("val", value)
    for tag, low, high in (("plus", side, f"{side}_high"), ("minus", f"{side}_low", side)):
        numbers = _child(_child(bars, tag), "numLit")
        _child(numbers, "formatCode").text = "General"
        _child(numbers, "ptCount").set("val", str(len(rows)))
        for at, row in enumerate(rows):
            spot = _child(numbers, "pt")
            spot.set("idx", str(at))
            _child(spot, "v").text = repr((row[high] - row[low]) / divisor)
    series._element.find(qn("c:xVal")).addprevious(bars)  # where the schema has them


def _child(parent: Any, tag: str) -> Any:
    added = OxmlElement(f"c:{tag}")
    parent.append(added)
    return added


def before_after(story: Story, shapes: SlideShapes, box: Box) -> Any:
    """What each point has left of every cost, beside the baseline at 100 %."""
    rows = records(left_table(story))
    data = CategoryChartData(number_format="0%")
    data.categories = [row["label"] for row in rows]
    data.add_series("baseline", [1.0] * len(rows))
    for point in story.points:
        name = _name(point) if len(story.points) > 1 else point.label
        data.add_series(name, [row[point.letter] for row in rows])
    frame = shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, *box, data)
    _bars(frame.chart, (LIGHT.zero, *POINTS), "Share of the baseline")
    return frame


def harm(story: Story, shapes: SlideShapes, box: Box) -> Any:
    """Accuracy of every class before and after, those that lose most on top; None without evidence."""
    point = story.points[0]
    if point.evidence is None:
        return None
    everything = records(classes_of(point.evidence))
    rows = everything[:CLASSES]
    data = CategoryChartData(number_format="0.0%")
    data.categories = [row["name"] for row in rows]
    data.add_series("before", [row["before"] for row in rows])
    data.add_series("after", [row["after"] for row in rows])
    frame = shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, *box, data)
    which = f", the {CLASSES} of {len(everything)} that lose most" if len(rows) < len(everything) else ""
    _bars(frame.chart, (LIGHT.zero, POINTS[0]), f"Accuracy of the class{which}")
    return frame


NATIVE: dict[str, Callable[[Story, SlideShapes, Box], Any]] = {
    "tradeoff": tradeoff,
    "before_after": before_after,
    "harm": harm,
}
"""What draws the chart of a section."""


def _bars(chart: Chart, colours: Sequence[str], title: str) -> None:
    _frame(chart)
    plot = chart.plots[0]
    plot.gap_width, plot.overlap = 60, -5
    plot.has_data_labels = True
    plot.data_labels.font.size = Pt(FONT_PT - 2)
    plot.data_labels.number_format, plot.data_labels.number_format_is_linked = "0%", False
    for series, colour in zip(plot.series, colours, strict=False):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = rgb(colour)
    _axis(chart.value_axis, title, "0%")
    chart.value_axis.minimum_scale = 0
    chart.value_axis.maximum_scale = max(1.0, *(value for series in plot.series for value in series.values))
    chart.category_axis.reverse_order = True  # the first on top
    chart.category_axis.tick_labels.font.size = Pt(FONT_PT)


def _frame(chart: Chart) -> None:
    chart.has_title, chart.has_legend = False, True
    chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    chart.font.size = Pt(FONT_PT)


def _axis(axis: Any, title: str, form: str) -> None:
    axis.has_title = True
    axis.axis_title.text_frame.text = title
    axis.axis_title.text_frame.paragraphs[0].runs[0].font.size = Pt(FONT_PT)
    axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = form, False
    axis.has_major_gridlines = True
    axis.major_gridlines.format.line.color.rgb = rgb(LIGHT.grid)


def rgb(colour: str) -> RGBColor:
    """A colour as PowerPoint has it."""
    return RGBColor.from_string(colour.removeprefix("#").upper())
