"""A chart for a wall: all that is measured in pixels is larger, and what it shows is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from compression.report.drawing import Chart

PIXELS: dict[str, frozenset[str]] = {
    "": frozenset({"height", "width"}),
    "line": frozenset({"width"}),
    "margin": frozenset("lrtb"),
    "pad": frozenset("lrtb"),
    "error_x": frozenset({"thickness", "width"}),
    "error_y": frozenset({"thickness", "width"}),
}
"""By what holds them ("" is the layout), entries in pixels; elsewhere the same name may count data."""
ANYWHERE = frozenset({
    "ticklabelstandoff", "ticklen", "xgap", "ygap", "xshift", "yshift", "ax", "ay", "borderpad", "borderwidth",
    "arrowwidth", "standoff",
})  # fmt: skip
"""Entries that are in pixels whatever holds them."""
SIZED = ("font", "marker", "pattern")
"""What ends in one of these has its size in pixels: a tickfont, the font of a subtitle."""


def enlarged(chart: Chart, factor: float) -> Chart:
    """The chart with type, lines, markers, margins and height this many times as large."""
    parts = chart.figure.to_plotly_json()
    layout = _larger(parts.pop("layout"), factor, "")
    rest = {name: _larger(part, factor, name) for name, part in parts.items()}
    return replace(chart, figure=go.Figure({**rest, "layout": layout}, _validate=False))


def _larger(node: Any, factor: float, holder: str) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _times(value, factor) if _in_pixels(key, holder) else _larger(value, factor, key)
            for key, value in node.items()
        }
    if isinstance(node, list | tuple) and any(isinstance(one, Mapping) for one in node):
        return [_larger(one, factor, holder.removesuffix("s")) for one in node]
    return node


def _in_pixels(key: str, holder: str) -> bool:
    return key in ANYWHERE or key in PIXELS.get(holder, ()) or (key == "size" and holder.endswith(SIZED))


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, list | tuple):
        return [_times(one, factor) for one in value]
    return value * factor if isinstance(value, int | float) else value
