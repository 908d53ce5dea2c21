"""What recalibration alone gives back after a pruning: the baseline, the pruned model, and the healed one as bars."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from compression.report.compare import records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, error_bars, headroom
from compression.report.text import interval, percent, points
from compression.report.themes import Theme
from compression.results import Measurement

NAMES = ("accuracy_low", "accuracy", "accuracy_high")


def recovery_table(measured: Mapping[str, Measurement]) -> pd.DataFrame:
    """One line a model, in the order given: its name and its accuracy with the interval."""
    return pd.DataFrame([{"model": name, **{key: getattr(m, key) for key in NAMES}} for name, m in measured.items()])


def recovery_chart(table: pd.DataFrame, theme: Theme, *, n: int, width: int = NARROW, height: int = 240) -> Chart:
    """A bar for each model of a :func:`recovery_table`: the first is the baseline, the last the healed one."""
    rows = records(table)
    if len(rows) < 2:
        return empty_chart("Nothing has been recalibrated", "Switch a recalibration on.", theme, width, height)
    lost, gained = (rows[i]["accuracy"] - rows[j]["accuracy"] for i, j in ((1, 0), (-1, 1)))
    title = f"Recalibration alone: {points(gained)}, after pruning cost {points(lost)}"
    subtitle = f"Accuracy on {n:,} validation images, 95 % intervals, nothing trained · measured"
    frame = Frame(width, height, left=92, right=56, top=headroom(title, subtitle, width), bottom=24)
    colours = [theme.baseline, theme.pruned, *[theme.kept] * (len(rows) - 2)]
    trace = {
        "type": "bar", "orientation": "h", "y": [row["model"] for row in rows], "x": [row["accuracy"] for row in rows],
        "text": [percent(row["accuracy"]) for row in rows], "textposition": "outside", "cliponaxis": False,
        "textfont": {"size": 12, "color": theme.text}, "marker": {"color": colours}, "width": 0.55,
        "error_x": error_bars(rows, NAMES, theme.text),
        "customdata": [interval(row["accuracy_low"], row["accuracy_high"]) for row in rows],
        "hovertemplate": "%{y}: %{text}, 95 %: %{customdata}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"range": [0, 1.02], "tickformat": ".0%", "nticks": 4},
        "yaxis": {"autorange": "reversed", "showgrid": False},
    }
    return chart([trace], theme, title, subtitle, frame, layout)
