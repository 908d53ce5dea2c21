"""What a study's rows say: which points meet the constraints, which settings matter, how two points differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from compression.goals import Constraint, feasible
from compression.report.compare import within_noise
from compression.report.text import AXES, MEASURES

Row = Mapping[str, Any]


def settings_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The names of what was set in any of the rows: ``recipe`` where there are several, and ``1.prune.sparsity``."""
    names = dict.fromkeys(key for row in rows for key in row if key == "recipe" or "." in key)
    return tuple(names)


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
        return sum(_overstep(row, one) for one in missed(row))

    if not rows or any(not missed(row) for row in rows):
        return None
    near = min(rows, key=lambda row: (len(missed(row)), by_how_much(row)))
    return near, missed(near)


def _overstep(row: Row, constraint: Constraint) -> float:
    """By what fraction of its bound a constraint is missed; infinite where the metric was not measured."""
    value = row.get(constraint.metric)
    if value is None or math.isnan(value):
        return math.inf
    bound = constraint.least if constraint.least > -math.inf else constraint.most
    return float(abs(value - bound) / max(abs(bound), 1e-12))


def importance_table(rows: Sequence[Row], metric: str = "accuracy") -> pd.DataFrame:
    r"""How much of a metric's variance each setting alone explains: setting, share in [0, 1], values tried.

    .. math:: \eta^2 = \frac{\sum_v n_v (\bar y_v - \bar y)^2}{\sum_i (y_i - \bar y)^2}

    A number with more than ten values is grouped into tenths of its range first. Shares of several
    settings need not add up to one: settings act together.

    Source: Fisher 1925, Statistical methods for research workers, chapter 8.
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
    mean = fmean(values) if values else 0.0
    whole = sum((value - mean) ** 2 for value in values)
    if whole <= 0:
        return 0.0
    members: dict[Any, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        members.setdefault(group, []).append(value)
    return sum(len(own) * (fmean(own) - mean) ** 2 for own in members.values()) / whole


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
