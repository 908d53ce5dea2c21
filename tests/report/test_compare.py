"""Noise, the front and its knee, against published numbers, a slow loop and a hand derivation."""

import random
from math import nan

import numpy as np
import pandas as pd
import pytest

from compression.report.compare import difference, headline, knee, near_front, pareto, unbeaten, within_noise
from compression.report.tables import tradeoff_table
from compression.results import wilson
from tests.report.rows import row, timed


def proportion(correct, n):
    low, high = wilson(correct, n)
    return {"accuracy": correct / n, "accuracy_low": low, "accuracy_high": high}


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((10, 10), (0, 20), 0.6791, 1.0)],
)
def test_the_interval_of_a_difference_is_newcombes(first, second, low, high):
    """Newcombe 1998, table II, method 10, examples (a), (b) and (f)."""
    change, below, above = difference(proportion(*second), proportion(*first))
    assert change == pytest.approx(first[0] / first[1] - second[0] / second[1])
    assert below == pytest.approx(low, abs=1e-4)
    assert above == pytest.approx(high, abs=1e-4)


def test_noise_is_symmetric_and_ends_where_the_interval_leaves_zero():
    assert within_noise(proportion(392, 400), proportion(390, 400))
    assert within_noise(proportion(390, 400), proportion(392, 400))
    assert not within_noise(proportion(392, 400), proportion(370, 400))


def table(points, axis="packed_bytes"):
    """Points (x low, x, x high, accuracy) with accuracies exact to 0.1 points."""
    return pd.DataFrame(
        [
            {"axis": axis, "x": x, "x_low": low, "x_high": high, "accuracy": accuracy,
             "accuracy_low": accuracy - 0.001, "accuracy_high": accuracy + 0.001}
            for low, x, high, accuracy in points
        ]
    )  # fmt: skip


def slow_front(points, sign):
    """The definition, word for word: no other has at least the accuracy and no worse cost, one strictly better."""

    def better(q, p):
        return q[0] > p[2] if sign > 0 else q[2] < p[0]

    front = []
    for p in points:
        beaten = False
        for q in points:
            if q is p or better(p, q):
                continue
            if q[3] > p[3] or (q[3] == p[3] and better(q, p)):
                beaten = True
        front.append(not beaten)
    return front


@pytest.mark.parametrize(("axis", "sign"), [("packed_bytes", -1), ("speedup", 1)])
def test_the_front_is_the_slow_loops(axis, sign):
    dice = random.Random(3)
    for _ in range(60):
        points = []
        for _ in range(dice.randint(1, 12)):
            x, half = dice.randint(1, 6), dice.choice([0, 0, 0.6])
            points.append((x - half, x, x + half, dice.randint(1, 5) / 5))
        marked = pareto(table(points, axis))
        assert marked["front"].tolist() == slow_front(points, sign), points
        assert marked["front"].any()


def test_fronts_of_intervals_and_of_what_is_missing_are_the_slow_loops():
    rng = np.random.default_rng(0)
    for size in range(1, 15):
        for gaps in (0.0, 0.2):
            a, b = (np.sort(rng.integers(0, 8, (size, 2)).astype(float)) for _ in "ab")
            a[rng.random(size) < gaps], b[rng.random(size) < gaps] = nan, nan
            front = [
                not np.isnan([a[p], b[p]]).any()
                and not any(
                    (a[q, 0] > a[p, 1] and b[q, 1] >= b[p, 0]) or (b[q, 0] > b[p, 1] and a[q, 1] >= a[p, 0])
                    for q in range(size)
                )
                for p in range(size)
            ]
            assert unbeaten(a, b).tolist() == front
            points = [(mid, mid - rng.random() / 5, mid + rng.random() / 5) for mid in rng.integers(0, 6, size) / 6]
            rows = [dict(zip(("accuracy", "accuracy_low", "accuracy_high"), one, strict=True)) for one in points]
            near = []
            for p in range(size):
                rivals = [rows[q] for q in range(size) if a[q, 1] >= a[p, 0]]
                best = max(rivals, key=lambda row: row["accuracy"], default=None)
                near.append(best is not None and not front[p] and within_noise(rows[p], best))
            assert near_front(rows, a, np.array(front)) == near


def test_points_equal_in_both_stay_on_the_front_together():
    marked = pareto(table([(5, 5, 5, 0.9), (5, 5, 5, 0.9), (6, 6, 6, 0.9)]))
    assert marked["front"].tolist() == [True, True, False]


def test_timing_noise_does_not_make_a_front():
    """Three masked models at about 1.0× and a real 2×: only accuracy ranks the first three."""
    marked = pareto(
        table([(0.98, 1.0, 1.02, 0.97), (0.99, 1.01, 1.03, 0.96), (1.0, 1.02, 1.04, 0.9), (1.9, 2.0, 2.1, 0.95)],
              "speedup")
    )  # fmt: skip
    assert marked["front"].tolist() == [True, False, False, True]


def test_near_is_beaten_but_within_noise_of_the_best_that_costs_no_more():
    marked = pareto(table([(5, 5, 5, 0.9), (6, 6, 6, 0.899), (7, 7, 7, 0.85)]))
    assert marked["near"].tolist() == [False, True, False]


def test_unmeasured_costs_are_neither():
    nan = float("nan")
    marked = pareto(table([(nan, nan, nan, 0.99), (5, 5, 5, 0.9)]))
    assert marked["front"].tolist() == [False, True]
    assert marked["near"].tolist() == [False, False]
    assert pareto(tradeoff_table([])).empty


def test_the_knee_is_furthest_above_the_chord():
    """Chord from (0, 0) to (10, 1). Heights above it: (2, 0.7) 0.5; (5, 0.9) 0.4."""
    rows = [{"x": x, "accuracy": y, "front": True} for x, y in ((10, 1.0), (0, 0.0), (5, 0.9), (2, 0.7))]
    assert knee(rows) == rows[3]
    assert knee(rows[:2]) is None
    straight = [{"x": x, "accuracy": x / 10, "front": True} for x in (0, 5, 10)]
    assert knee(straight) is None


def test_the_knee_depends_on_the_axis_as_drawn():
    """On 1, 10, 100 the middle lies at 1/11 of the way, or at a half after the logarithm."""
    rows = [{"x": x, "accuracy": y, "front": True} for x, y in ((1, 0.0), (10, 0.5), (100, 1.0))]
    assert knee(rows, log=False) == rows[1]
    assert knee(rows, log=True) is None


def test_headlines():
    before = row("baseline", 0.0, 392)
    assert headline(before, row("weights", 0.5, 390, packed_bytes=48_000)) == "2.1× smaller, −0.5 points (within noise)"
    assert headline(before, row("weights", 0.5, 350, packed_bytes=48_000)) == "2.1× smaller, −10.5 points"
    assert headline(before, row("weights", 0.1, 392, packed_bytes=120_000)) == "1.2× larger, same accuracy"
    assert headline(before, row("weights", 0.1, 393)) == "Same size, +0.3 points (within noise)"
    assert headline(before, row("channels", 0.5, 350, packed_bytes=25_000, **timed(2.2))) == (
        "4.0× smaller, 2.2× faster, −10.5 points"
    )
    assert "same speed" in headline(before, row("weights", 0.5, 350, packed_bytes=48_000, **timed(1.02)))
    assert "2.0× slower" in headline(before, row("weights", 0.5, 350, packed_bytes=48_000, **timed(0.5)))
