"""Names and values of a study's settings as people read them: ``weights.1.prune.sparsity`` at 0.6 is "weights 60 %"."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from compression.report.tables import plain
from compression.report.text import DASH, brief, named, powered, share, shortened, unique

Row = Mapping[str, Any]
SWEPT = ("granularity", "criterion", "scope", "sparsity", "epochs")
"""What tells the points of a sweep apart, whose rows have no dotted names."""
ONLY = {"granularity": "granularity", "sparsity": "sparsity"}
"""What tells a setting that has no other beside it, with their names."""
WORDS = {"lr": "learning rate"}
SPEAKS = ("recipe", "granularity", "criterion", "scope", "method", "schedule", "penalty", "student", "mode")
"""Settings whose value says by itself what it is."""
COUNTED = ("epochs", "rounds", "images")
"""Settings that say how many of something there are."""
_NAME = re.compile(r"(?:(.+)\.)?(\d+)\.([^.]+)\.(.+)")


@lru_cache(maxsize=4096)
def parts_of(name: str) -> tuple[str, str, str, str]:
    """Recipe, place, kind of stage and field; a name that is not of that form is a field alone."""
    found = _NAME.fullmatch(name)
    return (found[1] or "", found[2], found[3], found[4]) if found else ("", "", "", name)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """The shortest words that no other setting has: the field, its stage or recipe before it, its place."""
    written = {name: _candidates(name) for name in dict.fromkeys(names)}
    taken = [Counter(words[level] for words in written.values()) for level in range(6)]
    return {
        name: next((word for word, count in zip(words, taken, strict=True) if count[word] == 1), name)
        for name, words in written.items()
    }


def _candidates(name: str) -> list[str]:
    recipe, place, kind, field = parts_of(name)
    words = WORDS.get(field, field.replace("_", " "))
    own = [words, f"{kind} {words}".strip(), f"{place} {kind} {words}".strip()]
    led = [f"{recipe}: {one}" if recipe else one for one in own]
    return [*own[:2], *led[:2], own[2], led[2]]


def value_words(name: str, value: Any) -> str:
    """A setting's value alone: "60 %", "0.01", "3", "magnitude", "yes"."""
    field = parts_of(name)[3]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return share(value) if field.endswith("sparsity") else number(value)
    if value is None:
        return "none"
    return named(value) if field == "granularity" else str(value).replace("_", " ")


def number(value: float) -> str:
    """Up to three significant digits: "0.01", "1,200", "10⁻⁵"."""
    if value == int(value) and abs(value) >= 1000:
        return f"{value:,.0f}"
    one_digit = float(f"{value:.0e}") == float(f"{value:.3g}")
    return powered(value) if 0 < value < 1e-4 and one_digit else brief(value)


def setting_labels(rows: Sequence[Row], settings: Sequence[str]) -> list[str]:
    """Each row in a few words: what varies among the rows, "channels 60 %, magnitude, learning rate 0.01".

    Where nothing does, as in a study of one setting, what was removed and how much of it.
    """
    varying = [name for name in settings if len({plain(row[name]) for row in rows if name in row}) > 1]
    names: dict[str, str] = {}
    for recipe in dict.fromkeys(parts_of(name)[0] for name in varying):
        names |= short_names(name for name in varying if parts_of(name)[0] == recipe)
    varying.sort(key=lambda name: _rank(parts_of(name)[3]))
    return [
        _label(row, varying, names) or _label(row, tuple(ONLY), ONLY) or unnamed(row.get("trial", "")) for row in rows
    ]


def unnamed(number: Any) -> str:
    """What a trial is called of which nothing else is known."""
    return f"trial {number}".strip()


def trial_words(label: str, number: int) -> str:
    """A trial by its settings and its number, which is said once: "channels 60 % (trial 0)"."""
    return label if label == unnamed(number) else f"{label} (trial {number})"


def _rank(field: str) -> int:
    return ("recipe", "granularity", "sparsity").index(field) if field in ("recipe", "granularity", "sparsity") else 3


def _label(row: Row, varying: Sequence[str], names: Mapping[str, str]) -> str:
    words: list[str] = []
    last = ""
    for name in varying:
        if name not in row or plain(row[name]) == "":
            continue
        field, value = parts_of(name)[3], value_words(name, row[name])
        told = field in SPEAKS or (field == "sparsity" and names[name] == "sparsity")
        if field == "sparsity" and told and not words and row.get("granularity"):
            value = f"{named(row['granularity'])} {value}"
        if field == "sparsity" and told and last in ("recipe", "granularity"):
            words[-1] += f" {value}"
        else:
            words.append(shortened(value, 24) if told else _told(names[name], value))
        last = field
    return ", ".join(words)


def _told(name: str, value: str) -> str:
    """A value with its name: "learning rate 0.01", "3 epochs"."""
    if name in COUNTED:
        return f"{value} {name.removesuffix('s') if value == '1' else name}"
    return f"{name} {value}"


def fitted(label: str, words: int) -> str:
    """A label cut to so many words, at a comma where it has one, with a sign that there was more."""
    if len(label.split()) <= words:
        return label
    kept = label.split(", ")
    while len(kept) > 1 and len(" ".join(kept).split()) > words:
        kept.pop()
    return " ".join(", ".join(kept).split()[:words]) + "…"


def is_number(values: Iterable[Any]) -> bool:
    """Whether all values are numbers, and there are some."""
    found = list(values)
    return bool(found) and all(isinstance(one, int | float) and not isinstance(one, bool) for one in found)


def steps(low: float, high: float, most: int, log: bool = False) -> list[float]:
    """Round numbers, evenly apart, from at or below low to at or above high, with at most ``most`` gaps."""
    if log:
        return _log_steps(low, high, most)
    span = high - low or abs(high) or 1.0
    power = math.floor(math.log10(span)) - 1
    for step in (digit * 10.0**at for at in range(power, power + 4) for digit in (1, 2, 5)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= most:
            return [round(at * step, 12) for at in range(first, max(last, first + 1) + 1)]
    return [low, high]


def _log_steps(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        marks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        inside = [mark for mark in marks if low * (1 + 1e-9) < mark < high * (1 - 1e-9)]
        if len(inside) < most:
            below = max((mark for mark in marks if mark <= low * (1 + 1e-9)), default=low)
            return [below, *inside, min((mark for mark in marks if mark >= high * (1 - 1e-9)), default=high)]
    gap = math.ceil((last - first) / most)
    return [10.0**power for power in range(first, last + gap, gap)]


def spreads_wide(name: str, low: float, high: float) -> bool:
    """Whether a setting's numbers are better told apart by their ratios."""
    return low > 0 and high / low >= 50 and not parts_of(name)[3].endswith("sparsity")


def ranges(name: str, values: Sequence[float], most: int = 5) -> list[str]:
    """For each value the name of the range that holds it, of at most ``most``: "20–40 %"; the last holds its end."""
    low, high = min(values), max(values)
    edges = steps(low, high, most, spreads_wide(name, low, high))
    names = []
    for start, end in zip(edges, edges[1:], strict=False):
        names.append(f"{value_words(name, start).removesuffix(' %')}{DASH}{value_words(name, end)}")
    held = [sum(value >= edge for edge in edges[1:-1]) for value in values]
    return [names[at] for at in held]


def grouped_values(name: str, values: Sequence[Any]) -> tuple[list[str], list[str]]:
    """The group of each value by its name, and the groups in their order.

    A number with more than six values is put into ranges; of more than eight groups the largest eight
    stay and the rest are "other". What was not set in a row is "not set".
    """
    known = [value for value in values if plain(value) != ""]
    if is_number(known) and len(set(known)) > 6:
        told = dict(zip(known, ranges(name, known), strict=True))
        order = unique(told[value] for value in sorted(told))
    else:
        told = {value: value_words(name, value) for value in unique(known)}
        order = unique(told[value] for value in (sorted(told) if is_number(told) else told))
    groups = [told[value] if plain(value) != "" else "not set" for value in values]
    order += ["not set"] if "not set" in groups and "not set" not in order else []
    if len(order) > 8:
        kept = {group for group, _ in Counter(groups).most_common(8)}
        groups = [group if group in kept else "other" for group in groups]
        order = [group for group in order if group in kept] + ["other"]
    return groups, order
