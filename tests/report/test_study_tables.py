"""Studies' rows: constraints, importance by hand-made variance, and how two points differ."""

from __future__ import annotations

import statistics
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from compression.goals import Constraint
from compression.report.study_tables import (
    averaged,
    best_feasible,
    differing,
    importance_table,
    merged,
    nearest_miss,
    settings_of,
)
from compression.results import wilson


def row(accuracy: float, size: int, **more: Any) -> dict[str, Any]:
    low, high = wilson(round(accuracy * 1000), 1000)
    interval = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
    return {**interval, "packed_bytes": size, "macs": 10, **{name.replace("__", "."): v for name, v in more.items()}}


ROWS = [row(0.99, 900), row(0.98, 400), row(0.97, 400), row(0.90, 100)]


def bounds(*texts: str) -> list[Constraint]:
    return [Constraint.read(text) for text in texts]


def test_the_cheapest_of_those_that_meet_all_constraints_is_best() -> None:
    assert best_feasible(ROWS, bounds("accuracy >= 95 %"), "packed_bytes") is ROWS[1]
    assert best_feasible(ROWS, bounds("packed_bytes <= 500"), "accuracy") is ROWS[1]
    assert best_feasible(ROWS, bounds("accuracy >= 99.5 %"), "packed_bytes") is None
    assert best_feasible(ROWS, [], "speedup") is None


def test_the_nearest_miss_says_which_constraints_it_fails() -> None:
    asked = bounds("accuracy >= 98.5 %", "packed_bytes <= 500")
    near, missed = nearest_miss(ROWS, asked) or (None, ())
    assert near is ROWS[1] and [one.metric for one in missed] == ["accuracy"]
    assert nearest_miss(ROWS, bounds("accuracy >= 95 %")) is None and nearest_miss([], asked) is None
    near, missed = nearest_miss(ROWS, bounds("speedup >= 2")) or (None, ())
    assert near is ROWS[0] and [one.metric for one in missed] == ["speedup"]


def test_importance_is_the_variance_between_groups() -> None:
    rng = np.random.default_rng(0)
    rows = [
        row(0.5 + 0.2 * (kind == "a") + 0.02 * number + 0.01 * rng.random(), 1, x__kind=kind, x__number=number)
        for kind, number in product("ab", range(4))
    ]
    table = importance_table(rows).set_index("setting")
    assert list(table.index) == ["x.kind", "x.number"]
    for name in table.index:
        groups: dict[Any, list[float]] = {}
        for one in rows:
            groups.setdefault(one[name], []).append(one["accuracy"])
        f = stats.f_oneway(*groups.values()).statistic
        between, within = len(groups) - 1, len(rows) - len(groups)
        assert table.loc[name, "share"] == pytest.approx(max(0, 1 - (len(rows) - 1) / (f * between + within)))


def test_many_numbers_are_grouped_and_a_metric_that_never_changes_has_no_cause() -> None:
    rows = [row(0.5 + number / 1000, 1, x__number=number / 7) for number in range(100)]
    (share,) = importance_table(rows)["share"]
    assert 0.95 < share < 1
    assert list(importance_table(rows, "packed_bytes")["share"]) == [0]
    assert importance_table([]).empty


def test_two_points_differ_in_what_was_set_and_in_what_was_measured_beyond_noise() -> None:
    a, b = row(0.99, 900, x__kind="a", x__same=1), row(0.90, 900, x__kind="b", x__same=1, x__only=2)
    assert settings_of([a, b]) == ("x.kind", "x.same", "x.only")
    assert differing(a, b)[["name", "a", "b", "kind"]].to_numpy(object).tolist() == [
        ["x.kind", "a", "b", "set"], ["x.only", None, 2, "set"], ["accuracy", 0.99, 0.90, "measured"],
    ]  # fmt: skip
    assert list(differing(a, row(0.985, 800, x__kind="a", x__same=1))["name"]) == ["packed_bytes"]


def test_a_setting_with_another_value_in_every_trial_is_left_out() -> None:
    rows = [{"1.prune.sparsity": place / 10, "accuracy": 0.9 - place / 50} for place in range(6)]
    assert importance_table(rows).empty
    assert list(importance_table([*rows, rows[0]])["setting"]) == ["1.prune.sparsity"]


def test_the_same_field_of_several_recipes_is_one_setting() -> None:
    rows = [
        {"recipe": "cut", "cut.1.prune.sparsity": 0.2, "accuracy": 0.9},
        {"recipe": "healed", "healed.1.prune.sparsity": 0.4, "healed.3.train.epochs": 2, "accuracy": 0.8},
        {"recipe": "twice", "twice.2.prune.sparsity": 0.1, "twice.4.prune.sparsity": 0.3, "twice.5.train.epochs": 1},
    ]
    assert merged(rows) == [
        {"recipe": "cut", "1.prune.sparsity": 0.2, "accuracy": 0.9},
        {"recipe": "healed", "1.prune.sparsity": 0.4, "1.train.epochs": 2, "accuracy": 0.8},
        {"recipe": "twice", "1.prune.sparsity": 0.1, "2.prune.sparsity": 0.3, "1.train.epochs": 1},
    ]


def test_stages_of_two_studies_are_numbered_each_by_its_own() -> None:
    rows = [
        {"study": "a", "recipe.1.prune.sparsity": 0.2, "accuracy": 0.9},
        {"study": "b", "recipe.2.prune.sparsity": 0.4, "accuracy": 0.8},
    ]
    assert [row.get("1.prune.sparsity") for row in merged(rows)] == [0.2, 0.4]


def test_a_setting_is_one_row_with_the_mean_of_its_seeds() -> None:
    rows = [
        {"trial": trial, "seed": seed, "1.prune.sparsity": amount, "accuracy": accuracy, "accuracy_low": accuracy - 0.1,
         "accuracy_high": accuracy + 0.1, "packed_bytes": 100 + trial}
        for trial, (seed, amount, accuracy) in enumerate([(0, 0.2, 0.9), (0, 0.5, 0.8), (1, 0.2, 0.7)])
    ]  # fmt: skip
    first, second = averaged(rows)
    sd = statistics.stdev([0.9, 0.7])
    assert (first["trial"], first["seeds"], first["packed_bytes"]) == (0, 2, 101)
    assert (first["accuracy"], first["accuracy_low"]) == (pytest.approx(0.8), pytest.approx(0.8 - sd))
    assert (second["seeds"], second["accuracy"], second["accuracy_low"]) == (1, 0.8, pytest.approx(0.7))
