"""The Wilson interval against its definition, and the frozen result."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from compression.recipe import Prune, Recipe
from compression.results import Energy, Latency, Measurement, Result, StageResult, wilson

Z95 = 1.959964


def score_bound(correct: int, n: int, upper: bool, z: float = Z95) -> float:
    """The bound by its definition: the proportion that the score test just does not reject.

    The test compares |p - q| with z·sqrt(q(1-q)/n), where q is the proportion supposed; the
    statistic falls monotonically as q moves away from p, so bisection finds where it meets z.
    """
    p = correct / n
    inside, outside = p, 1.0 if upper else 0.0
    for _ in range(200):
        q = (inside + outside) / 2
        rejected = abs(p - q) > z * math.sqrt(q * (1 - q) / n)
        inside, outside = (inside, q) if rejected else (q, outside)
    return inside


@pytest.mark.parametrize(
    ("correct", "n"), [(1, 2), (5, 10), (9, 10), (81, 263), (355, 360), (9904, 10000), (1, 1000), (999, 1000)]
)
def test_wilson_inverts_the_score_test(correct: int, n: int) -> None:
    low, high = wilson(correct, n)
    assert low == pytest.approx(score_bound(correct, n, upper=False), abs=1e-9)
    assert high == pytest.approx(score_bound(correct, n, upper=True), abs=1e-9)


def test_wilson_gives_the_published_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3 (score): 81 of 263.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_wilson_at_the_ends_is_closed_form() -> None:
    # With p = 0 the lower bound is 0 and the upper z²/(n + z²); p = 1 mirrors it.
    for n in (1, 10, 148):
        assert wilson(0, n) == pytest.approx((0.0, Z95**2 / (n + Z95**2)))
        assert wilson(n, n) == pytest.approx((n / (n + Z95**2), 1.0))


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def measured(accuracy: float = 0.9) -> Measurement:
    low, high = wilson(round(accuracy * 100), 100)
    return Measurement(
        split="test", n=100, accuracy=accuracy, accuracy_low=low, accuracy_high=high,
        class_accuracy={"a": 0.8, "b": 1.0}, loss=0.3, params=10, nonzero=7, sparsity=0.3,
        file_bytes=40, packed_bytes=32, macs=10, memory_bytes=80,
        energy=Energy(energy_mj=0.1, source="modelled", detail="MACs × pJ/MAC"),
        latency=(
            Latency(
                runtime="onnx", batch=1, speedup=1.0, speedup_low=0.99, speedup_high=1.01,
                min_ms=1.0, median_ms=1.1, p90_ms=1.2, baseline_median_ms=1.1, pairs=30, threads=1,
            ),
        ),
    )  # fmt: skip


def a_result() -> Result:
    prune = Prune(sparsity=0.5)
    return Result(
        recipe=Recipe(model="m", stages=(prune,)),
        baseline=measured(0.95),
        stages=(StageResult(stage=prune, measurement=measured(0.9), asked_sparsity=0.5),),
        versions={"torch": "2"},
        hardware={"cores": 2},
    )


def test_a_result_comes_back_from_json_equal() -> None:
    result = a_result()
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_final_is_the_last_stage_or_else_the_baseline() -> None:
    result = a_result()
    assert result.final.accuracy == 0.9
    after = StageResult(stage=Prune(sparsity=0.9), measurement=measured(0.7))
    assert result.model_copy(update={"stages": (*result.stages, after)}).final.accuracy == 0.7
    assert result.model_copy(update={"stages": ()}).final.accuracy == 0.95


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        a_result().seed = 3  # type: ignore[misc]


def test_a_measurement_refuses_what_is_no_number() -> None:
    fields = measured().model_dump() | {"loss": math.nan}
    with pytest.raises(ValidationError, match="finite number"):
        Measurement(**fields)
