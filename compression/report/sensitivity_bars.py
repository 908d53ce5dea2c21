"""Bars beside a scan: what each layer holds and does, what each method takes of it, and what is then left."""

from __future__ import annotations

from typing import Any

import pandas as pd

from compression.report import sensitivity_titles as titles
from compression.report.compare import records
from compression.report.drawing import NARROW, WIDE, Chart, Frame, chart, empty_chart, error_bars, heading, headroom
from compression.report.labels import LETTER_PX, breadth
from compression.report.text import count, escaped, interval, percent, points, share, shortened, unique
from compression.report.themes import Theme, faded

Row = dict[str, Any]
ROW_PX, OUTCOME_PX, HEADING_PX = 20, 34, 20


def layer_cost_chart(table: pd.DataFrame, theme: Theme, *, width: int = NARROW) -> Chart:
    """Each layer's share of the parameters (filled bar) and of the MACs (hatched bar below it).

    ``table`` is a :func:`layer_cost_table`.
    """
    rows = records(table)
    title = titles.layer_cost_title(rows)
    if not rows:
        return empty_chart(title, "Choose another style.", theme, width)
    subtitle = "Share of parameters (filled) and of MACs (hatched) of all these layers · counted"
    names = [escaped(shortened(row["layer"], 16)) for row in rows]
    frame = _rows_frame(names, len(rows), ROW_PX, width, title, subtitle)
    hover = [
        f"<b>{escaped(row['layer'])}</b><br>{count(row['params'])} parameters, {share(row['params_share'])}"
        f"<br>{count(row['macs'])} MACs an image, {share(row['macs_share'])}"
        for row in rows
    ]
    hatched = {"color": theme.page, "line": {"color": theme.palette[1], "width": 1}} | {
        "pattern": {"shape": "/", "fgcolor": theme.palette[1], "size": 4}
    }
    parts = (("params_share", {"color": theme.kept}, "parameters"), ("macs_share", hatched, "MACs"))
    traces = [_bars([row[key] for row in rows], marker, hover) | {"name": name} for key, marker, name in parts]
    top = max(row[key] for row in rows for key, _, _ in parts)
    layout = {"barmode": "group", "bargap": 0.25, "bargroupgap": 0.05, **_axes(names, [0.0, 1.06 * top])}
    return chart(traces, theme, title, subtitle, frame, layout)


def allocation_chart(table: pd.DataFrame, theme: Theme, *, width: int = WIDE) -> Chart:
    """How much of every layer each method takes: a panel of bars for each method, over the same layers.

    ``table`` is an :func:`allocation_table`.
    """
    rows = records(table)
    title = titles.allocation_title(rows)
    if not rows:
        return empty_chart(title, "Choose an average sparsity.", theme, width)
    subtitle = "Share of each layer that goes · of the weights or units really removed"
    layers, labels = unique(row["layer"] for row in rows), unique(row["label"] for row in rows)
    names = [escaped(shortened(layer, 16)) for layer in layers]
    frame = _rows_frame(names, len(layers), ROW_PX, width, title, subtitle, HEADING_PX)
    part = {(row["label"], row["layer"]): row["sparsity"] for row in rows}
    layout: dict[str, Any] = {"bargap": 0.3, "annotations": []}
    traces = []
    across, top = 1 / len(labels), 1 - HEADING_PX / frame.upward
    letters = min(15, int(across * frame.across / LETTER_PX) - 1)
    for turn, label in enumerate(labels):
        panel = str(turn + 1) if turn else ""
        own = [part.get((label, layer), 0.0) for layer in layers]
        hover = [f"<b>{escaped(layer)}</b><br>{label}: {share(gone)}" for layer, gone in zip(layers, own, strict=True)]
        marker = {"color": theme.pruned if turn == 0 else faded(theme.pruned, 0.62)}
        traces.append(_bars(own, marker, hover) | {"name": label, "xaxis": f"x{panel}"})
        domain = [turn * across, (turn + 0.88) * across]
        axis = {"domain": domain, "anchor": "y", "range": [0, 1], "tickvals": [0, 0.5, 1]}
        layout[f"xaxis{panel}"] = axis | {"ticktext": ["0", "50 %", ""], "tickangle": 0}
        layout["annotations"].append(heading(shortened(label, letters), domain[0], top, theme))
    layout["yaxis"] = _axes(names, [0.0, 1.0])["yaxis"] | {"domain": [0, top]}
    return chart(traces, theme, title, subtitle, frame, layout)


def outcome_chart(table: pd.DataFrame, theme: Theme, *, width: int = NARROW) -> Chart:
    """The accuracy that each allocation leaves: measured (disc, 95 % interval) and predicted (ring).

    ``table`` is an :func:`outcome_table`; the dotted line is the model as it is.
    """
    rows = records(table)
    title = titles.outcome_title(rows)
    if not rows:
        return empty_chart(title, "Choose an average sparsity.", theme, width)
    subtitle = (
        f"Accuracy on validation images, n = {rows[0]['n']:,}, before fine-tuning · disc: measured, 95 % interval; "
        f"ring: estimated, the layers' own losses added up; dotted: the whole model, {percent(rows[0]['whole'])}"
    )
    names = [shortened(row["label"], 18) for row in rows]
    frame = _rows_frame(names, len(rows), OUTCOME_PX, width, title, subtitle)
    at = list(range(len(rows)))
    common = {"type": "scatter", "mode": "markers", "cliponaxis": False}
    guessed = [(turn, row) for turn, row in enumerate(rows) if row["predicted"] == row["predicted"]]
    traces: list[dict[str, Any]] = [
        common
        | {
            "name": "estimated",
            "x": [row["predicted"] for _, row in guessed],
            "y": [turn for turn, _ in guessed],
            "marker": {"symbol": "circle-open", "size": 12, "color": theme.muted, "line": {"width": 2}},
            "hovertemplate": "estimated %{x:.1%}<extra></extra>",
        },
        common
        | {
            "name": "measured",
            "x": [row["accuracy"] for row in rows],
            "y": at,
            "marker": {"symbol": "circle", "size": 10, "color": theme.kept},
            "error_x": error_bars(rows, ("accuracy_low", "accuracy", "accuracy_high"), theme.kept),
            "text": [_outcome(row) for row in rows],
            "hovertemplate": "%{text}<extra></extra>",
        },
    ]
    ends = [row[key] for row in rows for key in ("accuracy_low", "accuracy_high", "whole")]
    ends += [row["predicted"] for _, row in guessed]
    room = 0.05 * (max(ends) - min(ends) + 0.01)
    layout = _axes(names, [max(0.0, min(ends) - room), min(1.0, max(ends) + room)])
    line = {"color": theme.baseline, "width": 1, "dash": "dot"}
    whole = rows[0]["whole"]
    layout["shapes"] = [
        {"type": "line", "layer": "below", "line": line, "yref": "y domain", "x0": whole, "x1": whole, "y0": 0, "y1": 1}
    ]
    return chart(traces, theme, title, subtitle, frame, layout)


def _outcome(row: Row) -> str:
    return (
        f"<b>{row['label']}</b>, {share(round(row['sparsity'], 3))} removed<br>measured {percent(row['accuracy'])} "
        f"({interval(row['accuracy_low'], row['accuracy_high'])})<br>{points(row['change'])} against the whole model"
    )


def _rows_frame(names: list[str], rows: int, row_px: int, width: int, title: str, subtitle: str, top: int = 0) -> Frame:
    left = breadth(names) + 14
    head = headroom(title, subtitle, width) + top
    return Frame(width, head + row_px * rows + 34, left=left, right=16, top=head, bottom=28)


def _axes(names: list[str], span: list[float]) -> dict[str, Any]:
    return {
        "xaxis": {"range": span, "tickformat": "~%", "nticks": 4, "tickangle": 0},
        "yaxis": {
            "range": [len(names) - 0.5, -0.5],
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "showgrid": False,
            "ticklabelstandoff": 4,
        },
    }


def _bars(values: list[float], marker: dict[str, Any], hover: list[str]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": [round(value, 4) for value in values],
        "y": list(range(len(values))),
        "marker": marker,
        "text": hover,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }
