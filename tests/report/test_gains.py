"""By how much one run is better than another: by hand, and the same wherever it is told."""

import math

import pytest

from compression.report import charts
from compression.report.compare import difference, records
from compression.report.distill_tables import cost_table, judged_table
from compression.report.distill_titles import gap, judged_title
from compression.report.gains import gain
from compression.report.themes import LIGHT
from compression.results import wilson
from tests.report.teaching import costed


def rows(n=1000, **wrong):
    """Flat rows of runs: how many of n images each seed, named by its number, gets wrong."""
    found = []
    for run, by_seed in wrong.items():
        own = costed(n, **{run: tuple(by_seed.values())})
        found += [row | {"seed": seed} for row, seed in zip(own, by_seed, strict=True)]
    return found


def of(run, table):
    return [row for row in table if row["run"] == run]


APART = rows(alone={1: 60, 2: 64, 5: 200}, distilled={0: 1, 1: 40, 2: 40})
"""Two seeds of three are in both; those that are not would tell another story."""
ONE = rows(alone={0: 60}, distilled={0: 40, 1: 44, 2: 48})
NONE = rows(alone={7: 60, 8: 70}, distilled={0: 40})


def test_only_the_seeds_that_both_have_are_compared():
    found = gain(of("distilled", APART), of("alone", APART))
    half = 12.706 * math.sqrt(8) / math.sqrt(2) / 1000  # 20 and 24 apart: mean 22, sd √8; t of one degree of freedom
    assert (found.better, found.low, found.high) == pytest.approx((0.022, 0.022 - half, 0.022 + half))
    assert (found.own, found.start, found.seeds, found.shared) == (pytest.approx(0.96), pytest.approx(0.938), 2, True)
    assert not found.clear


def test_without_two_pairs_all_rows_count_with_the_spread_of_their_images_and_seeds():
    found = gain(of("distilled", ONE), of("alone", ONE))
    (low, high), single = wilson(956, 1000), wilson(940, 1000)
    seeds = 4.303 * 0.004 / math.sqrt(3)  # 40, 44 and 48 of 1000
    own = {
        "accuracy": 0.956,
        "accuracy_low": 0.956 - math.hypot(0.956 - low, seeds),
        "accuracy_high": 0.956 + math.hypot(high - 0.956, seeds),
    }
    start = {"accuracy": 0.94, "accuracy_low": single[0], "accuracy_high": single[1]}
    assert (found.better, found.low, found.high) == pytest.approx(difference(start, own))
    assert (found.seeds, found.shared) == (1, False)


@pytest.mark.parametrize("study", [APART, ONE, NONE], ids=["two shared", "one shared", "none shared"])
def test_the_judgement_and_the_cost_tell_one_story(study):
    own = cost_table(study).set_index("run").loc["distilled"]
    judged = records(judged_table(study))
    points, errors = (gap(judged, measure, "distilled", "alone") for measure in ("accuracy", "errors"))
    assert (points.better, points.low, points.high) == pytest.approx(tuple(own[["gain", "gain_low", "gain_high"]]))
    assert (errors.better, errors.low, errors.high) == pytest.approx(
        tuple(1000 * end for end in (points.better, points.low, points.high))
    )
    assert points.low <= points.better <= points.high, "an interval holds what it is the interval of"
    assert errors.start - errors.mean == pytest.approx(errors.better), "and the means are of the same rows"


def test_what_is_left_out_of_the_comparison_is_said():
    study = rows(alone={1: 60, 2: 60, 5: 200}, distilled={0: 1, 1: 40, 2: 41})
    table = judged_table(study)
    assert judged_title(records(table), "errors") == (
        "The distilled student makes 20 fewer errors than alone, 40 against 60"
    )
    chart = charts.judged_chart(table, LIGHT)
    assert "95 % interval of the gain, the 2 seeds that both have: 13 to 26 errors fewer" in chart.subtitle
