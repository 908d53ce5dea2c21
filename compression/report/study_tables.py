"""What a study's rows say: which points meet the constraints, which settings matter, how two points differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from compression.goals import Constraint, feasible
from compression.registry import pick
from compression.report.compare import within_noise
from compression.report.setting_words import is_number, parts_of, short_names, spreads_wide, steps, value_words
from compression.report.tables import grouped, plain, spread
from compression.report.text import AXES, MEASURES, amount, percent, unique

Row = Mapping[str, Any]


def settings_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The names of what was set in any of the rows: ``recipe`` where there are several, and ``1.prune.sparsity``."""
    names = dict.fromkeys(key for row in rows for key in row if key == "recipe" or "." in key)
    return tuple(names)


def merged(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows in which the same field of several recipes is one setting: ``1.prune.sparsity`` for all of them.

    A setting is then named by the number of its stage among those of its kind, its kind and its
    field, so that ``cut.1.prune.sparsity`` and ``healed.1.prune.sparsity`` can be compared.
    """
    rows = list(rows)
    names = {name: parts_of(name) for name in settings_of(rows) if name != "recipe"}
    places: dict[tuple[Any, str, str], set[int]] = {}
    for row in rows:
        for name in names.keys() & row.keys():
            recipe, place, kind, _ = names[name]
            places.setdefault((row.get("study"), recipe, kind), set()).add(int(place))

    def short(name: str, study: Any) -> str:
        if name not in names:
            return name
        recipe, place, kind, field = names[name]
        return f"{sorted(places[study, recipe, kind]).index(int(place)) + 1}.{kind}.{field}"

    return [{short(name, row.get("study")): value for name, value in row.items()} for row in rows]


def averaged(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row a setting: the first of its ``trials``, with the means of all and how many ``seeds`` they have."""
    named = ("study", "model", "data", "granularity", *settings_of(rows))
    found = []
    for own in grouped(rows, named):
        middle = {key: spread(own, key, axis.low, axis.high) for key, axis in MEASURES.items() if key in own[0]}
        row = {**own[0], "seeds": len(own), "trials": tuple(one.get("trial") for one in own)}
        for key, (mean, low, high, _) in middle.items():
            row |= {key: mean} | ({MEASURES[key].low: low, MEASURES[key].high: high} if MEASURES[key].low else {})
        found.append(row)
    return found


def best_feasible(rows: Sequence[Row], constraints: Sequence[Constraint], cost: str) -> Row | None:
    """The point that meets all constraints and costs least; of those that cost the same the most accurate.

    Args:
        rows: measured points.
        constraints: each must hold.
        cost: the measure that counts, of MEASURES.
    """
    sound = [row for row in rows if feasible(row, constraints) and _known(row.get(cost))]
    if not sound:
        return None
    sign = -1 if MEASURES[cost].more_is_better else 1
    return min(sound, key=lambda row: (sign * row[cost], -row["accuracy"]))


def _known(value: Any) -> bool:
    return value is not None and value == value


def nearest_miss(rows: Sequence[Row], constraints: Sequence[Constraint]) -> tuple[Row, tuple[Constraint, ...]] | None:
    """Where no point meets all constraints: the one that fails fewest, and by least, with those that it fails."""

    def missed(row: Row) -> tuple[Constraint, ...]:
        return tuple(one for one in constraints if not one.holds(row))

    def by_how_much(row: Row) -> float:
        return sum(math.inf if (over := one.excess(row)) is None else over for one in missed(row))

    if not rows or any(not missed(row) for row in rows):
        return None
    near = min(rows, key=lambda row: (len(missed(row)), by_how_much(row)))
    return near, missed(near)


def importance_table(rows: Sequence[Row], metric: str = "accuracy") -> pd.DataFrame:
    r"""How much of a metric's variance each setting alone explains: setting, share in [0, 1], values tried.

    .. math:: \varepsilon^2 = 1 - \frac{n - 1}{n - k} \cdot
              \frac{\sum_v \sum_{i \in v} (y_i - \bar y_v)^2}{\sum_i (y_i - \bar y)^2}

    for n trials in k groups of equal setting; 0 where the groups explain no more than chance would,
    and where there are as many groups as trials. A number with more than ten values is grouped into tenths of its
    range first. Shares of several settings need not add up to one: settings act together.

    Source: Kelley 1935, An unbiased correlation ratio measure, PNAS 21:554-559.
    """
    found = []
    for name in settings_of(rows):
        own = [row for row in rows if name in row and _known(row.get(metric))]
        groups = _grouped([row[name] for row in own])
        values = [float(row[metric]) for row in own]
        share = _explained(groups, values)
        found.append({"setting": name, "share": share, "values": len({row[name] for row in own}), "n": len(own)})
    table = pd.DataFrame(found, columns=["setting", "share", "values", "n"])
    return table.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def _grouped(values: Sequence[Any]) -> list[Any]:
    """Values by which rows fall into groups."""
    distinct = set(values)
    if len(distinct) <= 10 or not all(isinstance(value, int | float) for value in distinct):
        return list(values)
    low, high = min(values), max(values)
    return [min(9, int(10 * (value - low) / (high - low))) for value in values]


def _explained(groups: Sequence[Any], values: Sequence[float]) -> float:
    members: dict[Any, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        members.setdefault(group, []).append(value)
    whole = _scatter(values)
    if whole <= 0 or len(members) >= len(values):
        return 0.0
    inside = sum(map(_scatter, members.values()))
    return max(0.0, 1 - (len(values) - 1) / (len(values) - len(members)) * inside / whole)


def _scatter(values: Sequence[float]) -> float:
    mean = fmean(values) if values else 0.0
    return sum((value - mean) ** 2 for value in values)


def differing(a: Row, b: Row) -> pd.DataFrame:
    """What differs between two points: name, the value in each, and whether it was set or measured.

    An accuracy counts as different only beyond noise.
    """
    lines = []
    for name in settings_of((a, b)):
        if a.get(name) != b.get(name):
            lines.append({"name": name, "a": a.get(name), "b": b.get(name), "kind": "set"})
    if not within_noise(dict(a), dict(b)):
        lines.append({"name": "accuracy", "a": a["accuracy"], "b": b["accuracy"], "kind": "measured"})
    for name in AXES:
        if a.get(name) is not None and b.get(name) is not None and a[name] != b[name]:
            lines.append({"name": name, "a": a[name], "b": b[name], "kind": "measured"})
    return pd.DataFrame(lines, columns=["name", "a", "b", "kind"])


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
    trials = [
        {
            "study": row.get("study", ""),
            "trial": row.get("trial"),
            "at": {a["key"]: c[turn] for a, c in zip(axes, columns, strict=True)},
        }
        for turn, row in enumerate(rows)
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
    return axis, [None if value is None else at(float(value)) for value in values]


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


def within(
    rows: Sequence[Row], paths: Mapping[str, Sequence[Mapping[str, Any]]], filters: Mapping[str, Sequence[float]]
) -> list[Row]:
    """The rows whose positions lie in all filters: by axis, from where to where, both included.

    Args:
        rows: those of which ``paths`` was made.
        paths: a ``paths_table``.
        filters: positions from 0 to 1 by the key of an axis; a row that lacks the axis is out.
    """

    def inside(at: Mapping[str, float | None]) -> bool:
        found = ((at.get(key), low, high) for key, (low, high) in filters.items())
        return all(place is not None and low <= place <= high for place, low, high in found)

    return [row for row, trial in zip(rows, paths["trials"], strict=True) if inside(trial["at"])]
