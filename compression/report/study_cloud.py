"""A study's trials on two measures: what they cost and do, which are on the front, which meet the constraints."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from compression.carbon import WORLD
from compression.goals import Constraint, feasible
from compression.registry import UserError, pick, unknown
from compression.report.compare import ends, near_front, records, unbeaten
from compression.report.estimates import estimated
from compression.report.measures import AXES, ESTIMATED, MEASURES
from compression.report.setting_words import SWEPT, grouped_values, setting_labels, short_names
from compression.report.study_tables import settings_of
from compression.report.tables import grouped, improvement, plain, spread
from compression.report.text import unique

Row = Mapping[str, Any]
PLACE = ("study", "model", "data", "split")
CLOUD = [
    *("study", "trial", "trials", "seed", "seeds", "baseline", "model", "data", "split", "n", "batch", "g_per_kwh"),
    *("by", "group", "turn", "label", "x_axis", "y_axis", "axis", "x", "x_low", "x_high", "y", "y_low", "y_high"),
    *("feasible", "front", "near", "spread", "change", "ratio", "accuracy_low", "accuracy_high", *MEASURES),
]
STANDING = ["x", "x_low", "x_high", "y", "y_low", "y_high", "accuracy", "accuracy_low", "accuracy_high"]
"""What of a row says where it stands."""


def cloud_table(
    rows: Iterable[Row],
    x: str,
    y: str = "accuracy",
    group: str = "recipe",
    constraints: Sequence[Constraint] = (),
    g_per_kwh: float = WORLD,
) -> pd.DataFrame:
    """Two measures of every trial of a study, a row a setting, its seeds taken together.

    Seeds that differ give mean ± one standard deviation, as in a ``tradeoff_table``; ``trial`` is then
    the first of ``trials``. ``group`` is the name of the range or value by which trials are told apart,
    ``turn`` its place among them, ``by`` what it is of; see ``grouped_values``.
    ``front`` marks what no other beats in both measures, clearly where they have intervals; accuracies
    are compared by their means. ``near`` marks, where y is accuracy, what is beaten within noise.
    ``axis`` is the measure that counts as the cost, ``ratio`` how many times better it is than the
    baseline's, ``change`` the change of accuracy. What was not measured is NaN.

    Args:
        rows: flat dicts; a baseline's ``granularity`` is "baseline".
        x: a measure, of MEASURES.
        y: another.
        group: a setting's name, a field's that has one meaning in all recipes ("sparsity"), "recipe", "study"
            or "model".
        constraints: of ``feasible``.
        g_per_kwh: of the grid by which CO₂ is estimated.

    Raises:
        UserError: x or y is no measure, or no trial has a setting named ``group``.
    """
    pick(MEASURES, x, "axis")
    pick(MEASURES, y, "axis")
    rows = estimated(rows, x, y, g_per_kwh=g_per_kwh)
    settings = settings_of(rows)
    members = grouped(rows, tuple(dict.fromkeys((*PLACE, *SWEPT, *settings))))
    body = [_point(own, x, y) for own in members]
    firsts = [own[0] for own in members]
    _name(body, firsts, settings or SWEPT, group)
    _compare(body)
    for row in body:
        row["feasible"] = feasible(row, constraints)
    _stand(body, x, y)
    return pd.DataFrame(body, columns=CLOUD)


def among(table: pd.DataFrame, chosen: Collection[tuple[str, int]]) -> pd.DataFrame:
    """The chosen trials of a :func:`cloud_table`, and its baselines: what none of these beats is their front.

    Their names and groups are those that they have among all trials.

    Args:
        table: of ``cloud_table``.
        chosen: study and trial of those that stay.
    """
    keys = zip(table["study"], table["trial"], table["baseline"], strict=True)
    kept = table[[bool(start) or (study, trial) in chosen for study, trial, start in keys]]
    if kept.empty:
        return kept
    body = records(kept[STANDING])
    _stand(body, kept["x_axis"].iloc[0], kept["y_axis"].iloc[0])
    return kept.assign(front=[row["front"] for row in body], near=[row["near"] for row in body])


def _point(members: Sequence[Row], x: str, y: str) -> dict[str, Any]:
    """One setting, its seeds together."""
    first = members[0]
    row: dict[str, Any] = {key: plain(first.get(key)) for key in (*PLACE, "n", "batch", "seed", "g_per_kwh")}
    row |= {"trial": int(first.get("trial", -1)), "trials": tuple(int(one.get("trial", -1)) for one in members)}
    row |= {"seeds": len({plain(one.get("seed")) for one in members})}
    row |= {"baseline": first.get("granularity") == "baseline"}
    row |= {"x_axis": x, "y_axis": y, "axis": next((key for key in (x, y) if key != "accuracy"), "")}
    for key, axis in MEASURES.items():
        if key in ESTIMATED and key not in (x, y):
            continue
        middle, low, high, kind = spread(members, key, axis.low, axis.high)
        if row["baseline"] and axis.scale == "times":
            middle = low = high = 1.0
        row[key] = middle
        for side in (side for side, shown in (("x", x), ("y", y)) if shown == key):
            row |= {side: middle, f"{side}_low": low, f"{side}_high": high}
        if key == "accuracy":
            row |= {"accuracy_low": low, "accuracy_high": high, "spread": kind}
    return row


def _name(body: list[dict[str, Any]], firsts: Sequence[Row], settings: Sequence[str], group: str) -> None:
    """Give every row its label and its group."""
    trials = [at for at, row in enumerate(body) if not row["baseline"]]
    known = tuple(dict.fromkeys(("recipe", "study", "model", *SWEPT, *settings)))
    if group not in known and not any(name.endswith(f".{group}") for name in settings):
        raise UserError(unknown("setting", group, known))
    labels = setting_labels([firsts[at] for at in trials], settings)
    groups, order = grouped_values(group, [_value(firsts[at], group) for at in trials])
    for at, label, own in zip(trials, labels, groups, strict=True):
        body[at] |= {"label": label, "group": own if order != ["not set"] else "trials", "turn": order.index(own)}
    several, by = len(unique(row["model"] for row in body)) > 1, short_names([group])[group]
    for row in body:
        row["by"] = by
        if row["baseline"]:
            row |= {"label": f"baseline {row['model']}" if several else "baseline", "group": "baseline", "turn": -1}


def _value(row: Row, name: str) -> Any:
    """A setting of a row, in whichever stage it is where the name is a field alone."""
    return row[name] if name in row else next((value for key, value in row.items() if key.endswith(f".{name}")), None)


def _compare(body: list[dict[str, Any]]) -> None:
    """Set each row against the baseline of its study, model, data and split."""
    starts = {tuple(row[key] for key in PLACE): row for row in body if row["baseline"]}
    for row in body:
        start = starts.get(tuple(row[key] for key in PLACE))
        row["change"] = row["accuracy"] - start["accuracy"] if start else math.nan
        cost = row["axis"]
        row["ratio"] = improvement(row[cost], start[cost], AXES[cost].more_is_better) if start and cost else math.nan


def _stand(body: list[dict[str, Any]], x: str, y: str) -> None:
    """Mark what is on the front and what is near it."""
    if not body:
        return
    front = unbeaten(_ends(body, "x", x), _ends(body, "y", y))
    near = [False] * len(body)
    if y == "accuracy":
        near = near_front(body, _ends(body, "x", x), front)
    for row, on, by in zip(body, front.tolist(), near, strict=True):
        row |= {"front": on, "near": by}


def _ends(body: list[dict[str, Any]], side: str, key: str) -> Any:
    if key == "accuracy":
        return np.array([[row[side], row[side]] for row in body], float)
    return ends(body, side, MEASURES[key].more_is_better)
