"""Ways side by side over seeds: means, differences and words, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from compression.registry import UserError
from compression.report.seeds_chart import advantage, seeds_chart, seeds_table
from compression.report.themes import THEMES, Theme
from compression.results import Measurement


def measured(accuracy: float, classes: dict[str, float] | None = None) -> Measurement:
    nothing = dict.fromkeys(("params", "nonzero", "sparsity", "file_bytes", "packed_bytes", "macs", "memory_bytes"), 0)
    return Measurement(
        split="val", n=100, accuracy=accuracy, accuracy_low=accuracy - 0.05, accuracy_high=min(1.0, accuracy + 0.05),
        class_accuracy=classes or {}, loss=0.1, **nothing,
    )  # fmt: skip


RUNS = {"one cut": [measured(0.5), measured(0.6), measured(0.7)], "ten cuts": [measured(0.8)] * 3}


def test_every_run_is_a_line_with_the_mean_of_its_way() -> None:
    table = seeds_table(RUNS)
    assert table["way"].tolist() == ["one cut"] * 3 + ["ten cuts"] * 3
    assert table["mean"].tolist() == pytest.approx([0.6] * 3 + [0.8] * 3)


def test_the_difference_is_paired_seed_by_seed() -> None:
    # Differences 0.3, 0.2, 0.1: mean 0.2, sd 0.1, t(0.975, 2) = 4.303.
    middle, ends = advantage(seeds_table(RUNS), "ten cuts", "one cut")
    half = 4.303 * 0.1 / math.sqrt(3)
    assert (middle, *ends) == pytest.approx((0.2, 0.2 - half, 0.2 + half))


def test_one_seed_has_no_interval() -> None:
    table = seeds_table({way: members[:1] for way, members in RUNS.items()})
    assert advantage(table, "ten cuts", "one cut") == (pytest.approx(0.3), None)


def test_one_class_can_be_judged_alone() -> None:
    table = seeds_table({"taught": [measured(0.9, classes={"3": 0.25, "4": 1.0})]}, of="3")
    assert table["accuracy"].tolist() == [0.25]
    with pytest.raises(UserError, match="class is '7'; it must be one of: 3, 4"):
        seeds_table({"taught": [measured(0.9, classes={"3": 0.25, "4": 1.0})]}, of="7")


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_the_title_says_who_won_by_how_much(theme: Theme) -> None:
    chart = seeds_chart(seeds_table(RUNS), theme, better="ten cuts", than="one cut", what="validation images")
    assert chart.title == "Ten cuts against one cut: +20.0 points"
    assert "95 % interval −4.8 points to +44.8 points" in chart.subtitle
    assert chart.figure.to_plotly_json()["data"][0]["x"] == pytest.approx([0.6, 0.8])
