"""What a study's rows say: which points meet the constraints, which settings matter, how two points differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from statistics import fmean
from typing import Any

import pandas as pd

from compression.goals import Constraint, feasible
from compression.report.compare import within_noise
from compression.report.measures import AXES, MEASURES
from compression.report.setting_words import parts_of
from compression.report.tables import grouped, spread

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

    @cache
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

    for n trials in k groups of equal setting; 0 where the groups explain no more than chance would.
    A number with more than ten values is grouped into tenths of its range first, and a setting that then
    has another value in every trial is left out. Shares of several settings need not add up to one: settings
    act together.

    Source: Kelley 1935, An unbiased correlation ratio measure, PNAS 21:554-559.
    """
    found = []
    for name in settings_of(rows):
        own = [row for row in rows if name in row and _known(row.get(metric))]
        groups = _grouped([row[name] for row in own])
        if len(set(groups)) == len(own):
            continue
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
    """What differs between two points: name, the value in each, and whether it was set, measured, counted or estimated.

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
            lines.append({"name": name, "a": a[name], "b": b[name], "kind": AXES[name].origin})
    return pd.DataFrame(lines, columns=["name", "a", "b", "kind"])
