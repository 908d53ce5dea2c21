from __future__ import annotations

import gc
import itertools
import math
import random
import statistics

import pytest

from compression.measure.timing import paired_stats, shuffled_pairs, time_pairs


def test_speedup_is_the_median_ratio_not_the_ratio_of_medians() -> None:
    baseline, candidate = [1.0, 2.0, 9.0], [1.0, 4.0, 3.0]  # ratios 1, ½, 3; medians 2 and 3
    result = paired_stats(baseline, candidate, runtime="eager", batch=1)
    assert result.speedup == 1.0
    assert result.baseline_median_ms == 2000 and result.median_ms == 3000
    assert result.min_ms == 1000
    assert result.p90_ms == pytest.approx(3800)  # a fifth of the way from the largest to the next: 4 - 0.2
    assert (result.pairs, result.threads, result.batch, result.runtime) == (3, 1, 1, "eager")


def test_interval_equals_a_slow_bootstrap() -> None:
    draw = random.Random(3)
    candidate = [draw.uniform(1, 1.2) for _ in range(41)]
    ratios = [draw.gauss(1.6, 0.2) for _ in range(41)]
    baseline = [ratio * c for ratio, c in zip(ratios, candidate, strict=True)]
    result = paired_stats(baseline, candidate, runtime="eager", batch=1)
    medians = sorted(statistics.median(draw.choices(ratios, k=41)) for _ in range(20_000))
    assert result.speedup == pytest.approx(statistics.median(ratios))
    assert result.speedup_low == pytest.approx(medians[500], abs=0.02)
    assert result.speedup_high == pytest.approx(medians[19_500], abs=0.02)
    assert result.speedup_low < result.speedup < result.speedup_high
    assert paired_stats(baseline, candidate, runtime="eager", batch=1) == result


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw, covered = random.Random(0), 0
    for trial in range(100):
        ratios = [1.5 * math.exp(draw.gauss(0, 0.1)) for _ in range(30)]  # the true median is 1.5
        result = paired_stats(ratios, [1.0] * 30, runtime="eager", batch=1, seed=trial)
        covered += result.speedup_low <= 1.5 <= result.speedup_high
    assert 87 <= covered <= 100


def test_pairs_must_pair() -> None:
    with pytest.raises(ValueError, match="do not pair up"):
        paired_stats([1.0], [1.0, 2.0], runtime="eager", batch=1)
    with pytest.raises(ValueError, match="do not pair up"):
        paired_stats([], [], runtime="eager", batch=1)


def test_order_is_shuffled_even_and_fixed_by_seed() -> None:
    order = list(itertools.islice(shuffled_pairs(5), 400))
    assert order == list(itertools.islice(shuffled_pairs(5), 400))
    assert order != list(itertools.islice(shuffled_pairs(6), 400))
    assert sum(order) == 200
    assert all(sum(order[i : i + 4]) == 2 for i in range(0, 400, 4))
    assert len({tuple(order[i : i + 4]) for i in range(0, 400, 4)}) == 6


class Clock:
    """A clock that only work moves, and a diary of who worked."""

    def __init__(self) -> None:
        self.now, self.diary = 0.0, ""

    def work(self, name: str, seconds: float) -> None:
        assert not gc.isenabled()
        self.now += seconds
        self.diary += name


def test_loop_interleaves_and_times_what_it_is_given() -> None:
    clock = Clock()
    samples = time_pairs(
        lambda: clock.work("b", 0.02),
        lambda: clock.work("c", 0.01),
        pairs=30,
        seconds=0.4,
        seed=1,
        clock=lambda: clock.now,
    )
    assert samples.baseline_s == pytest.approx([0.02] * 30)
    assert samples.candidate_s == pytest.approx([0.01] * 30)
    timed = clock.diary[20:]
    assert clock.diary[:20] == "bc" * 10
    assert {timed[i : i + 2] for i in range(0, 60, 2)} == {"bc", "cb"}
    assert gc.isenabled()


def test_loop_lasts_as_long_as_asked() -> None:
    clock = Clock()
    samples = time_pairs(
        lambda: clock.work("b", 0.02), lambda: clock.work("c", 0.02), seconds=4.0, clock=lambda: clock.now
    )
    assert len(samples.baseline_s) == len(samples.candidate_s) == pytest.approx(4.0 / 0.04, abs=1)


def test_fast_runs_are_averaged_over_a_millisecond() -> None:
    clock = Clock()
    samples = time_pairs(
        lambda: clock.work("b", 0.0004),
        lambda: clock.work("c", 0.0001),
        pairs=4,
        seconds=0.0,
        clock=lambda: clock.now,
    )
    timed = clock.diary[20:]
    assert timed.count("b") == 4 * 3 and timed.count("c") in (4 * 10, 4 * 11)  # 0.4 ms, 0.1 ms
    assert samples.candidate_s == pytest.approx([0.0001] * 4)


def test_collector_comes_back_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        time_pairs(lambda: 1 / 0, lambda: None)
    assert gc.isenabled()
