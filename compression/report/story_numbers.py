"""Every number of a story in its own unit, a line each, and as a CSV in whatever decimal mark is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from compression.registry import pick
from compression.report.compare import records
from compression.report.cover import Cover
from compression.report.savings import ASSUMED, DAYS
from compression.report.story import Story
from compression.report.story_tables import before_after
from compression.report.story_words import earned, title
from compression.report.text import printable
from compression.report.titles import split_word

MARKS = {".": ",", ",": ";"}
"""Decimal marks of a CSV, each with what then parts its cells."""
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
Row = dict[str, Any]


def numbers(story: Story, cover: Cover) -> pd.DataFrame:
    """Every number of the story, a line each; ``note`` has what is a word: title, study, points, classes."""
    lines = [
        {"measure": "title", "note": title(story, cover)},
        {"measure": "study", "note": story.studied.name},
        *_merged(
            {"measure": "trial", p.letter: p.row["trial"], "note": f"{p.letter}: {p.label}"} for p in story.points
        ),
        *({**line, "unit": _unit(line["scale"])} for line in records(before_after(story))),
        *_merged(_changes(story)),
        *_merged(_classes(story)),
        *_assumptions(story),
        *_merged(_savings(story)),
        {"measure": "search", "unit": "s", "how": "measured", "baseline": story.studied.seconds},
        *_merged(_pays(story)),
    ]
    whose = ("baseline", *(point.letter for point in story.points))
    names = [f"{one}{end}" for one in whose for end in ("", " low", " high")]
    table = pd.DataFrame(lines, columns=["measure", "unit", *names, "how", "note"])
    return table.assign(unit=table["unit"].map(_inert), note=table["note"].map(_inert))


def _inert(words: Any) -> Any:
    """Words that no spreadsheet takes for a formula."""
    return f"'{words}" if isinstance(words, str) and words.startswith(FORMULA) else words


def _merged(lines: Iterable[Row]) -> list[Row]:
    """One line for each measure, with what every point has of it."""
    found: dict[str, Row] = {}
    for line in lines:
        known = found.setdefault(line["measure"], {})
        notes = "; ".join(filter(None, (known.get("note"), line.get("note"))))
        known |= line | {"note": notes or None}
    return list(found.values())


def _unit(scale: str) -> str:
    return {"count": "", "times": "", "fraction": "", "mj": "mJ"}.get(scale, scale)


def _ends(letter: str, value: float, low: float, high: float) -> Row:
    return {letter: value, f"{letter} low": low, f"{letter} high": high}


def _changes(story: Story) -> Iterator[Row]:
    """The change of accuracy with its interval, the longer side of that, and how many answers changed."""
    for point in story.points:
        change, seen = point.change, point.evidence
        images = f"{split_word(change.split)} images"
        name = f"change of accuracy, {images}"
        yield {"measure": name, "how": "measured", **_ends(point.letter, change.value, change.low, change.high)}
        yield {"measure": f"{name}, half interval", "how": "measured", point.letter: change.half}
        yield {"measure": images, "how": "counted", point.letter: change.n}
        if seen:
            total = seen.lost + seen.won + seen.otherwise
            answers = {"changed": total, "from right to wrong": seen.lost, "from wrong to right": seen.won,
                       "from one wrong answer to another": seen.otherwise}  # fmt: skip
            for words, number in answers.items():
                yield {"measure": f"answers {words}, {images}", "how": "counted", point.letter: number}


def _classes(story: Story) -> Iterator[Row]:
    """The accuracy of each class before and after, and its change, those that lose most first."""
    for point in story.points:
        if point.evidence is None:
            continue
        images = f"{split_word(point.evidence.split)} images"
        for at, (one, change, low, high) in enumerate(point.evidence.changes()):
            name = f"class {printable(one.name)}, {images}"
            worst = f"worst of {point.letter}" if not at and change < 0 else None
            yield {"measure": f"accuracy of {name}", "how": "measured", "baseline": one.before, point.letter: one.after}
            yield {"measure": f"change of accuracy of {name}", "how": "measured", "note": worst,
                   **_ends(point.letter, change, low, high)}  # fmt: skip


def _assumptions(story: Story) -> Iterator[Row]:
    """What was assumed; the energy of a request is the study's own where none was given."""
    for name, about in ASSUMED.items():
        value = getattr(story.assumed, name)
        value = story.start.get(name) if value is None else value
        yield {"measure": f"{name} assumed", "unit": about.unit, "how": "assumed", "baseline": value}


def _savings(story: Story) -> Iterator[Row]:
    """Of a year: what it takes before and after, and what is saved."""
    requests = story.assumed.requests_per_day * DAYS
    for key in ("hours", "money", "energy", "co2"):
        for point in story.points:
            if one := point.savings.get(key):
                line = {"unit": one.unit, "how": "estimated"}
                taken = {"baseline": one.before * requests, point.letter: one.after * requests}
                saved = _ends(point.letter, *(value * requests for value in (one.saved, one.low, one.high)))
                yield {"measure": f"{key} a year", **line, **taken}
                yield {"measure": f"{key} saved a year", **line, **saved}


def _pays(story: Story) -> Iterator[Row]:
    for point in story.points:
        for one in earned(story, point):
            name = f"requests until the search is paid for in {one.key}"
            yield {"measure": name, "how": "estimated", point.letter: one.requests}


def csv(story: Story, cover: Cover, mark: str = ".") -> bytes:
    """The numbers as CSV with a decimal mark of "." or ","; after a comma cells are parted by semicolons."""
    part = pick(MARKS, mark, "decimal mark")
    text = numbers(story, cover).to_csv(index=False, sep=part, decimal=mark, lineterminator="\n")
    return text.encode("utf-8-sig")  # by which spreadsheets know its letters
