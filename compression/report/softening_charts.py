"""Charts of one softened answer: all its classes at two temperatures, and the wrong classes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from compression.report import distill_titles as titles
from compression.report.compare import records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, heading, headroom
from compression.report.labels import LABEL_PX, LETTER_PX
from compression.report.text import brief, chance, escaped, powered, shortened
from compression.report.themes import Theme

Row = dict[str, Any]
ROW_PX, HEAD_PX = 22, 20
FLOOR = 1e-9
"""Where bars on a logarithmic axis begin at the lowest: less is written, but has no bar."""


def softening_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    temperature: float,
    log: bool = False,
    cap: int = 10,
    width: int = NARROW,
) -> Chart:
    """One image's probabilities at T = 1 and at the chosen T, as bars side by side on one scale.

    ``table`` is a :func:`softening_table`. The true class is bold, ticked and of its own colour.
    Of more than ``cap`` classes the most probable at T are shown, the true one always.
    """
    rows = records(table)
    if not rows:
        hint = "Pick an image to see what the teacher makes of it."
        return empty_chart("No image has been chosen", hint, theme, width)
    title = titles.softening_title(rows, temperature)
    shown = _most(rows, cap)
    both = [row[key] for row in shown for key in ("one", "soft")]
    least = _least(both) if log else 0.0
    subtitle = "Probability of each class (✓: the true one)" + _cut(len(shown), len(rows), "most probable")
    subtitle += f"{_log_words(least)} · computed from the logits"
    names = [_class_name(row) for row in shown]
    frame = _bar_frame(names, len(shown), width, title, subtitle)
    ceiling = 1 - HEAD_PX / frame.upward
    layout: dict[str, Any] = {"bargap": 0.3, "yaxis": _names_axis(names) | {"domain": [0, ceiling]}, "annotations": []}
    chosen = f"T = {brief(temperature)}"
    hover = [
        f"<b>{escaped(str(row['name']))}</b><br>T = 1: {chance(row['one'])}<br>{chosen}: {chance(row['soft'])}"
        for row in shown
    ]
    traces = []
    for panel, key, at, box in (("", "one", 1.0, [0.0, 0.48]), ("2", "soft", temperature, [0.52, 1.0])):
        values = [row[key] for row in shown]
        colours = [theme.palette[0 if row["true"] else 1] for row in shown]
        traces += _bars(values, colours, hover, least, panel, theme)
        layout[f"xaxis{panel}"] = _bar_axis(both, least, 0.48 * frame.across) | {"domain": box}
        layout["annotations"].append(heading(f"<b>T = {brief(at)}</b>", box[0], ceiling, theme))
    return chart(traces, theme, title, subtitle, frame, layout)


def dark_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    true: str,
    temperature: float,
    log: bool = False,
    cap: int = 10,
    width: int = NARROW,
) -> Chart:
    """The wrong classes by their probability at T: what the teacher knows beyond the label ``true``.

    ``table`` is a :func:`dark_table`. Of more than ``cap`` classes the most probable are shown.
    """
    rows = records(table)
    if not rows:
        hint = "Pick an image to see which other classes it reminds the teacher of."
        return empty_chart("No image has been chosen", hint, theme, width)
    title = titles.dark_title(rows, true)
    shown = rows[:cap]
    values = [row["probability"] for row in shown]
    least = _least(values) if log else 0.0
    subtitle = f"Probability of the wrong classes at T = {brief(temperature)}"
    subtitle += (
        f"{_cut(len(shown), len(rows), 'most probable')}{_log_words(least)} · computed from the teacher's logits"
    )
    names = [escaped(shortened(str(row["name"]), 15)) for row in shown]
    frame = _bar_frame(names, len(shown), width, title, subtitle, head=0)
    hover = [
        f"<b>{escaped(str(row['name']))}</b><br>{chance(row['probability'])} at T = {brief(temperature)}<br>"
        f"{_ratio(row['ratio'])} × what {escaped(true)} gets"
        for row in shown
    ]
    traces = _bars(values, [theme.palette[1]] * len(shown), hover, least, "", theme)
    axis = _bar_axis(values, least, frame.across)
    return chart(traces, theme, title, subtitle, frame, {"bargap": 0.3, "yaxis": _names_axis(names), "xaxis": axis})


def _ratio(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "over 10³⁰⁰"
    return f"{ratio:.2g}" if 0.01 <= ratio < 100 or ratio == 0 else powered(ratio)


def _most(rows: list[Row], cap: int) -> list[Row]:
    """All in their order, or the most probable first, the true one among them."""
    if len(rows) <= cap:
        return rows
    ranked = sorted(rows, key=lambda row: -row["soft"])
    return ranked[:cap] + [row for row in ranked[cap:] if row["true"]]


def _cut(shown: int, all_of: int, word: str) -> str:
    return f"; the {shown} {word} of {all_of} classes" if shown < all_of else ""


def _log_words(least: float) -> str:
    return f"; log scale from {powered(least)}" if least else ""


def _least(values: list[float]) -> float:
    """The power of ten at which logarithmic bars begin."""
    smallest = min((value for value in values if value > 0), default=1.0)
    return float(max(FLOOR, 10.0 ** math.floor(math.log10(min(smallest, 0.1)))))


def _class_name(row: Row) -> str:
    name = escaped(shortened(str(row["name"]), 13))
    return f"<b>✓ {name}</b>" if row["true"] else name


def _bar_frame(names: list[str], rows: int, width: int, title: str, subtitle: str, head: int = HEAD_PX) -> Frame:
    longest = max(len(name.replace("<b>", "").replace("</b>", "")) for name in names)
    top = headroom(title, subtitle, width) + head
    return Frame(width, top + ROW_PX * rows + 12, left=round(LETTER_PX * longest) + 16, right=6, top=top, bottom=8)


def _names_axis(names: list[str]) -> dict[str, Any]:
    return {
        "range": [len(names) - 0.5, -0.5],
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "showgrid": False,
        "ticklabelstandoff": 4,
    }


def _bar_axis(values: Sequence[float], least: float, across: float) -> dict[str, Any]:
    """A hidden axis, for every bar has its number; as long as the longest bar and its number need."""
    letters, end = max(len(chance(value)) for value in values), max(values)
    part = max(0.2, (across - LETTER_PX * letters - 10) / across)
    if not least:
        return {"range": [0, (end or 1.0) / part], "visible": False}
    low = math.log10(least)
    return {"type": "log", "range": [low, low + (math.log10(max(end, least)) - low or 1.0) / part], "visible": False}


def _bars(
    values: list[float], colours: list[str], hover: list[str], least: float, panel: str, theme: Theme
) -> list[dict[str, Any]]:
    at = list(range(len(values)))
    axes = {"xaxis": f"x{panel}", "y": at}
    drawn = [float(f"{max(value, least):.5g}") for value in values]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": drawn,
        "marker": {"color": colours},
        "text": hover,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }
    numbers = {
        "type": "scatter",
        "mode": "text",
        "x": drawn,
        "text": [f"\u00a0{chance(value)}" for value in values],
        "textposition": "middle right",
        "textfont": {"size": LABEL_PX, "color": theme.text},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }
    return [bars | axes, numbers | axes]
