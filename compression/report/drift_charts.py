"""Pruning over time: the schedule's steps, and how a penalty draws weights towards zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pandas as pd

from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, empty_chart, headroom
from compression.report.text import brief, percent, share, unique
from compression.report.themes import Theme
from compression.results import Drift

Row = dict[str, Any]
DRAWN = {"l1": "weights", "l2": "weights", "group_lasso": "units", "batchnorm_l1": "BatchNorm scales"}
"""What a penalty acts on."""


LITTLE = 0.0005
"""A gain that no title tells, since it would be written as none."""


def schedule_chart(steps: Sequence[tuple[float, float]], theme: Theme, *, width: int = 280, height: int = 200) -> Chart:
    """Sparsity against the progress of the training: ``steps`` are moments with the sparsity from there on."""
    if not steps:
        return empty_chart("No schedule", "Choose one.", theme, width, height)
    times = [0.0, *[moment for moment, _ in steps], 1.0]
    heights = [0.0, *[sparsity for _, sparsity in steps], steps[-1][1]]
    number = len(steps)
    title = f"Sparsity ends at {share(heights[-1])} after {number} step{'s' if number > 1 else ''}"
    frame = Frame(width, height, left=48, top=headroom(title, "", width))
    trace = {
        "type": "scatter", "mode": "lines", "x": [100 * t for t in times], "y": heights,
        "line": {"shape": "hv", "color": theme.kept, "width": 2}, "fill": "tozeroy",
        "hovertemplate": "from %{x:.0f} % of the training on: %{y:.1%}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "of the training, %"}, "range": [0, 100], "nticks": 5},
        "yaxis": {"range": [0, 1.05], "tickformat": ".0%", "nticks": 5},
    }
    return chart([trace], theme, title, "", frame, layout)


def drift_table(drift: Sequence[Drift]) -> pd.DataFrame:
    """One line an epoch and bin: the bin's middle, its count, and after which epoch."""
    rows = []
    for entry in drift:
        step = entry.reach / len(entry.counts)
        rows += [
            {"epoch": entry.epoch, "size": (i + 0.5) * step, "step": step, "count": number}
            for i, number in enumerate(entry.counts)
        ]
    return pd.DataFrame(rows)


def free_table(drift: Sequence[Drift]) -> pd.DataFrame:
    """Before and after the training: which fraction lies below each threshold."""
    ends = (("before", drift[0]), ("after", drift[-1])) if drift else ()
    return pd.DataFrame(
        [{"run": run, "threshold": t, "below": below} for run, entry in ends for t, below in entry.below]
    )


def drift_chart(
    table: pd.DataFrame, theme: Theme, *, penalty: str, bars: int | None = None, width: int = WIDE, height: int = 380
) -> Chart:
    """How large what the penalty draws is: a histogram that plays through the epochs of a :func:`drift_table`.

    The title counts what lies in the first ``bars``; None takes as many as have won most.
    """
    rows = records(table)
    if not rows:
        return empty_chart("No penalty has drawn anything yet", "Run a sparsify stage.", theme, width, 200)
    epochs = sorted({row["epoch"] for row in rows})
    by = {epoch: [row for row in rows if row["epoch"] == epoch] for epoch in epochs}
    what, first, last = DRAWN[penalty], by[epochs[0]], by[epochs[-1]]
    total = sum(row["count"] for row in first)
    was, now = (list(accumulate(row["count"] / total for row in run)) for run in (first, last))
    told = bars - 1 if bars else max(range(len(now)), key=lambda i: round(now[i] - was[i], 6))
    plural = "s" if epochs[-1] > 1 else ""
    title = (
        f"After {epochs[-1]} epoch{plural} {percent(now[told])} of the {what} are smaller than "
        f"{brief((told + 1) * first[0]['step'])}; before, {percent(was[told])}"
    )
    subtitle = f"Size of {total:,} {what}, after the epoch that the slider names · counted, log scale"
    frame = Frame(width, height, left=60, top=headroom(title, subtitle, width), bottom=110)
    trace = {
        "type": "bar", "x": [row["size"] for row in last], "y": [row["count"] for row in last],
        "width": first[0]["step"], "marker": {"color": theme.kept},
        "hovertemplate": "%{x:.3g}: %{y:,}<extra></extra>",
    }  # fmt: skip
    most = max(row["count"] for row in rows)
    layout = {
        "xaxis": {"title": {"text": f"size of {what}"}, "range": [0, first[-1]["size"]]},
        "yaxis": {"type": "log", "range": [-0.3, math.log10(most) + 0.2], "dtick": 1},
        "sliders": [_slider(epochs, theme)],
        "updatemenus": [_play(theme)],
    }
    drawn = chart([trace], theme, title, subtitle, frame, layout)
    drawn.figure.frames = [
        {"name": str(epoch), "data": [{"type": "bar", "y": [row["count"] for row in by[epoch]]}]} for epoch in epochs
    ]
    return drawn


def free_chart(
    table: pd.DataFrame,
    theme: Theme,
    *,
    penalty: str,
    threshold: float | None = None,
    width: int = 280,
    height: int = 300,
) -> Chart:
    """Which sparsity a threshold gives for free, before and after the training.

    ``table`` is a :func:`free_table`. The title tells of one of its thresholds; None takes the one that won most.
    """
    rows = records(table)
    if not rows:
        return empty_chart("No penalty has drawn anything yet", "Run a sparsify stage.", theme, width, 200)
    at = {(row["run"], row["threshold"]): row["below"] for row in rows}
    tried = unique(row["threshold"] for row in rows)
    probe = threshold or max(tried, key=lambda t: at["after", t] - at["before", t])
    title = (
        f"A threshold of {brief(probe)} now takes {percent(at['after', probe])} of the {DRAWN[penalty]}, "
        f"before {percent(at['before', probe])}"
    )
    if threshold is None and at["after", probe] - at["before", probe] < LITTLE:
        title = f"No threshold takes more of the {DRAWN[penalty]} than before"
    subtitle = f"Share of the {DRAWN[penalty]} below each threshold · counted"
    frame = Frame(width, height, left=52, right=44, top=headroom(title, subtitle, width))
    traces = []
    for run, colour, dash in (("before", theme.baseline, "dot"), ("after", theme.kept, "solid")):
        own = [row for row in rows if row["run"] == run]
        traces.append({
            "type": "scatter", "mode": "lines+markers+text", "name": run, "x": [row["threshold"] for row in own],
            "y": [row["below"] for row in own], "line": {"color": colour, "dash": dash},
            "text": [run if row["threshold"] == probe else "" for row in own],
            "textposition": "top left" if run == "after" else "bottom right",
            "hovertemplate": f"{run}: %{{y:.1%}} below %{{x:.3g}}<extra></extra>",
        })  # fmt: skip
    layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "threshold"},
            "tickvals": tried[::2],
            "ticktext": [f"{t:g}" for t in tried[::2]],
        },  # fmt: skip
        "yaxis": {"range": [0, 1.18], "tickformat": ".0%", "nticks": 5},
    }
    return chart(traces, theme, title, subtitle, frame, layout)


def _play(theme: Theme) -> Row:
    """A button that plays all epochs from the first."""
    how = {"mode": "immediate", "fromcurrent": False, "frame": {"duration": 500, "redraw": True}}
    return {
        "type": "buttons", "showactive": False, "x": 0, "xanchor": "left", "y": -0.32, "yanchor": "top",
        "font": {"size": 12, "color": theme.text}, "bgcolor": theme.page, "bordercolor": theme.muted,
        "buttons": [{"label": "Play", "method": "animate", "args": [None, how]}],
    }  # fmt: skip


def _slider(epochs: Sequence[int], theme: Theme) -> Row:
    """One stop an epoch; it opens at the last."""
    steps = [
        {"label": str(epoch), "method": "animate",
         "args": [[str(epoch)], {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}]}
        for epoch in epochs
    ]  # fmt: skip
    return {
        "active": len(epochs) - 1, "steps": steps,
        "x": 0.12, "len": 0.88, "y": -0.2, "yanchor": "top", "pad": {"t": 20},
        "currentvalue": {"prefix": "after epoch ", "font": {"size": 12, "color": theme.text}},
        "font": {"size": 11, "color": theme.muted}, "bgcolor": theme.grid, "bordercolor": theme.muted,
    }  # fmt: skip
