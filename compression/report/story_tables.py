"""The numbers of a story as tables: for the page and the documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from compression.report.compare import records
from compression.report.measures import AXES, MEASURES
from compression.report.savings import ASSUMED, DAYS, Saving, source_of
from compression.report.story import Evidence, Point, Story
from compression.report.story_words import amount_of
from compression.report.tables import class_table
from compression.report.text import MINUS, amount, interval, money, percent, printable, quantity
from compression.report.titles import split_word
from compression.results import wilson

BARS = ("params", "file_bytes", "packed_bytes", "macs", "latency_ms", "energy_mj")
"""Of which costs bars are drawn before and after, wherever they are drawn, as far as they are known."""
COSTS = (*BARS, "memory_bytes")
"""What is told before and after, where it is known."""
Row = dict[str, Any]
Cells = list[list[str]]
Ends = tuple[float, float | None, float | None]
"""A number and the ends of its interval, where it has one."""


def _baseline(story: Story, key: str) -> Any:
    """A cost of the baseline, whose latency was taken beside that of the point."""
    return story.points[0].row.get("baseline_latency_ms") if key == "latency_ms" else story.start.get(key)


def costs_of(story: Story) -> list[str]:
    """The costs that are known of the baseline and of every point, each of which has a latency to itself."""
    rows = [point.row for point in story.points]
    keys = [key for key in COSTS if key != "latency_ms" or len(rows) == 1]
    return [key for key in keys if all(_known(one) for one in (_baseline(story, key), *(row.get(key) for row in rows)))]


def bars_of(story: Story) -> list[str]:
    """The costs that have bars."""
    return [key for key in costs_of(story) if key in BARS]


def _known(value: Any) -> bool:
    return value is not None and value == value


def before_after(story: Story) -> pd.DataFrame:
    """Accuracies and costs before and after: a line a measure; "baseline low", "A high" are ends of intervals."""
    points, lines = story.points, []
    if unseen := all(point.evidence for point in points):
        change = points[0].change
        asked = [(p, *_asked(p.change.after, p.change.n)) for p in points]
        lines.append(_accuracies(change.split, _asked(change.before, change.n), asked))
    if not unseen or points[0].change.split != story.studied.split:
        own = [(p, *_measured(p.row, "accuracy")) for p in points]
        lines.append(_accuracies(story.studied.split, _measured(story.start, "accuracy"), own))
    for key in costs_of(story):
        values = [(p, p.row[key], None, None) for p in points]
        lines.append(_line(key, AXES[key].scale, AXES[key].origin, (_baseline(story, key), None, None), values))
    if all(_known(p.row.get("speedup")) for p in points):
        fast = [(p, *_measured(p.row, "speedup")) for p in points]
        lines.append(_line("speedup", "times", "measured", (1.0, None, None), fast))
    return pd.DataFrame(lines)


def _asked(share: float, n: int) -> Ends:
    """A share of right answers, with the ends of its interval."""
    return share, *wilson(round(share * n), n)


def _measured(row: Mapping[str, Any], key: str) -> Ends:
    return row[key], row[f"{key}_low"], row[f"{key}_high"]


def _accuracies(split: str, before: Ends, values: Sequence[Any]) -> Row:
    return _line(f"accuracy, {split_word(split)} images", "fraction", "measured", before, values)


def _line(measure: str, scale: str, origin: str, before: Ends, values: Sequence[Any]) -> Row:
    line: Row = {"measure": measure, "scale": scale, "how": origin}
    for name, *ends in (("baseline", *before), *((point.letter, *ends) for point, *ends in values)):
        line |= dict(zip((name, f"{name} low", f"{name} high"), ends, strict=True))
    return line


def before_after_cells(story: Story) -> Cells:
    """The table in words, its head first; a point's column is named by its letter where there are several."""
    several = len(story.points) > 1
    names = [point.letter if several else "after" for point in story.points]
    cells = [["", "before", *names, "how"]]
    for line in records(before_after(story)):
        told = [_told(line, point.letter) for point in story.points]
        cells.append([_label(line["measure"]), _told(line, "baseline"), *told, line["how"]])
    return cells


def _label(measure: str) -> str:
    return MEASURES[measure].label if measure in MEASURES else measure[:1].upper() + measure[1:]


def _value(value: float, scale: Any) -> str:
    return percent(value) if scale == "fraction" else amount(value, scale)


def _told(line: Row, name: str) -> str:
    value, low, high = (line[one] for one in (name, f"{name} low", f"{name} high"))
    shown = _value(value, line["scale"])
    if not _known(low):
        return shown
    return f"{shown} ({interval(low, high)})" if line["scale"] == "fraction" else f"{shown} ({low:.2f} to {high:.2f})"


def left_table(story: Story) -> pd.DataFrame:
    """What each point has left of every cost: key, label, and a fraction of the baseline for each letter."""
    body = [
        {"key": key, "label": MEASURES[key].label}
        | {point.letter: point.row[key] / _baseline(story, key) for point in story.points}
        for key in bars_of(story)
    ]
    return pd.DataFrame(body)


def classes_of(seen: Evidence) -> pd.DataFrame:
    """Accuracy of every class before and after; see ``class_table``."""
    before, after = ({printable(one.name): getattr(one, name) for one in seen.classes} for name in ("before", "after"))
    return class_table(before, after)


def savings_cells(story: Story, point: Point) -> Cells:
    """What a year takes before and after at the stated traffic, and what is saved, with its ends where it has some."""
    requests = story.assumed.requests_per_day * DAYS
    cells = [["a year", "before", "after", "saved"]]
    for one in point.savings.values():
        low, high = (_signed(end * requests, one) for end in (one.low, one.high))
        ends = f" ({low} to {high})" if low != high else ""
        words = {"hours": "Machine time", "money": "Price", "energy": "Energy", "co2": "CO₂"}[one.key]
        sure = f"{MINUS if one.saved < 0 else ''}{amount_of(abs(one.saved) * requests, one)}"
        saved = f"{sure if one.clear else 'nothing beyond noise' if one.low < one.high else 'nothing'}{ends}"
        cells.append([words, amount_of(one.before * requests, one), amount_of(one.after * requests, one), saved])
    return cells


def _signed(value: float, one: Saving) -> str:
    """An end of an interval, whose unit stands before it; money below a cent is none."""
    if one.key == "money":
        return money(value if abs(value) >= 0.01 else 0.0, one.unit)
    return quantity(value).replace("-", MINUS)


def assumption_cells(story: Story) -> Cells:
    """Every assumption with its unit and its source; what was changed is the presenter's."""
    cells = [["assumption", "value", "source"]]
    for name, about in ASSUMED.items():
        value, source = getattr(story.assumed, name), source_of(name, story.assumed)
        if name == "energy_mj" and value is None:
            value = story.start.get("energy_mj")
            source = f"{source}, {story.start.get('energy_source', 'not measured')}"
        cells.append([about.label, "–" if value is None else _assumed(story, name, value), source])
    return cells


def _assumed(story: Story, name: str, value: float) -> str:
    """An assumption is written whole: a price that is no whole number of cents keeps its digits."""
    told = quantity(value)
    if name == "price_per_hour":
        currency = story.assumed.currency
        told = money(value, currency) if value == round(value, 2) else f"{currency}{told}"
    return f"{told} {ASSUMED[name].unit}"
