"""Accuracy against sparsity: how far each way of pruning can go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from compression.report import titles
from compression.report.compare import records
from compression.report.drawing import (
    DIRECT,
    NARROW,
    Chart,
    Frame,
    chart,
    empty_chart,
    headroom,
    level_line,
    with_legend,
)
from compression.report.labels import Label, Scale, notes, place
from compression.report.present import present_label, present_trace
from compression.report.text import interval, percent, points, share, unit_word
from compression.report.themes import DASHES, STYLES, Theme, faded, named_symbol, symbols

Row = dict[str, Any]
COVERED = 2
"""A name that would hide more than this of the curves sends all names to a legend."""


def curve_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    present: Mapping[str, float] | None = None,
    drawn: Sequence[tuple[float, float]] = (),
    tolerance: float = titles.TOLERANCE,
    width: int = NARROW,
    height: int = 340,
) -> Chart:
    """Accuracy against sparsity with interval bands, the baseline, and the present point.

    ``table`` is a :func:`curve_table`. ``present`` holds sparsity and accuracy, and may hold
    accuracy_low and accuracy_high: where the reader's own settings stand. ``drawn`` is the
    curve, as sparsity and accuracy, that a reader expected.
    """
    rows = records(table)
    title = titles.curve_title(rows, tolerance)
    series = titles.by_series(rows)
    if not series:
        return empty_chart(title, "Run a sweep to see how accuracy falls with sparsity.", theme, width, height)
    subtitle = f"{titles.accuracy_words(rows)} · measured"
    frame = Frame(width, height, top=headroom(title, subtitle, width))
    x, y = _scales(rows, [present["accuracy"]] if present else [height for _, height in drawn], present, frame)
    looks = symbols(series)
    traces = [
        trace
        for turn, (name, own) in enumerate(series.items())
        for trace in _curve(name, own, looks[name], DASHES[turn % len(DASHES)], theme)
    ]
    if present:
        traces.append(present_trace(present["sparsity"], present, f"{share(present['sparsity'])} sparsity", theme))
    traces += [_drawn(drawn, theme)] if drawn else []
    starts = [row for row in rows if row["x"] == 0][:1]
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": _sparsity_of(rows)}, "range": x.range, "tickformat": "~%", "nticks": 7},
        "yaxis": {"range": y.range, "tickformat": "~%", "nticks": 7},
        "shapes": [level_line(row["accuracy"], theme) for row in starts],
    }
    layout["annotations"], keyed = _words(series, looks, _remarks(starts, present, drawn, x), (x, y), theme)
    if keyed:
        frame, legend = with_legend(list(series), frame)
        layout |= legend
    return chart(traces, theme, title, subtitle, frame, layout)


def _words(
    series: dict[str, list[Row]], looks: dict[str, str], remarks: list[Label], scales: tuple[Scale, Scale], theme: Theme
) -> tuple[list[dict[str, Any]], bool]:
    """The notes, and whether the series' names found no room and need a legend."""
    names = [_name(name, own, looks[name], theme) for name, own in series.items()]
    direct = 1 < len(series) <= DIRECT
    paths = [[(row["x"], row["accuracy"]) for row in own] for own in series.values()]
    placed = place(remarks + names if direct else remarks, paths, *scales)
    keyed = len(series) > DIRECT or any(item.covers > COVERED for item in placed[len(remarks) :])
    return notes(placed[: len(remarks)] if keyed else placed, *scales, theme), keyed


def _remarks(
    starts: list[Row], present: Mapping[str, float] | None, drawn: Sequence[tuple[float, float]], x: Scale
) -> list[Label]:
    labels = [Label("you drew", list(drawn))] if drawn else []
    if present:
        labels.append(present_label(present["sparsity"], present))
    for row in starts:
        spots = [(x.high * part, row["accuracy"]) for part in (0.02, 0.3, 0.6)]
        labels.append(Label(f"baseline {percent(row['accuracy'])}", spots))
    return labels


def _sparsity_of(rows: list[Row]) -> str:
    words = sorted({unit_word(row["granularity"]) for row in rows if not row["baseline"]})
    return f"Share of {' or '.join(words)} removed" if len(words) < 3 else "Sparsity"


def _scales(
    rows: list[Row], own: Sequence[float], present: Mapping[str, float] | None, frame: Frame
) -> tuple[Scale, Scale]:
    heights = [row["accuracy_high"] for row in rows] + list(own)
    depths = [row["accuracy_low"] for row in rows] + list(own)
    right = max([row["x"] for row in rows] + ([present["sparsity"]] if present else []))
    room = 0.06 * max(max(heights) - min(depths), 0.02)
    y = Scale(max(0.0, min(depths) - room), max(heights) + 2 * room, frame.upward)
    return Scale(-0.02 * right, 1.04 * right, frame.across), y


def _curve(name: str, own: list[Row], symbol: str, dash: str, theme: Theme) -> list[dict[str, Any]]:
    colour = theme.palette[STYLES[own[-1]["granularity"]].colour]
    x = [row["x"] for row in own]
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": x + x[::-1],
        "y": [row["accuracy_low"] for row in own] + [row["accuracy_high"] for row in own][::-1],
        "showlegend": False,
        "fill": "toself",
        "fillcolor": faded(colour, 0.18),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": [row["accuracy"] for row in own],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"symbol": symbol, "size": 6, "color": colour},
        "text": [_hover(name, row) for row in own],
        "hovertemplate": "%{text}<extra></extra>",
    }
    return [band, line]


def _hover(name: str, row: Row) -> str:
    head = "baseline" if row["x"] == 0 else f"{name}, {share(row['x'])} sparsity"
    spread = interval(row["accuracy_low"], row["accuracy_high"])
    change = "" if row["x"] == 0 else f"<br>{points(row['change'])} against the baseline"
    return f"<b>{head}</b><br>accuracy {percent(row['accuracy'])} ({spread}){change}"


def _drawn(drawn: Sequence[tuple[float, float]], theme: Theme) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "you drew",
        "showlegend": False,
        "x": [x for x, _ in drawn],
        "y": [y for _, y in drawn],
        "line": {"color": theme.pruned, "width": 2, "dash": "dot"},
        "hovertemplate": "you drew %{y:.0%} at %{x:.0%}<extra></extra>",
    }


def mean_gap(drawn: Sequence[tuple[float, float]], table: pd.DataFrame) -> float:
    """How far a drawn curve is from a :func:`curve_table`'s, in accuracy, on average over the sparsities of both."""
    measured = {row["x"]: row["accuracy"] for row in records(table)}
    return fmean(abs(measured[x] - y) for x, y in drawn if x in measured)


def _name(name: str, own: list[Row], symbol: str, theme: Theme) -> Label:
    """The series' name, beside the steep part of its curve, where curves lie apart."""
    heights = [row["accuracy"] for row in own]
    middle = (max(heights) + min(heights)) / 2
    steep = sorted(own[1:] or own, key=lambda row: abs(row["accuracy"] - middle))[:8]
    text = named_symbol(name, own[-1]["granularity"], symbol, theme)
    return Label(text, [(row["x"], row["accuracy"]) for row in steep])
