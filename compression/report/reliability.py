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
    frame = Frame(width, height, left=50, top=headroom(title, subtitle, width))
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
        "annotations": [_names(names, shown, start, frame, theme)],
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


def _names(names: list[str], runs: dict[str, list[Row]], start: float, frame: Frame, theme: Theme) -> dict[str, Any]:
    """The key, in the corner above or below the diagonal where it covers fewer marks."""
    letters = max(len(label(run)) for run in runs) + len("● , ECE 10.0 %")
    side = 1.04 - start
    across, up = 0.54 * LABEL_PX * letters / frame.across * side, (17 * len(names) + 8) / frame.upward * side
    spots = [(row["confidence"], row["accuracy"]) for own in runs.values() for row in own]
    above = sum(x < start + across and y > 1.04 - up for x, y in spots)
    below = sum(x > 1.04 - across and y < start + up for x, y in spots)
    corner = {"x": 0.02, "y": 1.0, "xanchor": "left", "yanchor": "top"}
    if below < above:
        corner = {"x": 1.0, "y": 0.02, "xanchor": "right", "yanchor": "bottom"}
    return corner | {
        "text": "<br>".join(names),
        "align": "left",
        "xref": "paper",
        "yref": "paper",
        "showarrow": False,
        "font": {"size": LABEL_PX, "color": theme.text},
    }
