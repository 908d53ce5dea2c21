"""Sparsity is not speed: size and speed of zeroed weights and of removed units, side by side."""

from __future__ import annotations

from typing import Any

import pandas as pd

from compression.report import titles
from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, empty_chart, error_bars, heading, headroom, level_line
from compression.report.labels import Label, Scale, notes, place
from compression.report.measures import AXES
from compression.report.text import percent, share, times
from compression.report.themes import STYLES, Theme, named_symbol

Row = dict[str, Any]


def speed_chart(
    table: pd.DataFrame, theme: Theme, *, at: float | None = None, width: int = WIDE, height: int | None = None
) -> Chart:
    """Size and measured speed-up of zeroed weights and of removed units, at equal sparsity.

    Two panels over the same sparsities, side by side from 520 pixels on, else one above the
    other; ratios to the baseline on logarithmic axes, so that 2× is as far from 1× as 4× is
    from 2×. ``at`` is the sparsity of which the title speaks.
    """
    rows = records(table)
    title = titles.speed_title(rows, at)
    if not rows:
        hint = "Sweep single weights and channels with latency switched on; the chart fills itself."
        return empty_chart(title, hint, theme, width)
    subtitle = (
        f"Times the baseline, at equal sparsity · packed size; speed-up with 95 % interval, "
        f"{titles.timing_words(rows, AXES['speedup'].where)}, measured"
    )
    beside = width >= 520
    only = rows[0]["sparsity"] if len({row["sparsity"] for row in rows}) == 1 else None
    frame = Frame(width, height or (360 if beside else 480), top=headroom(title, subtitle, width) + 16)
    layout: dict[str, Any] = {"shapes": [], "annotations": []}
    traces: list[dict[str, Any]] = []
    panels = (("size_ratio", "Size", "smaller"), ("speedup", "Speed", "faster"))
    for turn, (key, head, gain) in enumerate(panels):
        panel = ("", "2")[turn]
        box = _panel_domain(turn, beside)
        traces += _ratio_lines(rows, key, panel, theme)
        x, y = _ratio_scales(rows, key, frame, beside)
        layout[f"xaxis{panel}"] = _ratio_x(x, box, panel, beside or turn == 1, only)
        layout[f"yaxis{panel}"] = _ratio_y(y, box, panel)
        layout["shapes"].append(level_line(1.0, theme, panel))
        layout["annotations"] += _panel_labels(rows, key, panel, x, y, theme)
        layout["annotations"].append(heading(f"<b>{head}</b>, times {gain}", box[0][0], box[1][1], theme))
    return chart(traces, theme, title, subtitle, frame, layout)


def _panel_domain(turn: int, beside: bool) -> tuple[list[float], list[float]]:
    if beside:
        return ([[0.0, 0.455], [0.545, 1.0]][turn], [0.0, 0.92])
    return ([0.0, 1.0], [[0.56, 0.96], [0.0, 0.4]][turn])


def _ratio_scales(rows: list[Row], key: str, frame: Frame, beside: bool) -> tuple[Scale, Scale]:
    values = [row[key] for row in rows] + ([row["high"] for row in rows] if key == "speedup" else [])
    low, high = min([0.9, *values]), max([2.0, *values])
    sparsities = [row["sparsity"] for row in rows]
    room = 0.06 * (max(sparsities) - min(sparsities)) or 0.05
    across, upward = (0.455, 0.92) if beside else (1.0, 0.4)
    x = Scale(min(sparsities) - room, max(sparsities) + room, frame.across * across)
    return x, Scale(low / 1.1, high * 1.25, frame.upward * upward, True)


def _ratio_x(
    x: Scale, box: tuple[list[float], list[float]], panel: str, named: bool, only: float | None
) -> dict[str, Any]:
    axis = {"domain": box[0], "anchor": f"y{panel}", "range": x.range, "tickformat": "~%", "nticks": 6}
    if only is not None:
        axis |= {"tickvals": [only]}
    return axis | ({"title": {"text": "Sparsity"}} if named else {})


def _ratio_y(y: Scale, box: tuple[list[float], list[float]], panel: str) -> dict[str, Any]:
    ticks = [2.0**power for power in range(-4, 10) if y.low <= 2.0**power <= y.high]
    return {
        "domain": box[1],
        "anchor": f"x{panel}",
        "type": "log",
        "range": y.range,
        "tickvals": ticks,
        "ticktext": [f"{tick:g}×" for tick in ticks],
    }


def _by_granularity(rows: list[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["granularity"], []).append(row)
    return groups


def _ratio_lines(rows: list[Row], key: str, panel: str, theme: Theme) -> list[dict[str, Any]]:
    traces = []
    for granularity, own in _by_granularity(rows).items():
        look = STYLES[granularity]
        colour = theme.palette[look.colour]
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": own[0]["label"],
            "x": [row["sparsity"] for row in own],
            "y": [row[key] for row in own],
            "xaxis": f"x{panel}",
            "yaxis": f"y{panel}",
            "line": {"color": colour, "width": 2, "dash": "dash" if own[0]["kind"] == "zeroed" else "solid"},
            "marker": {"symbol": look.symbol, "size": 7, "color": colour},
            "text": [_ratio_hover(row) for row in own],
            "hovertemplate": "%{text}<extra></extra>",
        }
        if key == "speedup":
            trace["error_y"] = error_bars(own, ("low", "speedup", "high"), colour, width=3)
        traces.append(trace)
    return traces


def _ratio_hover(row: Row) -> str:
    return (
        f"<b>{row['label']}, {share(row['sparsity'])} sparsity</b><br>{times(row['size_ratio'])} smaller<br>"
        f"{times(row['speedup'])} as fast ({times(row['low'])} to {times(row['high'])})<br>"
        f"accuracy {percent(row['accuracy'])}"
    )


def _panel_labels(rows: list[Row], key: str, panel: str, x: Scale, y: Scale, theme: Theme) -> list[dict[str, Any]]:
    labels, paths = [], []
    for granularity, own in _by_granularity(rows).items():
        spots = [(row["sparsity"], row[key]) for row in own]
        text = named_symbol(own[0]["label"], granularity, STYLES[granularity].symbol, theme)
        labels.append(Label(text, spots[::-1], leader=True))
        paths.append(spots)
    return notes(place(labels, paths, x, y), x, y, theme, panel)
