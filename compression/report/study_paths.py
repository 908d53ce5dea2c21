"""Parallel coordinates of a study's trials, and the brushes along their axes that filter the trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from compression.registry import pick
from compression.report.measures import MEASURES
from compression.report.setting_words import is_number, short_names, spreads_wide, steps, value_words
from compression.report.study_tables import settings_of
from compression.report.tables import plain
from compression.report.text import amount, percent, unique

Row = Mapping[str, Any]
Table = Mapping[str, Sequence[Mapping[str, Any]]]


def paths_table(rows: Sequence[Row], metrics: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """What parallel coordinates draw, as plain data: ``axes``, and for each row of ``rows`` one of ``trials``.

    An axis has key, label, kind ("number" or "choice"), low and high (of a number), log, and ticks, each
    a position from 0 to 1 with its text. A trial has study, trial, and ``at``: by axis its position,
    None where it has none. Settings come first, those that never change left out, then the metrics
    that were measured.

    Args:
        rows: flat dicts of trials.
        metrics: of MEASURES.

    Raises:
        UserError: one of them is no measure.
    """
    settings = [name for name in settings_of(rows) if len({plain(row[name]) for row in rows if name in row}) > 1]
    words = short_names(settings)
    axes, columns = [], []
    for key in (*settings, *metrics):
        values = [None if plain(row.get(key)) == "" else row[key] for row in rows]
        if any(value is not None for value in values):
            label = words.get(key) or pick(MEASURES, key, "metric").label
            axis, column = (_numbers if is_number(unique(values)) else _choices)(key, label, values)
            axes.append(axis)
            columns.append(column)
    keys = [axis["key"] for axis in axes]
    trials = [
        {"study": row.get("study", ""), "trial": row.get("trial"), "at": dict(zip(keys, at, strict=True))}
        for row, at in zip(rows, zip(*columns, strict=True) if columns else [()] * len(rows), strict=True)
    ]
    return {"axes": axes, "trials": trials}


def _numbers(key: str, label: str, values: Sequence[Any]) -> tuple[dict[str, Any], list[float | None]]:
    """An axis of numbers, and where each value is on it."""
    known = sorted({float(value) for value in values if value is not None})
    low, high = known[0], known[-1]
    log = low > 0 and high / low > 8 and key != "accuracy" if key in MEASURES else spreads_wide(key, low, high)

    def at(value: float) -> float:
        if low == high:
            return 0.5
        part = math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        return round(part, 5)

    inner = known if len(known) <= 6 and key not in MEASURES else steps(low, high, 5, log) if low < high else []
    ends = [low, high] if low < high else [low]
    kept = [value for value in inner if low < value < high and 0.1 <= at(value) <= 0.9]
    ticks = [[at(value), _written(key, value)] for value in sorted({*ends, *kept})]
    axis = {"key": key, "label": label, "kind": "number", "low": low, "high": high, "log": log, "ticks": ticks}
    places = {value: at(value) for value in known}
    return axis, [None if value is None else places[float(value)] for value in values]


def _written(key: str, value: float) -> str:
    if key in MEASURES:
        return percent(value) if key == "accuracy" else amount(value, MEASURES[key].scale)
    return value_words(key, int(value) if value == int(value) else value)


def _choices(key: str, label: str, values: Sequence[Any]) -> tuple[dict[str, Any], list[float | None]]:
    """An axis of choices, evenly apart in the order of their words."""
    known = sorted(unique(values), key=lambda value: value_words(key, value))
    where = {value: round(turn / (len(known) - 1), 5) if len(known) > 1 else 0.5 for turn, value in enumerate(known)}
    ticks = [[at, value_words(key, value)] for value, at in where.items()]
    axis = {"key": key, "label": label, "kind": "choice", "low": None, "high": None, "log": False, "ticks": ticks}
    return axis, [None if value is None else where[value] for value in values]


def filter_words(paths: Table, filters: Mapping[str, Sequence[Any]]) -> str:
    """What filters let through, as it is read: "Accuracy 94.0 % to 98.0 %, scope layer"."""
    labels = {axis["key"]: axis["label"] for axis in paths["axes"]}
    said = []
    for key, allowed in filters.items():
        ends = " to ".join(_written(key, float(f"{end:.3g}")) for end in allowed) if is_number(allowed) else ""
        said.append(f"{labels.get(key, key)} {ends or ' or '.join(allowed)}")
    return ", ".join(said)


def within(rows: Sequence[Row], filters: Mapping[str, Sequence[Any]]) -> list[Row]:
    """The rows that lie in all filters: by a setting or a measure its lowest and highest value, or the words allowed.

    Two numbers are the ends, both included; anything else lists what passes, as ``value_words`` says it.
    What a row lacks passes no filter.
    """

    def inside(row: Row, key: str, allowed: Sequence[Any]) -> bool:
        value = row.get(key)
        if plain(value) == "":
            return False
        if is_number(allowed):
            return bool(allowed[0] <= value <= allowed[1])
        return value_words(key, value) in allowed

    return [row for row in rows if all(inside(row, key, allowed) for key, allowed in filters.items())]
