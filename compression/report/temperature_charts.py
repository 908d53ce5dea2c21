"""Charts over temperature: entropy, the soft targets' gradient, and the accuracy of what was distilled."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from compression.report import distill_titles as titles
from compression.report.compare import records
from compression.report.drawing import (
    DIRECT,
    NARROW,
    Chart,
    Frame,
    chart,
    empty_chart,
    error_bars,
    headroom,
    level_line,
    with_legend,
)
from compression.report.labels import Label, Scale, notes, place
from compression.report.runs import LABELS, OTHERS, RUNS, by_run, dash, temperature_axis
from compression.report.text import brief, interval, percent, powered, unique
from compression.report.themes import OPEN, Style, Theme, faded
from compression.report.titles import split_word

Row = dict[str, Any]
FEW = 8
"""Up to so many temperatures are all ticks of the axis."""


def entropy_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    classes: int,
    present: tuple[float, float] | None = None,
    width: int = NARROW,
    height: int = 280,
) -> Chart:
    """Entropy of one answer against T, with the most that ``classes`` allow and the present (T, bits).

    ``table`` is an :func:`entropy_table`.
    """
    rows = records(table)
    if not rows:
        return empty_chart("No image has been chosen", "Pick an image first.", theme, width, height)
    title = titles.entropy_title(rows, classes, present)
    subtitle = "Entropy of the teacher's answer to this image, in bits, by temperature · computed from its logits"
    frame = Frame(width, height, left=40, top=headroom(title, subtitle, width))
    most = math.log2(classes)
    ends = [row["temperature"] for row in rows] + ([present[0]] if present else [])
    x, y = _log_scale(ends, frame.across), Scale(-0.03 * most, 1.22 * most, frame.upward)
    spots = [(row["temperature"], row["bits"]) for row in rows]
    traces = [_line("entropy", spots, theme.palette[0], "%{y:.2f} bits", mode="lines")]
    labels = [Label(f"all classes alike: {most:.2f} bits", [(x.low * 1.02, most), (x.high / 3, most)], clear=2)]
    if present:
        labels.insert(0, Label(f"<b>now {present[1]:.2f} bits</b>", [present], leader=True, clear=5))
        traces.append(_ring([present], "T = %{x:g}: %{y:.2f} bits<extra>now</extra>", theme))
    layout = {
        "xaxis": temperature_axis(x),
        "yaxis": {"range": y.range, "nticks": 6},
        "shapes": [level_line(most, theme)],
        "annotations": notes(place(labels, [spots, [(x.low, most), (x.high, most)]], x, y), x, y, theme),
    }
    return chart(traces, theme, title, subtitle, frame, layout)


def gradient_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    temperature: float | None = None,
    width: int = NARROW,
    height: int = 300,
) -> Chart:
    """The size of the soft targets' gradient against T, as it is and times T², both axes logarithmic.

    ``table`` is a :func:`gradient_table`; ``temperature`` is the present one, marked by a line.
    """
    rows = [row for row in records(table) if row["plain"] > 0]
    if not rows:
        agreed = "Student and teacher agree: there is no gradient" if len(table) else "No gradient has been computed"
        return empty_chart(agreed, "Choose a student other than the teacher.", theme, width, height)
    title = titles.gradient_title(rows)
    subtitle = "Mean length of the soft targets' gradient at the student's logits, log scales · computed"
    frame = Frame(width, height, left=46, top=headroom(title, subtitle, width))
    x = _log_scale([row["temperature"] for row in rows] + ([temperature] if temperature else []), frame.across)
    values = [row[key] for row in rows for key in ("plain", "scaled")]
    y = Scale(min(values) / 1.6, max(values) * 2.2, frame.upward, True)
    traces, labels, paths = [], [], []
    lines = {"times T²": ("scaled", 0, "circle", "●"), "as it is": ("plain", 3, "square-open", "□")}
    for turn, (name, (key, colour, symbol, glyph)) in enumerate(lines.items()):
        spots = [(row["temperature"], row[key]) for row in rows]
        look = {"symbol": symbol, "size": 6, "maxdisplayed": 8}
        traces.append(_line(name, spots, theme.palette[colour], "%{y:.3g}", turn, look))
        text = f'<span style="color:{theme.palette[colour]}">{glyph}</span> {name}'
        labels.append(Label(text, spots[len(spots) // 2 :: -1] + spots[::-1], clear=1))
        paths.append(spots)
    if temperature:
        paths.append([(temperature, y.low), (temperature, y.high)])
        heights = [y.low * (y.high / y.low) ** part for part in (0.05, 0.15, 0.3, 0.5, 0.7, 0.9)]
        labels.append(Label(f"now T = {brief(temperature)}", [(temperature, at) for at in heights]))
    layout = {
        "xaxis": temperature_axis(x, [row["temperature"] for row in rows] if len(rows) <= FEW else ()),
        "yaxis": _powers(y),
        "shapes": [_upright(temperature, theme)] if temperature else [],
        "annotations": notes(place(labels, paths, x, y), x, y, theme),
    }
    return chart(traces, theme, title, subtitle, frame, layout)


def temperature_chart(table: pd.DataFrame, theme: Theme, *, width: int = NARROW, height: int = 340) -> Chart:
    """Accuracy against T with intervals, a line for each α or method, and the student alone as a band.

    ``table`` is a :func:`temperature_table`. A ring marks the best temperature only where its
    interval lies above those of all others on its line; the title says when none does.
    """
    rows = records(table)
    swept = [row for row in rows if not row["alone"]]
    if not swept:
        hint = "Sweep the temperature, and the answer comes with its intervals."
        return empty_chart("Which temperature? None has been tried yet", hint, theme, width, height)
    title, subtitle = titles.temperature_title(rows), _sweep_words(rows)
    frame = Frame(width, height, left=50, top=headroom(title, subtitle, width))
    tested = sorted({row["temperature"] for row in swept})
    x = _log_scale(tested, frame.across)
    low, high = min(row["accuracy_low"] for row in rows), max(row["accuracy_high"] for row in rows)
    room = 0.08 * max(high - low, 0.004)
    y = Scale(max(0.0, low - room), high + 2.5 * room, frame.upward)
    series = {name: _beside(own, turn, x) for turn, (name, own) in enumerate(by_run(swept, "series").items())}
    styles = {name: _series_look(turn) for turn, name in enumerate(series)}
    traces = [_swept(name, own, styles[name], turn, theme) for turn, (name, own) in enumerate(series.items())]
    best, clear = titles.standout([row for own in series.values() for row in own])
    spot = (best["x"], best["accuracy"])
    remarks = [Label(f"<b>T = {brief(best['temperature'])}: {percent(spot[1])}</b>", [spot], leader=True, clear=5)]
    traces += [_ring([spot], None, theme)] if clear else []
    alone = [row for row in rows if row["alone"]][:1]
    texts = (remarks if clear else []) + [_alone_label(row, x) for row in alone]
    names = [_name(name, own, styles[name], theme) for name, own in series.items()] if len(series) > 1 else []
    direct = names if len(series) <= DIRECT else []
    paths = [[(row["x"], row["accuracy"]) for row in own] for own in series.values()]
    paths += [
        [(row["x"], row["accuracy_low"]), (row["x"], row["accuracy_high"])] for own in series.values() for row in own
    ]
    layout: dict[str, Any] = {
        "xaxis": temperature_axis(x, tested),
        "yaxis": {"range": y.range, "tickformat": "~%", "nticks": 7},
        "shapes": [shape for row in alone for shape in _band(row, theme)],
        "annotations": notes(place(texts + direct, paths, x, y), x, y, theme),
    }
    if len(names) > len(direct):
        frame, legend = with_legend(list(series), frame)
        layout |= legend
    return chart(traces, theme, title, subtitle, frame, layout)


def _sweep_words(rows: list[Row]) -> str:
    splits = " and ".join(split_word(split) for split in unique(row["split"] for row in rows))
    images = ", ".join(f"{n:,.0f}" for n in unique(row["n"] for row in rows))
    bars = {"interval": "95 % interval", "sd": f"± sd of {max(row['seeds'] for row in rows)} seeds"}
    spreads = {row["spread"] for row in rows}
    shown = " or ".join(text for key, text in bars.items() if key in spreads)
    band = "; band: the student alone" if any(row["alone"] for row in rows) else ""
    return f"Accuracy on {splits} images of students distilled at T, n = {images}, {shown}{band} · measured"


def _log_scale(values: list[float], length: float) -> Scale:
    low, high = min(values), max(values)
    room = (high / low) ** 0.06 if high > low else 1.5
    return Scale(low / room, high * room, length, True)


def _beside(own: list[Row], turn: int, x: Scale) -> list[Row]:
    """The rows with where they are drawn: each line a little to the right, so that bars stand side by side."""
    step = (x.high / x.low) ** (4 * turn / x.length)
    return [row | {"x": row["temperature"] * step} for row in own]


def _series_look(turn: int) -> Style:
    order = (RUNS["distilled"], *OTHERS)
    look = order[turn % len(order)]
    return look if turn < len(order) else Style(look.colour, f"{look.symbol}-open", OPEN[look.glyph])


def _swept(name: str, own: list[Row], look: Style, turn: int, theme: Theme) -> dict[str, Any]:
    colour = theme.palette[look.colour]
    spots = [(row["x"], row["accuracy"]) for row in own]
    trace = _line(name, spots, colour, "", turn, {"symbol": look.symbol, "size": 7})
    bars = error_bars(own, ("accuracy_low", "accuracy", "accuracy_high"), faded(colour, 0.6), width=3)
    text = [
        f"<b>{name}, T = {brief(row['temperature'])}</b><br>accuracy {percent(row['accuracy'])} "
        f"({interval(row['accuracy_low'], row['accuracy_high'])})" + _seeds(row)
        for row in own
    ]
    return trace | {"error_y": bars, "text": text, "hovertemplate": "%{text}<extra></extra>"}


def _seeds(row: Row) -> str:
    return f"<br>mean ± sd of {row['seeds']} seeds" if row["spread"] == "sd" else ""


def _name(name: str, own: list[Row], look: Style, theme: Theme) -> Label:
    text = f'<span style="color:{theme.palette[look.colour]}">{look.glyph}</span> {name}'
    return Label(text, [(row["x"], row["accuracy"]) for row in own[::-1]], leader=True, clear=1)


def _alone_label(row: Row, x: Scale) -> Label:
    spots = [(x.low * (x.high / x.low) ** part, row["accuracy"]) for part in (0.01, 0.3, 0.6)]
    return Label(f"{LABELS['alone']} {percent(row['accuracy'])}", spots)


def _band(row: Row, theme: Theme) -> list[dict[str, Any]]:
    across = {"xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "layer": "below"}
    ends = {"y0": row["accuracy_low"], "y1": row["accuracy_high"]}
    fill = {"fillcolor": faded(theme.palette[RUNS["alone"].colour], 0.18), "line": {"width": 0}}
    line = {"color": theme.palette[RUNS["alone"].colour], "width": 1.5, "dash": "dot"}
    level = {"y0": row["accuracy"], "y1": row["accuracy"], "line": line}
    return [{"type": "rect", **across, **ends, **fill}, {"type": "line", **across, **level}]


def _line(
    name: str,
    spots: list[tuple[float, float]],
    colour: str,
    number: str,
    turn: int = 0,
    marker: dict[str, Any] | None = None,
    mode: str = "lines+markers",
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": [float(f"{x:.5g}") for x, _ in spots],
        "y": [float(f"{y:.5g}") for _, y in spots],
        "line": {"color": colour, "width": 2, "dash": dash(turn)},
        "marker": {"color": colour} | (marker or {}),
        "hovertemplate": f"T = %{{x:g}}, {name}: {number}<extra></extra>",
    }


def _ring(spots: list[tuple[float, float]], hover: str | None, theme: Theme) -> dict[str, Any]:
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in spots],
        "y": [y for _, y in spots],
        "marker": {"symbol": "circle-open", "size": 15, "color": theme.text, "line": {"width": 2.5}},
        "showlegend": False,
    }
    return trace | ({"hovertemplate": hover} if hover else {"hoverinfo": "skip"})


def _powers(y: Scale) -> dict[str, Any]:
    """A logarithmic axis with powers of ten, and 2 and 5 between where it spans few."""
    span = math.log10(y.high / y.low)
    digits = (1, 2, 5) if span < 2 else (1,)
    stride = max(1, round(span / 6))
    powers = range(math.floor(math.log10(y.low)), math.ceil(math.log10(y.high)) + 1)
    ticks = [digit * 10.0**power for power in powers if power % stride == 0 for digit in digits]
    ticks = [tick for tick in ticks if y.low <= tick <= y.high]
    return {
        "type": "log",
        "range": y.range,
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" if 0.001 <= tick < 10000 else powered(tick) for tick in ticks],
    }


def _upright(at: float, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.text, "width": 1, "dash": "dash"}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": line}
