"""Where the reader's own settings stand in a chart of accuracies: a ring with its interval and its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compression.report.drawing import error_bars
from compression.report.labels import Label
from compression.report.text import percent
from compression.report.themes import Theme


def present_trace(x: float, present: Mapping[str, float], where: str, theme: Theme) -> dict[str, Any]:
    """The ring; ``present`` holds accuracy, and may hold accuracy_low and accuracy_high; ``where`` says what x is."""
    middle = present["accuracy"]
    ends = {"low": present.get("accuracy_low", middle), "middle": middle, "high": present.get("accuracy_high", middle)}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "now",
        "showlegend": False,
        "x": [x],
        "y": [middle],
        "marker": {"symbol": "circle-open", "size": 15, "color": theme.text, "line": {"width": 3}},
        "error_y": error_bars([ends], ("low", "middle", "high"), theme.text, width=4),
        "text": [f"<b>now</b>, {where}<br>accuracy {percent(middle)}"],
        "hovertemplate": "%{text}<extra></extra>",
    }


def present_label(x: float, present: Mapping[str, float]) -> Label:
    """Its name: "now 97.2 %"."""
    return Label(f"<b>now {percent(present['accuracy'])}</b>", [(x, present["accuracy"])], leader=True, clear=5)
