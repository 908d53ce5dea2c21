"""The numbers of a story as tables: for the page, the documents, and a CSV in whatever decimal mark is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from compression.registry import pick
from compression.report.compare import records
from compression.report.measures import AXES, MEASURES
from compression.report.savings import ASSUMED, DAYS, source_of
from compression.report.story import Evidence, Point, Story
from compression.report.story_words import amount_of, earned
from compression.report.tables import class_table
from compression.report.text import MINUS, amount, interval, percent, printable, quantity
from compression.report.titles import split_word
from compression.results import wilson

COSTS = ("packed_bytes", "file_bytes", "params", "macs", "memory_bytes", "latency_ms", "energy_mj")
"""What is told before and after, where it is known."""
MARKS = {".": ",", ",": ";"}
"""Decimal marks of a CSV, each with what then parts its cells."""
Row = dict[str, Any]
Cells = list[list[str]]


def _baseline(story: Story, key: str) -> Any:
    """A cost of the baseline, whose latency was taken beside that of the point."""
    return story.points[0].row.get("baseline_latency_ms") if key == "latency_ms" else story.start.get(key)


def costs_of(story: Story) -> list[str]:
    """The costs that are known of the baseline and of every point, each of which has a latency to itself."""
    rows = [point.row for point in story.points]
    keys = [key for key in COSTS if key != "latency_ms" or len(rows) == 1]
    return [key for key in keys if all(_known(one) for one in (_baseline(story, key), *(row.get(key) for row in rows)))]


def _known(value: Any) -> bool:
    return value is not None and value == value


def before_after(story: Story) -> pd.DataFrame:
    """Accuracies and costs before and after: a line a measure, with numbers; "A low" and "A high" are ends."""
    points, lines = story.points, []
    if unseen := all(point.evidence for point in points):
        change = points[0].change
        asked = [(p, p.change.after, *wilson(round(p.change.after * p.change.n), p.change.n)) for p in points]
        lines.append(_accuracies(change.split, change.before, asked))
    if not unseen or points[0].change.split != story.studied.split:
        own = [(p, p.row["accuracy"], p.row["accuracy_low"], p.row["accuracy_high"]) for p in points]
        lines.append(_accuracies(story.studied.split, story.start["accuracy"], own))
    for key in costs_of(story):
        values = [(p, p.row[key], None, None) for p in points]
        lines.append(_line(key, AXES[key].scale, AXES[key].origin, _baseline(story, key), values))
    if all(_known(p.row.get("speedup")) for p in points):
        fast = [(p, p.row["speedup"], p.row["speedup_low"], p.row["speedup_high"]) for p in points]
        lines.append(_line("speedup", "times", "measured", 1.0, fast))
    return pd.DataFrame(lines)


def _accuracies(split: str, before: float, values: Sequence[Any]) -> Row:
    return _line(f"accuracy, {split_word(split)} images", "fraction", "measured", before, values)


def _line(measure: str, scale: str, origin: str, baseline: float, values: Sequence[Any]) -> Row:
    line: Row = {"measure": measure, "scale": scale, "how": origin, "baseline": baseline}
    for point, value, low, high in values:
        line |= {point.letter: value, f"{point.letter} low": low, f"{point.letter} high": high}
    return line


def before_after_cells(story: Story) -> Cells:
    """The table in words, its head first; a point's column is named by its letter where there are several."""
    several = len(story.points) > 1
    names = [point.letter if several else "after" for point in story.points]
    cells = [["", "before", *names, "how"]]
    for line in records(before_after(story)):
        told = [_told(line, point.letter) for point in story.points]
        cells.append([_label(line["measure"]), _value(line["baseline"], line["scale"]), *told, line["how"]])
    return cells


def _label(measure: str) -> str:
    return MEASURES[measure].label if measure in MEASURES else measure[:1].upper() + measure[1:]


def _value(value: float, scale: Any) -> str:
    return percent(value) if scale == "fraction" else amount(value, scale)


def _told(line: Row, letter: str) -> str:
    value, low, high = (line[name] for name in (letter, f"{letter} low", f"{letter} high"))
    shown = _value(value, line["scale"])
    if not _known(low):
        return shown
    return f"{shown} ({interval(low, high)})" if line["scale"] == "fraction" else f"{shown} ({low:.2f} to {high:.2f})"


def left_table(story: Story) -> pd.DataFrame:
    """What each point has left of every cost: key, label, and a fraction of the baseline for each letter."""
    body = [
        {"key": key, "label": MEASURES[key].label}
        | {point.letter: point.row[key] / _baseline(story, key) for point in story.points}
        for key in costs_of(story)
        if key not in ("params", "memory_bytes")
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
        ends = f" ({_signed(one.low * requests)} to {_signed(one.high * requests)})" if one.low < one.high else ""
        words = {"hours": "Machine time", "money": "Price", "energy": "Energy", "co2": "CO₂"}[one.key]
        sure = f"{MINUS if one.saved < 0 else ''}{amount_of(abs(one.saved) * requests, one)}"
        saved = f"{sure if one.clear else 'nothing beyond noise' if ends else 'nothing'}{ends}"
        cells.append([words, amount_of(one.before * requests, one), amount_of(one.after * requests, one), saved])
    return cells


def _signed(value: float) -> str:
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
    money = story.assumed.currency if name == "price_per_hour" else ""
    return f"{money}{quantity(value)} {ASSUMED[name].unit}"


def numbers(story: Story) -> pd.DataFrame:
    """Every number of the story in its own unit, a line each: what the CSV has."""
    body = [{**line, "unit": _unit(line["scale"])} for line in records(before_after(story))]
    requests = story.assumed.requests_per_day * DAYS
    for name in ASSUMED:
        value = getattr(story.assumed, name)
        body.append({"measure": name, "unit": ASSUMED[name].unit, "how": "assumed", "baseline": value})
    for key in ("hours", "money", "energy", "co2"):
        body += _saved_lines(story, key, requests)
    body.append({"measure": "search", "unit": "s", "how": "measured", "baseline": story.studied.seconds})
    body += _pays(story)
    names = [f"{p.letter}{end}" for p in story.points for end in ("", " low", " high")]
    return pd.DataFrame(body, columns=["measure", "unit", "baseline", *names, "how"])


def _unit(scale: str) -> str:
    return {"count": "", "times": "", "fraction": "", "mj": "mJ"}.get(scale, scale)


def _saved_lines(story: Story, key: str, requests: float) -> list[Row]:
    """Of a year: what it takes before and after, and what is saved."""
    known = [(p, p.savings[key]) for p in story.points if key in p.savings]
    if not known:
        return []
    first = known[0][1]
    after: Row = {"measure": f"{key} a year", "unit": first.unit, "how": "estimated"}
    saved = after | {"measure": f"{key} saved a year"}
    after["baseline"] = first.before * requests
    for point, one in known:
        after[point.letter] = one.after * requests
        saved |= {point.letter: one.saved * requests, f"{point.letter} low": one.low * requests}
        saved[f"{point.letter} high"] = one.high * requests
    return [after, saved]


def _pays(story: Story) -> list[Row]:
    found: dict[str, Row] = {}
    for point in story.points:
        for one in earned(story, point):
            line = {"measure": f"requests until the search is paid for in {one.key}", "unit": "", "how": "estimated"}
            found.setdefault(one.key, line)[point.letter] = one.requests
    return list(found.values())


def csv(story: Story, mark: str = ".") -> bytes:
    """The numbers as CSV with a decimal mark of "." or ","; after a comma cells are parted by semicolons."""
    part = pick(MARKS, mark, "decimal mark")
    text = numbers(story).to_csv(index=False, sep=part, decimal=mark, lineterminator="\n")
    return text.encode("utf-8-sig")  # by which spreadsheets know its letters
