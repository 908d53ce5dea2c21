"""What the long benchmarks plan and tell, without running them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from benchmarks import teaching
from compression.distillation.students import student_blueprint
from compression.models.zoo import load
from compression.studies.sweep import Done
from compression.studies.teaching import Teaching


def test_the_students_of_resnet_20_have_half_and_a_quarter_of_its_width() -> None:
    blueprint, plans = load("cifar10-resnet20").blueprint, teaching.photograph_plans()
    widths = [student_blueprint(plan.stage, blueprint).config["widths"] for plan in plans]
    assert (blueprint.config["widths"], widths) == ([16, 32, 64], [[8, 16, 32], [4, 8, 16]])
    ways = [[point.coordinates["method"] for point in plan.points()] for plan in plans]
    assert ways == [
        ["teacher", "alone", "soft_targets", "attention", "hint", "similarity"],
        ["teacher", "alone", "soft_targets"],
    ]
    assert {plan.stage.epochs for plan in plans} == {5} and {plan.split for plan in plans} == {"test"}
    assert {plan.stage.epochs for plan in teaching.photograph_plans(quick=True)} == {1}


def test_both_students_stand_in_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = {
        (1.0, "teacher"): 0.9, (0.5, "alone"): 0.8, (0.5, "soft_targets"): 0.82, (0.5, "attention"): 0.81,
        (0.5, "hint"): 0.83, (0.5, "similarity"): 0.79, (0.25, "alone"): 0.7, (0.25, "soft_targets"): 0.72,
    }  # fmt: skip

    def fake(plan: Teaching, workers: int) -> Iterator[Done]:
        for point in plan.points():
            method = point.coordinates["method"]
            width = 1.0 if method == "teacher" else plan.stage.width
            found = accuracies[width, method]
            interval = {"accuracy_low": found - 0.01, "accuracy_high": found + 0.01}
            yield Done(point, {"method": method, "accuracy": found, "params": int(272_474 * width**2), **interval})

    here = SimpleNamespace(here=lambda: True)
    monkeypatch.setattr(teaching, "DATASETS", {teaching.SAMPLES[teaching.PHOTOS].data: here})
    monkeypatch.setattr(teaching, "sweep", fake)
    rows = teaching.photographs()
    assert [(row.name, row.measured[:6]) for row in rows] == [
        ("Teacher", "90.00%"),
        ("Half the width alone", "80.00%"),
        ("… with soft targets, T = 4", "82.00%"),
        ("… with the best feature method, hint", "83.00%"),
        ("A quarter of the width alone", "70.00%"),
        ("… with soft targets, T = 4", "72.00%"),
    ]
    assert "68,118 parameters of 272,474, and a quarter, 17,029" in rows[0].how
