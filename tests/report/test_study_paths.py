"""Parallel coordinates: axes and positions by hand, and brushes that keep what lies in all of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from compression.registry import UserError
from compression.report.study_paths import filter_words, paths_table, within


def row(accuracy: float, size: int, **more: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in more.items()}
    return {"accuracy": accuracy, "packed_bytes": size, **named}


PATHS = [
    row(
        0.9,
        100,
        recipe="weights",
        weights__1__prune__sparsity=0.2,
        weights__2__train__lr=0.001,
        weights__2__train__on=1,
    ),
    row(
        0.8, 1000, recipe="weights", weights__1__prune__sparsity=0.6, weights__2__train__lr=0.1, weights__2__train__on=1
    ),
    row(0.7, 10_000, recipe="soft", soft__1__distill__method="soft_targets", soft__2__prune__sparsity=0.5),
    row(0.7, 100, recipe="soft", soft__1__distill__method="crd", soft__2__prune__sparsity=0.4, trial=7, study="s"),
]


def test_paths_have_an_axis_for_each_setting_that_varies_and_each_metric() -> None:
    paths = paths_table(PATHS, ("accuracy", "packed_bytes", "speedup"))
    axes = {axis["key"]: axis for axis in paths["axes"]}
    assert [axis["label"] for axis in paths["axes"]] == [
        "recipe", "weights: sparsity", "learning rate", "method", "soft: sparsity", "Accuracy",
        "Size with zeros packed",
    ]  # fmt: skip
    assert [axis["kind"] for axis in paths["axes"]] == ["choice", "number", "number", "choice", *["number"] * 3]
    assert axes["recipe"]["ticks"] == [[0.0, "soft"], [1.0, "weights"]]
    assert axes["weights.1.prune.sparsity"]["ticks"] == [[0.0, "20 %"], [1.0, "60 %"]]
    assert axes["weights.2.train.lr"]["log"] and axes["weights.2.train.lr"]["ticks"] == [[0.0, "0.001"], [1.0, "0.1"]]
    assert axes["packed_bytes"]["ticks"] == [
        [0.0, "100 bytes"],
        [0.23856, "300 bytes"],
        [0.5, "1 KB"],
        [0.73856, "3 KB"],
        [1.0, "10 KB"],
    ]
    assert axes["accuracy"]["ticks"] == [
        [0.0, "70.0 %"],
        [0.25, "75.0 %"],
        [0.5, "80.0 %"],
        [0.75, "85.0 %"],
        [1.0, "90.0 %"],
    ]
    assert json.loads(json.dumps(paths)) == paths


def test_positions_on_paths_are_shares_of_the_way_or_of_its_logarithm() -> None:
    rng = np.random.default_rng(0)
    rows = [row(float(a), int(10 ** (5 * s)), x__number=float(v)) for a, s, v in rng.uniform(0.1, 1, (50, 3))]
    paths = paths_table(rows, ("accuracy", "packed_bytes"))
    for name, change in (("accuracy", float), ("packed_bytes", np.log), ("x.number", float)):
        values = np.array([change(one[name]) for one in rows])
        expected = (values - values.min()) / (values.max() - values.min())
        assert [trial["at"][name] for trial in paths["trials"]] == pytest.approx(expected, abs=1e-5)
    for axis in paths["axes"]:
        places = [at for at, _ in axis["ticks"]]
        assert places == sorted(places) and places[0] == 0 and places[-1] == 1
        assert len(axis["ticks"]) <= 7 and len({text for _, text in axis["ticks"]}) == len(places)


def test_a_trial_is_nowhere_on_an_axis_that_it_lacks() -> None:
    trials = paths_table(PATHS, ("accuracy",))["trials"]
    assert trials[0]["at"]["soft.1.distill.method"] is None and trials[2]["at"]["weights.2.train.lr"] is None
    assert (trials[3]["study"], trials[3]["trial"]) == ("s", 7)
    assert paths_table([], ("accuracy",)) == {"axes": [], "trials": []}
    (level,) = paths_table(PATHS[2:], ("accuracy",))["axes"][-1:]
    assert level["ticks"] == [[0.5, "70.0 %"]]
    with pytest.raises(UserError, match="metric"):
        paths_table([PATHS[0] | {"loss": 1.0}], ("loss",))


def test_filters_keep_the_rows_that_lie_within_all_of_them() -> None:
    rng = np.random.default_rng(1)
    rows = [row(float(a), int(s) + 1, x__number=float(v)) for a, s, v in rng.uniform(0.1, 1, (60, 3)) * [1, 5000, 1]]
    del rows[5]["x.number"]
    kept = within(rows, {"accuracy": [0.25, 0.8], "x.number": [rows[7]["x.number"], 1.0]})
    assert kept == [
        one for one in rows
        if 0.25 <= one["accuracy"] <= 0.8 and "x.number" in one and one["x.number"] >= rows[7]["x.number"]
    ]  # fmt: skip
    assert 0 < len(kept) < 59 and within(rows, {}) == rows
    assert within(PATHS, {"recipe": ["soft"]}) == PATHS[2:]
    assert within(PATHS, {"soft.1.distill.method": ["soft targets", "crd"]}) == PATHS[2:]
    assert within(PATHS, {"weights.2.train.lr": [0, 1]}) == PATHS[:2]


def test_filters_are_said_with_their_ends_and_words() -> None:
    paths = paths_table(PATHS, ("accuracy", "packed_bytes"))
    filters = {"accuracy": [0.7512345, 0.9], "packed_bytes": [100, 3123.7], "soft.1.distill.method": ["crd", "hint"]}
    assert filter_words(paths, filters) == (
        "Accuracy 75.1 % to 90.0 %, Size with zeros packed 100 bytes to 3.12 KB, method crd or hint"
    )
    assert filter_words(paths, {}) == ""
