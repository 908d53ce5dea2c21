"""How teacher, student alone and distilled student look and are called in every chart of distilling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compression.report.labels import Scale
from compression.report.text import brief
from compression.report.themes import DASHES, Style, Theme

RUNS: dict[str, Style] = {
    "teacher": Style(4, "star", "★"),
    "alone": Style(3, "square", "■"),
    "distilled": Style(0, "circle", "●"),
}
OTHERS = (Style(2, "diamond", "◆"), Style(1, "triangle-up", "▲"), Style(5, "triangle-down", "▼"))
LABELS = {"alone": "student alone"}


def looks(runs: Iterable[str]) -> dict[str, Style]:
    """A look for each run: its role's own, or one of the others in turn."""
    chosen: dict[str, Style] = {}
    for run in runs:
        spare = OTHERS[sum(name not in RUNS for name in chosen) % len(OTHERS)]
        chosen.setdefault(run, RUNS.get(run, spare))
    return chosen


def by_run(rows: Iterable[Mapping[str, Any]], key: str = "run") -> dict[str, list[dict[str, Any]]]:
    """The rows of each run, in the order of the table."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(dict(row))
    return groups


def label(run: str) -> str:
    """What the run is called beside its marks."""
    return LABELS.get(run, run)


def marked(run: str, look: Style, theme: Theme, more: str = "") -> str:
    """The run's label after its symbol in its colour, and what else is to be said: "● distilled, ECE 1.2 %"."""
    return f'<span style="color:{theme.palette[look.colour]}">{look.glyph}</span> {label(run)}{more}'


def dash(turn: int) -> str:
    """A dash for the line drawn at this turn."""
    return DASHES[turn % len(DASHES)]


def temperature_axis(x: Scale, tested: Sequence[float] = ()) -> dict[str, Any]:
    """A logarithmic axis of temperatures: ticks at those tested, or at 1, 2, 5 and their tens, none too close."""
    steps = tested or [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]
    ticks: list[float] = []
    for step in sorted(set(steps)):
        if x.low <= step <= x.high and not (ticks and x(step) - x(ticks[-1]) < 18):
            ticks.append(step)
    return {
        "title": {"text": "Temperature T"},
        "type": "log",
        "range": x.range,
        "tickvals": ticks,
        "ticktext": [brief(tick) for tick in ticks],
    }
