"""Schedules against their formulas in plain arithmetic, and the moments that they make."""

from __future__ import annotations

import math

import pytest

from compression.pruning.schedules import SCHEDULES, renewals, sparsity_at_progress
from compression.recipe import Gradual
from compression.registry import UserError

FORMULAS = {
    "one_shot": lambda p, s: s,
    "linear": lambda p, s: s * p,
    "geometric": lambda p, s: 1 - math.exp(p * math.log(1 - s)),
    "cubic": lambda p, s: s + (0 - s) * (1 - p) ** 3,
    "one_cycle": lambda p, s: s * (1 + math.exp(-14 + 5)) / (1 + math.exp(-14 * p + 5)),
    "dense_sparse_dense": lambda p, s: s if p in (0.5, 0.6) else 0,
}
GRID = (0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 1.0)


@pytest.mark.parametrize("key", SCHEDULES)
@pytest.mark.parametrize("final", [0.3, 0.98])
def test_every_schedule_is_its_formula(key: str, final: float) -> None:
    found = [sparsity_at_progress(key, p, final) for p in GRID]
    assert found == pytest.approx([FORMULAS[key](p, final) for p in GRID])


@pytest.mark.parametrize("key", [key for key in SCHEDULES if key != "dense_sparse_dense"])
def test_sparsity_never_falls_and_ends_where_it_should(key: str) -> None:
    curve = [sparsity_at_progress(key, i / 50, 0.9) for i in range(51)]
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(0.9)


def test_each_geometric_round_takes_the_same_fraction_of_what_is_left() -> None:
    left = [1 - sparsity_at_progress("geometric", i / 4, 0.9) for i in range(5)]
    assert [after / before for before, after in zip(left, left[1:], strict=False)] == pytest.approx([0.1**0.25] * 4)


def test_rounds_begin_at_equal_parts_up_to_the_end() -> None:
    stage = Gradual(sparsity=0.8, schedule="linear", rounds=4, end=0.5, restart=False)
    assert renewals(stage) == tuple(
        (t, pytest.approx(s)) for t, s in [(0, 0.2), (0.125, 0.4), (0.25, 0.6), (0.375, 0.8)]
    )


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(UserError, match="Unknown schedule 'cubik' .did you mean 'cubic'"):
        sparsity_at_progress("cubik", 0.5, 0.5)
