"""The ways of teaching, each over its seeds, against pandas' own grouping."""

import numpy as np
import pandas as pd
import pytest

from compression.report.teaching import ways

KEYS = ["student", "method", "temperature", "alpha"]
MEASURED = ["errors", "accuracy", "ece", "agreement"]
TEACHER = ("", "teacher", None, 0.0)
ALONE = ("half", "alone", None, 0.0)
COOL, WARM = ("half", "soft_targets", 1.0, 0.9), ("half", "soft_targets", 4.0, 0.9)
LIGHTLY, OTHER = ("half", "soft_targets", 4.0, 0.5), ("quarter", "soft_targets", 4.0, 0.9)


def point(way, seed, errors, n=1000):
    place = {"": 40_000, "half": 10_000, "quarter": 3_000}[way[0]]
    return dict(zip(KEYS, way, strict=True)) | {
        "seed": seed, "errors": errors, "n": n, "accuracy": 1 - errors / n, "ece": errors / 7000, "split": "test",
        "agreement": 0.99 - errors / 3000, "params": place, "macs": 2 * place, "packed_bytes": 4 * place,
    }  # fmt: skip


STUDY = [point(TEACHER, 0, 12)] + [
    point(way, seed, errors + step)
    for seed, step in enumerate((0, 7, 2))
    for way, errors in ((ALONE, 60), (COOL, 50), (WARM, 31), (LIGHTLY, 40), (OTHER, 90))
]
"""Seed by seed, so that the points of a way do not stand together."""


def test_every_way_has_one_line_in_the_order_of_the_study():
    found = ways(STUDY)
    assert [tuple(way[key] for key in KEYS) for way in found] == [TEACHER, ALONE, COOL, WARM, LIGHTLY, OTHER]
    assert [way["seeds"] for way in found] == [1, 3, 3, 3, 3, 3]
    assert [way["params"] for way in found] == [40_000] + 4 * [10_000] + [3_000]
    assert {(way["macs"] // way["params"], way["packed_bytes"] // way["params"], way["n"]) for way in found} == {
        (2, 4, 1000)
    }


def test_means_and_deviations_are_those_of_pandas():
    groups = pd.DataFrame(STUDY).groupby(KEYS, dropna=False, sort=False)[MEASURED]
    means, deviations = groups.mean(), groups.std(ddof=1)
    for turn, way in enumerate(ways(STUDY)):
        assert [way[key] for key in MEASURED] == pytest.approx(means.iloc[turn].to_numpy())
        if way["seeds"] > 1:
            assert [way[f"{key}_sd"] for key in MEASURED] == pytest.approx(deviations.iloc[turn].to_numpy())
    warm = next(way for way in ways(STUDY) if way["temperature"] == 4.0 and way["alpha"] == 0.9)
    assert (warm["errors"], warm["errors_sd"]) == pytest.approx((34, np.sqrt(13))), "by hand: 31, 38, 33"


def test_one_seed_has_no_deviation():
    (teacher, *_) = ways(STUDY)
    assert [teacher[f"{key}_sd"] for key in MEASURED] == [None] * 4, "not 0, which would claim certainty"
    assert teacher["errors"] == 12.0 and teacher["agreement"] == pytest.approx(0.986)


def test_a_seed_that_is_still_missing_is_not_counted():
    found = ways(row for row in STUDY if not (row["method"] == "alone" and row["seed"] == 1))
    assert (found[1]["seeds"], found[1]["errors"]) == (2, 61.0)
    assert ways([]) == []
