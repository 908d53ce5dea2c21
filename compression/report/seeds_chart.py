"""Several ways of making a model, each with some seeds: every run a dot, their mean a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from compression.registry import UserError
from compression.report.compare import paired, records
from compression.report.drawing import NARROW, Chart, Frame, chart, empty_chart, headroom
from compression.report.labels import breadth
from compression.report.text import capital, escaped, percent, points, shortened, unique
from compression.report.themes import Theme
from compression.results import Measurement

Row = dict[str, Any]
ROW_PX = 36


def seeds_table(runs: Mapping[str, Sequence[Measurement]], of: str | None = None) -> pd.DataFrame:
    """One line a way and seed: way, seed, accuracy, mean (of the way's seeds).

    Args:
        runs: the measurements of each way, seed by seed.
        of: judge by the images of this class alone.

    Raises:
        UserError: no such class.
    """
    body = []
    for way, members in runs.items():
        if of is not None and of not in members[0].class_accuracy:
            raise UserError(f"class is '{of}'; it must be one of: {', '.join(members[0].class_accuracy)}")
        reached = [m.accuracy if of is None else m.class_accuracy[of] for m in members]
        body += [(way, seed, accuracy, fmean(reached)) for seed, accuracy in enumerate(reached)]
    return pd.DataFrame(body, columns=["way", "seed", "accuracy", "mean"])


def advantage(table: pd.DataFrame, better: str, than: str) -> tuple[float, tuple[float, float] | None]:
    """By how much the first way beats the second, the mean over seeds, with its 95 % interval where there is one."""
    first, second = (table[table["way"] == way]["accuracy"].tolist() for way in (better, than))
    found = paired(second, first)
    return (found[0], found[1:]) if found else (first[0] - second[0], None)


def seeds_chart(table: pd.DataFrame, theme: Theme, *, better: str, than: str, what: str, width: int = NARROW) -> Chart:
    """A line of dots for each way of a :func:`seeds_table`; the title compares two of them.

    ``what`` says what the accuracy was measured on.
    """
    rows = records(table)
    if not rows:
        return empty_chart("Nothing has been trained yet", "Run the experiment.", theme, width)
    middle, ends = advantage(table, better, than)
    title = f"{capital(better)} against {than}: {points(middle)}"
    spread = f", 95 % interval {points(ends[0])} to {points(ends[1])}" if ends else ""
    subtitle = f"Accuracy on {what}; a ring a run, the bar ends at their mean{spread} · measured"
    ways = unique(row["way"] for row in rows)
    means = [next(row["mean"] for row in rows if row["way"] == way) for way in ways]
    names = [f"{escaped(shortened(way, 26))} <b>{percent(mean)}</b>" for way, mean in zip(ways, means, strict=True)]
    left = breadth(names) + 16
    top = headroom(title, subtitle, width)
    frame = Frame(width, top + ROW_PX * len(ways) + 34, left=left, right=20, top=top, bottom=28)
    bars = {
        "type": "bar", "orientation": "h", "x": means, "y": list(range(len(ways))), "width": 0.5,
        "marker": {"color": [theme.kept if way == better else theme.zero for way in ways]},
        "hoverinfo": "skip",
    }  # fmt: skip
    dots = {
        "type": "scatter", "mode": "markers", "x": [row["accuracy"] for row in rows],
        "y": [ways.index(row["way"]) for row in rows], "cliponaxis": False,
        "marker": {"symbol": "circle-open", "size": 9, "color": theme.text, "line": {"width": 1.5}},
        "text": [f"seed {row['seed']}: {percent(row['accuracy'])}" for row in rows],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"range": [0, 1.02], "tickformat": "~%", "nticks": 5},
        "yaxis": {"range": [len(ways) - 0.5, -0.5], "tickvals": list(range(len(ways))), "ticktext": names,
                  "showgrid": False, "ticklabelstandoff": 4},
    }  # fmt: skip
    return chart([bars, dots], theme, title, subtitle, frame, layout)
