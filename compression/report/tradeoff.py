"""The trade-off chart: accuracy against a cost, with intervals, front, baseline and one recommendation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from compression.report import titles
from compression.report.compare import knee, records, standing
from compression.report.drawing import (
    DIRECT,
    WIDE,
    Chart,
    Frame,
    chart,
    empty_chart,
    headroom,
    level_line,
    with_legend,
)
from compression.report.labels import Label, Scale, notes, place
from compression.report.measures import AXES
from compression.report.present import present_label, present_trace
from compression.report.text import amount, unit_of
from compression.report.themes import Theme, symbols
from compression.report.tradeoff_marks import (
    View,
    baseline_trace,
    budget_shapes,
    front_trace,
    key_trace,
    name_label,
    points_trace,
    remark_labels,
    ring_traces,
    visible_paths,
)

Row = dict[str, Any]
FOCUS = 0.2
"""The trade-off opens on the 20 points below the baseline; what lies lower is counted in words."""


def tradeoff_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    present: Mapping[str, float] | None = None,
    budget: float | None = None,
    tolerance: float = titles.TOLERANCE,
    show_knee: bool = False,
    log: bool | None = None,
    floor: float | None = None,
    width: int = WIDE,
    height: int = 440,
) -> Chart:
    """Accuracy against a cost, with intervals, baseline, Pareto line and the recommended point.

    Beaten points are faded, those within noise of the front less so (see ``pareto``). ``present``
    holds x, accuracy, accuracy_low and accuracy_high: where the reader's own settings stand. ``budget``
    is a bound on the cost in its own unit (bytes, MACs, ×): it shades what it rules out, and the
    most accurate point within it is recommended; without one it is the greatest gain within
    ``tolerance``.
    ``log`` None draws a logarithmic axis when costs span more than eight times. ``floor`` is the
    lowest accuracy first shown; the subtitle counts what lies below, and zooming out shows it.
    """
    everything = records(table)
    rows = _marked([row for row in everything if row["x"] == row["x"]])
    best = _recommended(rows, tolerance, budget)
    title = titles.tradeoff_title(everything, tolerance) if budget is None else titles.budget_title(rows, best, budget)
    if not rows:
        hint = "Measure the latency of these models first." if len(table) else "Run a sweep to fill this chart."
        return empty_chart(titles.tradeoff_title(everything), hint, theme, width, height)
    least = _floor(rows, floor)
    subtitle = titles.tradeoff_subtitle(everything, least)
    frame = Frame(width, height, top=headroom(title, subtitle, width))
    here = [{**present, "x_low": present["x"], "x_high": present["x"]}] if present else []
    view = _view(rows, here, log, least, frame)
    turn = knee(rows, view.x.log) if show_knee else None
    series = titles.by_series(rows)
    keyed = len(series) > DIRECT
    traces, labels = _series(series, keyed, view, theme)
    traces += [front_trace(rows, view, theme), baseline_trace(rows, view, theme)]
    traces += ring_traces([best, turn], view, theme)
    traces += [present_trace(view.at(row)[0], row, amount(row["x"], view.axis.scale), theme) for row in here]
    remarks = [present_label(view.at(row)[0], row) for row in here] + remark_labels(rows, best, turn, view)
    placed = place(remarks + labels, visible_paths(rows, view), view.x, view.y)
    layout = _axes(view) | {"annotations": notes(placed, view.x, view.y, theme)}
    layout["shapes"] = budget_shapes(view, budget, theme)
    layout["shapes"] += [level_line(row["accuracy"], theme) for row in rows if row["baseline"]]
    frame, legend = with_legend(list(series), frame) if keyed else (frame, {})
    return chart(traces, theme, title, subtitle, frame, layout | legend)


def _series(
    series: dict[str, list[Row]], keyed: bool, view: View, theme: Theme
) -> tuple[list[dict[str, Any]], list[Label]]:
    """The points of every series, and their names: as labels, or as entries of a legend."""
    looks = symbols(series)
    traces = [points_trace(name, own, looks[name], view, theme) for name, own in series.items()]
    if keyed:
        return traces + [key_trace(name, own, looks[name], theme) for name, own in series.items()], []
    return traces, [name_label(name, own, looks[name], view, theme) for name, own in series.items()]


def _recommended(rows: list[Row], tolerance: float, budget: float | None) -> Row | None:
    return titles.best_point(rows, tolerance) if budget is None else titles.best_within(rows, budget)


def _floor(rows: list[Row], floor: float | None) -> float:
    lowest = min(row["accuracy_low"] for row in rows)
    if floor is not None:
        return floor
    start = max((row["accuracy"] for row in rows if row["baseline"]), default=max(r["accuracy"] for r in rows))
    return lowest if lowest >= start - FOCUS else int((start - FOCUS) * 20) / 20


def _view(rows: list[Row], here: list[Row], log: bool | None, least: float, frame: Frame) -> View:
    axis = AXES[rows[0]["axis"]]
    shown = ([row for row in rows if row["accuracy"] >= least] or rows) + here
    least = min([least, *(row["accuracy_low"] for row in here)])
    low, high = min(row["x_low"] for row in shown), max(row["x_high"] for row in shown)
    divisor, unit = unit_of(high, axis.scale)
    low, high = low / divisor, high / divisor
    if low > 0 and (high / low > 8 if log is None else log):
        x = Scale(low / 1.2, high * 1.2, frame.across, True)
    else:
        room = 0.06 * (high - low or high or 1)
        x = Scale(max(0.0, low - room), high + room, frame.across)
    top = max(row["accuracy_high"] for row in shown)
    room = 0.04 * max(top - least, 0.01)
    y = Scale(least - (0 if least < min(r["accuracy_low"] for r in shown) else room), top + 2 * room, frame.upward)
    return View(axis, divisor, unit, x, y)


def _axes(view: View) -> dict[str, Any]:
    name = f"{view.axis.label} ({view.unit})" if view.unit else view.axis.label
    better = "right" if view.axis.more_is_better else "left"
    ticks = {"type": "log", "dtick": "D2"} if view.x.log else {"nticks": 7}
    return {
        "xaxis": {
            "title": {"text": f"{name} · {better} is better"},
            "range": view.x.range,
            "tickformat": "~g",
            **ticks,
        },
        "yaxis": {"range": view.y.range, "tickformat": "~%"},
        "dragmode": "zoom",
    }


def _marked(rows: list[Row]) -> list[Row]:
    front, near = standing(rows)
    return [row | {"front": f, "near": n} for row, f, n in zip(rows, front, near, strict=True)]
