"""Which settings matter: how much of a metric's differences each one explains alone, as bars."""

from __future__ import annotations

from typing import Any

import pandas as pd

from compression.report.compare import records
from compression.report.drawing import WIDE, Chart, Frame, chart, empty_chart, headroom
from compression.report.labels import LABEL_PX, breadth
from compression.report.measures import short
from compression.report.setting_words import short_names, steps
from compression.report.text import capital, escaped, shortened
from compression.report.themes import Theme

Row = dict[str, Any]
ROW_PX, CAP = 24, 12
LITTLE = 0.05
"""Of all differences: no title claims that less than this is explained."""


def importance_chart(
    table: pd.DataFrame, theme: Theme, metric: str = "accuracy", *, width: int = WIDE, cap: int = CAP
) -> Chart:
    """A bar for each setting: the share of the metric's variance that it explains alone.

    Args:
        table: an ``importance_table``.
        theme: the colours.
        metric: what the table is about.
        width: the least width that it must look right at.
        cap: the most bars; settings that explain least are left out.
    """
    varied = [row for row in records(table) if row["values"] > 1]
    names = {
        key: shortened(words, 26 if width >= WIDE else 14)
        for key, words in short_names(row["setting"] for row in varied).items()
    }
    title = importance_title(varied, metric)
    if not varied:
        return empty_chart(title, "Run a study that leaves settings open.", theme, width)
    rows = varied[:cap]
    subtitle = _subtitle(varied, cap)
    left = breadth(names[row["setting"]] for row in rows) + 14
    top = headroom(title, subtitle, width)
    frame = Frame(width, top + ROW_PX * len(rows) + 34, left=left, right=10, top=top, bottom=28)
    told = [f"{row['share']:.0%} · {row['values']:,} values".replace("%", " %") for row in rows]
    beside = breadth(told) + 8
    top_share = max(max(row["share"] for row in rows), 0.01)
    most = top_share / max(0.2, 1 - beside / frame.across)
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(row["share"], 4) for row in rows],
        "y": list(range(len(rows))),
        "marker": {"color": theme.kept},
        "text": told,
        "textposition": "outside",
        "textfont": {"size": LABEL_PX, "color": theme.text},
        "cliponaxis": False,
        "hovertext": [f"{row['setting']}</b>, n = {row['n']:,} trials" for row in rows],
        "hovertemplate": "<b>%{hovertext}<br>%{text}<extra></extra>",
    }
    axes = {
        "xaxis": {"range": [0, most], "tickformat": "~%", "tickvals": steps(0.0, top_share, 2), "tickangle": 0},
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [escaped(names[row["setting"]]) for row in rows],
            "showgrid": False,
            "ticklabelstandoff": 4,
        },
    }
    return chart([bars], theme, title, subtitle, frame, {"bargap": 0.35, **axes})


def importance_title(rows: list[Row], metric: str) -> str:
    """What explains most: "Sparsity explains 82 % of the differences in accuracy"."""
    if not rows:
        return "No setting has been varied yet"
    first = rows[0]
    if first["share"] < LITTLE:
        return f"No setting alone explains the differences in {short(metric)}"
    name = capital(short_names(row["setting"] for row in rows)[first["setting"]])
    return f"{name} explains {first['share']:.0%} of the differences in {short(metric)}".replace("%", " %")


def _subtitle(rows: list[Row], cap: int) -> str:
    sizes = sorted({row["n"] for row in rows})
    n = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    shown = f" · the {cap} of {len(rows)} that explain most" if len(rows) > cap else ""
    return (
        "Share of the variance that each setting explains alone (ε², corrected for chance) · "
        f"n = {n} trials · shares need not add up to 100 %{shown}"
    )
