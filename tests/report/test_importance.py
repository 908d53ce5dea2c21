"""Which settings matter, as bars: what is drawn, what is said, and what is said where nothing varies."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import plotly.io
import pytest

from compression.report import charts
from compression.report.study_tables import importance_table
from compression.report.themes import DARK, LIGHT

ROWS = [
    {"a.1.prune.sparsity": s, "a.1.prune.criterion": c, "a.2.train.epochs": 3, "accuracy": 1 - s + (c == "l2") / 10}
    for s in (0.2, 0.4, 0.6, 0.8)
    for c in ("l2", "magnitude")
]
PART = [{"b.1.prune.round_to": at, "accuracy": 0.5} for at in (1, 8, 8)]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("rows", [ROWS, ROWS + PART, ROWS[:1], []], ids=["all", "part", "one", "none"])
def test_the_chart_is_valid_and_in_words(rows: list[dict[str, Any]], theme: Any) -> None:
    chart = charts.importance_chart(importance_table(rows), theme)
    drawn = chart.figure.to_dict()
    go.Figure(**drawn)
    assert "NaN" not in plotly.io.to_json(drawn, validate=False)
    assert chart.alt == chart.title and len(chart.title.split()) <= 15


def test_bars_are_shares_with_the_number_of_values() -> None:
    table = importance_table(ROWS)
    chart = charts.importance_chart(table, LIGHT)
    (bars,) = chart.figure.data
    shown = table[table["values"] > 1]
    assert bars.x == pytest.approx(shown["share"].round(4)) and bars.orientation == "h"
    assert bars.text == ("92 % · 4 values", "0 % · 2 values")
    assert chart.figure.layout.yaxis.ticktext == ("sparsity", "criterion"), "what was never varied has no bar"
    assert chart.title == "Sparsity explains 92 % of the differences in accuracy"
    assert "ε², corrected for chance" in chart.subtitle and "n = 8 trials" in chart.subtitle


def test_settings_that_only_some_trials_have_say_how_many() -> None:
    chart = charts.importance_chart(importance_table(ROWS + PART), LIGHT, cap=2)
    assert [text.endswith("n = 8 trials") for text in chart.figure.data[0].hovertext] == [True, True]
    assert "n = 3 to 8 trials" in chart.subtitle and "the 2 of 3 that explain most" in chart.subtitle


def test_nothing_is_claimed_of_what_explains_little() -> None:
    same = [row | {"packed_bytes": 5} for row in ROWS]
    chart = charts.importance_chart(importance_table(same, "packed_bytes"), LIGHT, "packed_bytes")
    assert chart.title == "No setting alone explains the differences in packed size"
    assert charts.importance_chart(importance_table(ROWS[:1]), LIGHT).title == "No setting has been varied yet"
