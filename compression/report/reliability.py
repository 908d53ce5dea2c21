"""The reliability diagram: whether models are as often right as they are sure."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from compression.report import distill_titles as titles
from compression.report.compare import records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, headroom
from compression.report.labels import LABEL_PX
from compression.report.runs import by_run, dash, label, looks, marked
from compression.report.text import percent
from compression.report.themes import Style, Theme, faded

Row = dict[str, Any]
MOST = 3
"""More models than this cannot be told apart along one diagonal."""
FEW = 10
"""A bin of fewer images is drawn, but no line goes through it."""
LARGEST = 17
"""Pixels across the mark of the fullest bin; areas go with the number of images."""
AXIS_PX, LINE_PX = 44, 17
"""Pixels of the axis with its title, and of a line of the key under it."""


def reliability_chart(table: pd.DataFrame, theme: Theme, *, width: int = NARROW, height: int = 360) -> Chart:
    """Accuracy against confidence, a mark a bin, its area by the images in it; ECE beside each name.

    ``table`` is a :func:`reliability_table`. Of more than three runs the first three are drawn,
    and the subtitle says so.
    """
    runs = {run: [row for row in own if row["count"]] for run, own in by_run(records(table)).items()}
    runs = {run: own for run, own in runs.items() if own}
    if not runs:
        hint = "Measure a model to see whether its confidence can be believed."
        return empty_chart("No confidence has been measured yet", hint, theme, width, height)
    shown = dict(list(runs.items())[:MOST])
    title = titles.reliability_title(shown)
    images = max(sum(row["count"] for row in own) for own in shown.values())
    left_out = f"; the first {MOST} of {len(runs)} models" if len(runs) > MOST else ""
    subtitle = (
        f"Accuracy by confidence (area: images in the bin, dotted: as sure as right), "
        f"n = {images:,.0f}; ECE: mean gap between the two{left_out} · measured"
    )
    key = LINE_PX * len(shown) + 8
    frame = Frame(width, height + key, left=50, top=headroom(title, subtitle, width), bottom=AXIS_PX + key)
    styles = looks(shown)
    fullest = max(row["count"] for own in shown.values() for row in own)
    traces = []
    for turn, (run, own) in enumerate(shown.items()):
        traces += [_path(own, styles[run], turn, theme), _marks(run, own, styles[run], fullest, theme)]
    low = min([0.5] + [row[key] for own in shown.values() for row in own for key in ("confidence", "accuracy")])
    start = max(-0.04, math.floor(10 * low) / 10 - 0.04)
    axis = {"range": [start, 1.04], "tickformat": "~%", "nticks": 6}
    names = [marked(run, styles[run], theme, f", ECE {percent(titles.ece(own).value)}") for run, own in shown.items()]
    layout = {
        "xaxis": axis | {"title": {"text": "Confidence"}},
        "yaxis": axis,
        "shapes": [_diagonal(theme)],
        "annotations": [_key(names, frame, theme)],
    }
    return chart(traces, theme, title, subtitle, frame, layout)


def _path(own: list[Row], look: Style, turn: int, theme: Theme) -> dict[str, Any]:
    """A line through the bins, those of few images left out: their accuracy is chance."""
    spots = [(row["confidence"], row["accuracy"]) for row in own if row["count"] >= FEW]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [float(f"{x:.4g}") for x, _ in spots],
        "y": [float(f"{y:.4g}") for _, y in spots],
        "line": {"color": faded(theme.palette[look.colour], 0.8), "width": 1.5, "dash": dash(turn)},
        "hoverinfo": "skip",
    }


def _marks(run: str, own: list[Row], look: Style, fullest: float, theme: Theme) -> dict[str, Any]:
    colour = theme.palette[look.colour]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(run),
        "x": [float(f"{row['confidence']:.4g}") for row in own],
        "y": [float(f"{row['accuracy']:.4g}") for row in own],
        "marker": {
            "symbol": look.symbol,
            "size": [round(max(4.0, LARGEST * math.sqrt(row["count"] / fullest)), 1) for row in own],
            "color": colour,
            "opacity": 0.85,
            "line": {"color": theme.page, "width": 1},
        },
        "cliponaxis": False,
        "text": [_hover(run, row) for row in own],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(run: str, row: Row) -> str:
    return (
        f"<b>{label(run)}, {percent(row['left'], 0)} to {percent(row['right'], 0)} sure</b><br>"
        f"{row['count']:,} images<br>confidence {percent(row['confidence'])}<br>accuracy {percent(row['accuracy'])}"
    )


def _diagonal(theme: Theme) -> dict[str, Any]:
    line = {"color": theme.baseline, "width": 1, "dash": "dot"}
    return {"type": "line", "layer": "below", "x0": 0, "y0": 0, "x1": 1, "y1": 1, "line": line}


def _key(names: list[str], frame: Frame, theme: Theme) -> dict[str, Any]:
    """The names under the axis: along the diagonal they would cover points, which lie close where models agree."""
    return {
        "text": "<br>".join(names),
        "align": "left",
        "x": 0.0,
        "y": -AXIS_PX / frame.upward,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "top",
        "showarrow": False,
        "font": {"size": LABEL_PX, "color": theme.text},
    }
