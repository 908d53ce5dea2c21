"""Successive halving: where a trial is looked at first, and when it is behind."""

from __future__ import annotations

import pytest

from compression.recipe import Distill, Gradual, Prune, Quantize, Recalibrate, Recipe, Stage, Train
from compression.studies.halving import Rung, behind, first_look, is_rung

HALF = Prune(sparsity=0.5)


def rungs(*pairs: tuple[float, float], rung: int = 0) -> list[Rung]:
    return [Rung(number, rung, accuracy, cost, 4) for number, (accuracy, cost) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("stages", "looked"),
    [
        ((HALF, Train()), (HALF, Recalibrate())),
        ((HALF, Recalibrate(biases=True), Train()), (HALF, Recalibrate(biases=True))),
        ((HALF, Distill(student="same"), Train()), (HALF, Recalibrate())),
        ((HALF, Train(), Quantize()), (HALF, Recalibrate(), Quantize())),
    ],
)
def test_a_first_look_is_all_before_training_with_batchnorm_counted_anew(
    stages: tuple[Stage, ...], looked: tuple[Stage, ...]
) -> None:
    found = first_look(Recipe(model="digits-cnn", seed=3, stages=stages))
    assert found == Recipe(model="digits-cnn", seed=3, stages=looked)


@pytest.mark.parametrize(
    "stages",
    [(HALF,), (Train(),), (Train(), HALF), (HALF, Distill(student="narrower")), (HALF, Gradual(sparsity=0.8))],
)
def test_where_a_first_look_says_nothing_there_is_none(stages: tuple[Stage, ...]) -> None:
    assert first_look(Recipe(model="digits-cnn", stages=stages)) is None


def test_rungs_are_the_powers_of_two() -> None:
    assert [epoch for epoch in range(1, 20) if is_rung(epoch)] == [1, 2, 4, 8, 16]


def test_the_better_half_goes_on() -> None:
    field = rungs((0.9, 10), (0.8, 10), (0.7, 10), (0.6, 10))
    assert [behind(own, field) for own in field] == [False, False, True, True]


def test_a_small_model_does_not_race_large_ones() -> None:
    large, small = rungs((0.99, 100), (0.98, 100), (0.97, 100)), Rung(9, 0, 0.5, 10, 4)
    assert not behind(small, [*large, small])
    assert behind(Rung(9, 0, 0.5, 100, 4), large)


def test_the_first_trials_and_other_rungs_stop_nobody() -> None:
    assert not behind(Rung(9, 0, 0.1, 10, 4), rungs((0.9, 10)))
    assert not behind(Rung(9, 1, 0.1, 10, 4), rungs((0.9, 10), (0.9, 10), (0.9, 10)))


def test_equals_are_not_behind_each_other() -> None:
    field = rungs(*[(0.9, 10)] * 6)
    assert not any(behind(own, field) for own in field)


def test_whoever_is_trained_longer_races_others_before_training_only() -> None:
    field = rungs((0.9, 10), (0.8, 10), rung=2)
    assert not behind(Rung(9, 2, 0.1, 10, 8), field) and behind(Rung(9, 2, 0.1, 10, 4), field)
    assert behind(Rung(9, 0, 0.1, 10, 8), rungs((0.9, 10), (0.8, 10)))
