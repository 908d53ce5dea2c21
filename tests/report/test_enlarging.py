"""A chart for a wall: twice the pixels, the same data."""

from __future__ import annotations

from typing import Any

from compression.report.charts import LIGHT
from compression.report.drawing import Chart, Frame, chart
from compression.report.enlarging import enlarged


def drawn() -> Chart:
    traces = [
        {"type": "bar", "x": [1, 2], "y": [3, 4], "width": 0.5, "error_y": {"array": [1, 1], "thickness": 2}},
        {"type": "scatter", "x": [1], "y": [2], "marker": {"size": [4, 5], "line": {"width": 1}}, "line": {"width": 3}},
    ]
    layout = {
        "yaxis": {"title": {"text": "y", "standoff": 8}, "range": [0, 5]},
        "annotations": [{"x": 1, "y": 2, "ax": 10, "yshift": -3, "font": {"size": 11}}],
        "shapes": [{"x0": 1, "x1": 2, "line": {"width": 1.5}}],
    }
    return chart(traces, LIGHT, "A title", "under it", Frame(560, 300), layout)


def test_pixels_double_and_data_stay() -> None:
    before, after = (made.figure.to_plotly_json() for made in (drawn(), enlarged(drawn(), 2)))
    bars, dots = after["data"]
    assert (bars["x"], bars["y"], bars["width"]) == ([1, 2], [3, 4], 0.5)
    assert bars["error_y"] == {"array": [1, 1], "thickness": 4}
    assert dots["marker"] == {"size": [8, 10], "line": {"width": 2}} and dots["line"] == {"width": 6}
    new, old = after["layout"], before["layout"]
    assert new["height"] == 600
    assert {side: new["margin"][side] for side in "lrtb"} == {side: 2 * old["margin"][side] for side in "lrtb"}
    assert new["yaxis"]["range"] == [0, 5] and new["yaxis"]["title"]["standoff"] == 16
    for path in (("font",), ("xaxis", "tickfont"), ("title", "font"), ("title", "subtitle", "font")):
        assert size_at(new, path) == 2 * size_at(old, path)
    assert new["annotations"] == [{"x": 1, "y": 2, "ax": 20, "yshift": -6, "font": {"size": 22}}]
    assert new["shapes"] == [{"x0": 1, "x1": 2, "line": {"width": 3}}]


def size_at(layout: dict[str, Any], path: tuple[str, ...]) -> float:
    for key in path:
        layout = layout[key]
    return float(layout["size"])


def test_a_chart_once_as_large_is_the_same() -> None:
    assert enlarged(drawn(), 1).figure.to_plotly_json() == drawn().figure.to_plotly_json()
    assert enlarged(drawn(), 1.5).alt == "A title"
