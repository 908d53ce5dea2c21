"""What the long benchmarks plan and tell, without running them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import search, studies, teaching
from benchmarks.filled import filled
from compression.distillation.students import student_blueprint
from compression.models.zoo import load
from compression.recipe import Recipe
from compression.studies import control, database, keys, recording, records
from compression.studies.making import made
from compression.studies.proposals import proposals
from compression.studies.sweep import Done
from compression.studies.tasks import trial_of
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


def test_the_hypervolume_is_that_of_a_count_of_squares() -> None:
    points = [(0.9, 8.0), (0.5, 2.0), (0.4, 5.0), (0.95, 12.0), (0.7, 4.0)]
    reference = (0.2, 10.0)
    squares = [(0.2 + (i + 0.5) / 100, 0.05 * (j + 0.5)) for i in range(80) for j in range(200)]
    inside = sum(any(v >= a and c <= b for v, c in points) for a, b in squares)
    assert search.hypervolume(points, reference) == pytest.approx(inside * 0.01 * 0.05, rel=1e-6)
    assert search.hypervolume([(0.1, 1.0), (1.0, 11.0)], reference) == 0


def test_the_spaces_of_the_searches_have_300_points_that_all_can_be() -> None:
    for model in search.SPACES:
        grid = search.space(model)
        made = [one for one in proposals(grid) if one.recipe]
        assert len({keys.key_of(one.recipe, grid) for one in made if one.recipe}) == grid.space.size >= 300
        assert search.space(model, "tpe").trials == grid.space.size // 3


def test_a_share_of_the_hypervolume_meets_its_bar_in_the_median() -> None:
    grid = search.space("digits-cnn")
    shares = {"tpe": [0.94, 0.96, 0.99], "random": [0.5, 0.6, 0.9]}
    rows = search.search_rows(grid, 306, shares, shares)  # type: ignore[arg-type]
    assert [(row.name.split(":")[1].split(",")[0], row.met) for row in rows] == [(" tpe", True), (" random", None)]
    assert rows[0].measured.startswith("96.0%, least 94.0%")


def test_64_trials_are_held_against_their_own_compute_and_a_loop() -> None:
    assert studies.grid(studies.SPARSITIES).space.size == 64
    times = [studies.Times(engine=13.0, loop=19.0, compute=16.0, again=1.0)] * 3
    wall, loop, again = studies.throughput_rows(times, 64, 2)
    assert (wall.measured, wall.met) == ("1.25×", True)  # (13 - 3) / (16 / 2)
    assert (loop.measured, loop.met, again.met) == ("1.46×", False, True)


def test_a_filled_store_is_shaped_as_measured_trials_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path))
    monkeypatch.delenv(database.VARIABLE, raising=False)
    study = filled("many", 40, model="digits-mlp")
    try:
        rows, first = records.rows("many"), records.trial("many", 0)
        measured = made(trial_of(study, study.base, {}, 0))
        assert measured.row and set(measured.row) <= set(rows[0])
        assert set(first) == {
            "recipe",
            "row",
            "epochs",
            "seed",
            "versions",
            "hardware",
            "weights",
            "seconds",
            "setting",
        }
        assert Recipe.model_validate(first["recipe"]).stages and len(recording.trials("many")) == 40
        assert control.status("many").state == "done" and control.status("many").done == len(rows)
        trials = recording.trials("many")
        assert all(set(one.params) == set(one.user_attrs["setting"]) for one in trials)
    finally:
        database.let_go()
