"""Charts of one model before and after: its layers, its classes, its training, its costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import pandas as pd

from compression.report import titles
from compression.report.compare import records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, headroom
from compression.report.labels import LABEL_PX, Label, Scale, breadth, notes, place
from compression.report.measures import AXES
from compression.report.text import amount, escaped, lowered, part, percent, points, share, shortened, times
from compression.report.themes import Theme, faded

Row = dict[str, Any]
ROW_PX = 22


def layer_chart(
    table: pd.DataFrame, theme: Theme, *, unit: str = "weights", cap: int = 40, width: int = NARROW
) -> Chart:
    """How much each layer lost: a bar for what was achieved, a tick for what was asked.

    ``table`` is a :func:`layer_table`; ``unit`` is what its widths count. Of more than ``cap``
    layers those that lost most are shown, in the network's order, and the subtitle says so.
    """
    rows = records(table)
    if not rows:
        return empty_chart("No layer has been pruned yet", "Move the slider to prune.", theme, width)
    title = titles.layer_title(rows)
    ranked = sorted(range(len(rows)), key=lambda at: -rows[at]["achieved"])[:cap]
    shown = [rows[at] for at in sorted(ranked)]
    asked = [row for row in shown if row["asked"] == row["asked"]]
    left_out = f"; the {cap} of {len(rows)} layers that lost most" if len(rows) > cap else ""
    tick = ", tick: asked" if asked else ""
    subtitle = f"Share of {unit} removed (bar: achieved{tick}) and {unit} kept of all · counted{left_out}"
    names = [_name(row["layer"], at) for at, row in enumerate(shown)]
    kept = [part(row["kept"], row["width"]) for row in shown]
    hover = [_layer_hover(row, unit) for row in shown]
    traces = [
        _bars([row["achieved"] for row in shown], theme.pruned, hover),
        _column([1.0] * len(shown), kept, theme),
    ]
    if asked:
        at = [turn for turn, row in enumerate(shown) if row["asked"] == row["asked"]]
        traces.append(_ticks([row["asked"] for row in asked], at, theme))
    frame = _row_frame(names, kept, width, len(shown), title, subtitle)
    return chart(traces, theme, title, subtitle, frame, _row_axes(names, [0.0, 1.0]))


def _name(name: str, at: int) -> str:
    return escaped(shortened(str(name), 15)) if name else f"layer {at + 1}"


def _layer_hover(row: Row, unit: str) -> str:
    lines = [f"<b>{escaped(row['layer'])}</b>", f"achieved {share(row['achieved'])}"]
    if row["asked"] == row["asked"]:
        lines.append(f"asked {share(row['asked'])}")
    lines.append(f"{row['kept']:,} of {row['width']:,} {unit} kept")
    return "<br>".join(lines + ([escaped(row["note"])] if row["note"] else []))


def _row_frame(names: list[str], ends: list[str], width: int, rows: int, title: str, subtitle: str) -> Frame:
    left = breadth(names) + 14
    right = breadth(ends) + 24
    height = headroom(title, subtitle, width) + ROW_PX * rows + 34
    return Frame(width, height, left=left, right=right, bottom=28)


def _row_axes(names: list[str], span: list[float]) -> dict[str, Any]:
    at = list(range(len(names)))
    return {
        "xaxis": {"range": span, "tickformat": "~%", "nticks": 4, "tickangle": 0},
        "yaxis": {
            "range": [len(names) - 0.5, -0.5],
            "tickvals": at,
            "ticktext": names,
            "showgrid": False,
            "ticklabelstandoff": 4,
        },
        "bargap": 0.35,
    }


def _bars(values: list[float], colour: str, hover: list[str]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": list(range(len(values))),
        "marker": {"color": colour},
        "text": hover,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }


def _ticks(values: list[float], at: list[int], theme: Theme) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": at,
        "marker": {"symbol": "line-ns-open", "size": 15, "color": theme.text, "line": {"width": 2.5}},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _column(x: list[float], texts: list[str], theme: Theme) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "text",
        "x": x,
        "y": list(range(len(x))),
        "text": [f"\u00a0\u00a0\u00a0{text}" for text in texts],
        "textposition": "middle right",
        "textfont": {"size": LABEL_PX, "color": theme.text},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def class_chart(
    table: pd.DataFrame, theme: Theme, *, split: str, n: int, cap: int = 15, width: int = NARROW, title: str = ""
) -> Chart:
    """Accuracy of every class before (ring) and after (disc), the greatest loss on top.

    ``table`` is a :func:`class_table`; ``n`` images of ``split`` were scored in all. Of more
    than ``cap`` classes those that lose most are shown, and the subtitle says so. ``title`` stands in
    for the chart's own.
    """
    rows = records(table)
    title = title or titles.class_title(rows)
    shown = rows[:cap]
    left_out = f"; the {cap} of {len(rows)} that lose most" if len(rows) > cap else ""
    one = 100 * len(rows) / n
    subtitle = (
        f"Accuracy on {titles.split_word(split)} images by class (ring: before, disc: after), n = {n:,}, "
        f"one image ≈ {one:.1f} points · measured{left_out}"
    )
    names = [_name(row["name"], at) for at, row in enumerate(shown)]
    changes = [points(row["change"]).removesuffix(" points") for row in shown]
    low = min(min(row["before"], row["after"]) for row in shown)
    span = [low - 0.08 * (1 - low) - 0.01, 1.0 + 0.03 * (1 - low)]
    traces = [_links(shown, theme), *_ends(shown, theme), _column([span[1]] * len(shown), changes, theme)]
    frame = _row_frame(names, changes, width, len(shown), title, subtitle)
    return chart(traces, theme, title, subtitle, frame, _row_axes(names, span))


def _links(rows: list[Row], theme: Theme) -> dict[str, Any]:
    x = [value for row in rows for value in (row["before"], row["after"], None)]
    y = [value for at in range(len(rows)) for value in (at, at, None)]
    line = {"color": faded(theme.muted, 0.7), "width": 3}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "hoverinfo": "skip"}


def _ends(rows: list[Row], theme: Theme) -> list[dict[str, Any]]:
    names = [escaped(str(row["name"])) for row in rows]
    hover = [
        f"<b>{name}</b><br>{percent(row['before'])} → {percent(row['after'])}<br>{points(row['change'])}"
        for name, row in zip(names, rows, strict=True)
    ]
    common = {"type": "scatter", "mode": "markers", "y": list(range(len(rows))), "cliponaxis": False}
    common |= {"text": hover, "hovertemplate": "%{text}<extra></extra>"}
    ring = {"symbol": "circle-open", "size": 11, "color": theme.baseline, "line": {"width": 2}}
    colours = [theme.pruned if row["change"] < 0 else theme.kept for row in rows]
    disc = {"symbol": "circle", "size": 10, "color": colours}
    return [
        common | {"name": "after", "x": [row["after"] for row in rows], "marker": disc},
        common | {"name": "before", "x": [row["before"] for row in rows], "marker": ring},
    ]


def history_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    measure: Literal["accuracy", "loss"] = "accuracy",
    width: int = NARROW,
    height: int = 300,
) -> Chart:
    """Accuracy or loss by epoch, of training (dashed) and validation (solid), through all stages."""
    rows = records(table)
    if not rows:
        return empty_chart("No epoch has been trained", "Add epochs of fine-tuning.", theme, width, height)
    title = titles.history_title(rows, measure)
    several = len({row["stage"] for row in rows}) > 1
    subtitle = f"{measure.capitalize()} after each epoch{', a line where a stage begins' if several else ''} · measured"
    frame = Frame(width, height, top=headroom(title, subtitle, width))
    lines = {"validation": ("val", theme.palette[0], "solid"), "training": ("train", theme.palette[3], "dash")}
    values = [row[f"{key}_{measure}"] for row in rows for key in ("val", "train")]
    room = 0.1 * (max(values) - min(values) or 0.02)
    x = Scale(0.7, len(rows) + 0.3, frame.across)
    y = Scale(min(values) - room, max(values) + 1.5 * room, frame.upward)
    traces, labels, paths = [], [], []
    for name, (key, colour, dash) in lines.items():
        spots = [(row["step"], row[f"{key}_{measure}"]) for row in rows]
        traces.append(_epochs(name, spots, colour, dash, measure))
        labels.append(Label(name, spots[::-1], leader=True))
        paths.append(spots)
    starts = [late["step"] for early, late in pairwise(rows) if late["stage"] != early["stage"]]
    layout = {
        "shapes": [_stage_start(step, theme) for step in starts],
        "xaxis": {"title": {"text": "Epoch"}, "range": x.range, "tickformat": "d", "dtick": max(1, len(rows) // 6)},
        "yaxis": {"range": y.range, "tickformat": "~%" if measure == "accuracy" else "~g", "nticks": 6},
        "annotations": notes(place(labels, paths, x, y), x, y, theme),
    }
    return chart(traces, theme, title, subtitle, frame, layout)


def _stage_start(step: int, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    return {"type": "line", "x0": step - 0.5, "x1": step - 0.5, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _epochs(name: str, spots: list[tuple[Any, Any]], colour: str, dash: str, measure: str) -> dict[str, Any]:
    number = "%{y:.1%}" if measure == "accuracy" else "%{y:.3g}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [x for x, _ in spots],
        "y": [y for _, y in spots],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"size": 6, "symbol": "circle" if name == "validation" else "circle-open", "color": colour},
        "hovertemplate": f"epoch %{{x}}, {name}: {number}<extra></extra>",
    }


def change_chart(table: pd.DataFrame, theme: Theme, *, width: int = NARROW, title: str = "") -> Chart:
    """Costs before and after as bars: the outline is the baseline, the filled part what is left.

    ``table`` is a :func:`change_table`; ``title`` stands in for the chart's own.
    """
    rows = records(table)
    title = title or titles.change_title(rows)
    origins: dict[str, list[str]] = {}
    for row in rows:
        origins.setdefault(AXES[row["key"]].origin, []).append(lowered(row["label"]))
    known = "; ".join(f"{', '.join(labels)} {origin}" for origin, labels in origins.items())
    subtitle = f"What is left of the baseline (outline) · {known}"
    widest = max(1.0, *(row["left"] for row in rows))
    at = list(range(len(rows)))
    outline = {
        "type": "bar",
        "orientation": "h",
        "x": [1.0] * len(rows),
        "y": at,
        "marker": {"color": "rgba(0,0,0,0)", "line": {"color": theme.muted, "width": 1.5}},
        "hoverinfo": "skip",
    }
    filled = _bars([row["left"] for row in rows], theme.kept, [_change_hover(row) for row in rows])
    frame = Frame(width, headroom(title, subtitle, width) + 46 * len(rows) + 8, left=6, right=6, bottom=4)
    layout = {
        "barmode": "overlay",
        "bargap": 0.66,
        "xaxis": {"range": [-0.002, widest * 1.005], "visible": False},
        "yaxis": {"range": [len(rows) - 0.62, -0.72], "visible": False},
        "annotations": [note for turn, row in enumerate(rows) for note in _change_words(turn, row, theme)],
    }
    return chart([filled, outline], theme, title, subtitle, frame, layout)


def _change_hover(row: Row) -> str:
    scale = AXES[row["key"]].scale
    before, after = amount(row["before"], scale), amount(row["after"], scale)
    return f"<b>{row['label']}</b><br>{before} → {after}<br>{share(row['left'])} of the baseline"


def _change_words(turn: int, row: Row, theme: Theme) -> Sequence[dict[str, Any]]:
    scale = AXES[row["key"]].scale
    ratio = f"<b>{times(1 / row['left'])}</b> " if row["left"] and row["left"] < 0.995 else ""
    arrow = f"{ratio}{amount(row['before'], scale)} → {amount(row['after'], scale)}"
    common = {"xref": "paper", "y": turn, "yshift": 17, "showarrow": False, "font": {"size": 12, "color": theme.text}}
    return [
        common | {"text": row["label"], "x": 0.0, "xanchor": "left"},
        common | {"text": arrow, "x": 1.0, "xanchor": "right"},
    ]
