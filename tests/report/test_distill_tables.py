"""Tables of distilling against numbers worked out by hand and plain pandas."""

import math

import pandas as pd
import pytest

from compression.registry import UserError
from compression.report.distill_tables import (
    entropy_table,
    gradient_table,
    judged_table,
    learning_table,
    reliability_table,
    softening_table,
    temperature_table,
)
from compression.results import wilson
from tests.report.teaching import ANIMALS, FLAT, answer, bins, chances, epochs, gradient, judged, swept


def test_one_answer_at_two_temperatures():
    table, dark = answer()
    assert table["name"].tolist() == list(ANIMALS) and table["true"].tolist() == [False, False, True, False]
    assert table["one"].tolist() == chances((1, 2, 9, 5), 1) and table["soft"].sum() == pytest.approx(1)
    assert dark["name"].tolist() == ["dog", "bee", "ant"], "by probability, the true one left out"
    assert dark["ratio"].tolist() == pytest.approx([math.exp((z - 9) / 4) for z in (5, 2, 1)])


def test_faults_of_an_answer_are_named():
    with pytest.raises(UserError, match="2 and 3 probabilities for 3 classes"):
        softening_table("abc", [0.5, 0.5], [0.3, 0.3, 0.4], 0)
    with pytest.raises(UserError, match="label is 3; it must lie in 0 to 2"):
        softening_table("abc", [0.3, 0.3, 0.4], [0.3, 0.3, 0.4], 3)


def test_temperatures_are_sorted():
    assert entropy_table([4, 1], [2.0, 0.5]).to_numpy().tolist() == [[1, 0.5], [4, 2.0]]
    assert gradient_table(gradient((4, 0.1, 1.6), (1, 1, 1))).to_numpy().tolist() == [[1, 1, 1], [4, 0.1, 1.6]]


def test_an_epoch_brings_the_parts_of_its_loss():
    table = learning_table({"distilled": epochs(0.8, 0.9), "alone": epochs(0.7, parts=False)})
    assert table["run"].tolist() == ["distilled", "distilled", "alone"] and table["epoch"].tolist() == [1, 2, 1]
    assert table["hard_loss"].tolist() == [2, 1, 9], "a run without parts has its training loss"
    assert table["teacher_loss"].tolist()[:2] == [0.1, 0.05] and math.isnan(table["teacher_loss"][2])
    assert table["val_accuracy"].tolist() == [0.8, 0.9, 0.7]


def test_errors_are_counted_and_seeds_sorted():
    table = judged_table(judged(alone=(146, 151), distilled=(74,))[::-1])
    assert table["run"].tolist() == ["distilled", "alone", "alone"], "runs in their own order"
    assert table["errors"].tolist() == [74, 146, 151] and table["seed"].tolist() == [0, 0, 1]


def test_a_row_for_each_bin():
    table = reliability_table({"teacher": bins((30, 0.85, 0.9), (70, 0.98, 0.97))})
    assert len(table) == 10 and table["count"].sum() == 100
    assert table["confidence"].isna().sum() == 8
    assert table.iloc[9].tolist() == ["teacher", 0.9, 1.0, 70, 0.98, 0.97]


def test_seeds_of_a_temperature_are_taken_together_as_pandas_does():
    rows = swept(FLAT)
    table = temperature_table(rows[::-1]).set_index("temperature")
    frame = pd.DataFrame(rows).groupby("temperature")["accuracy"]
    for temperature in (1, 4, 20):
        own, sd = table.loc[temperature], frame.std()[temperature]
        assert own["accuracy"] == pytest.approx(frame.mean()[temperature])
        assert own["accuracy_high"] - own["accuracy"] == pytest.approx(sd)
        assert own["accuracy"] - own["accuracy_low"] == pytest.approx(sd)
        assert (own["spread"], own["seeds"], own["series"]) == ("sd", 3, "α = 0.9")
    assert table.index.dropna().tolist() == [1, 4, 20]
    (alone,) = table[table["alone"]].to_dict("records")
    assert (alone["series"], alone["accuracy"]) == ("alone", pytest.approx(0.942))


def test_seeds_that_agree_do_not_make_a_number_certain():
    agreeing, single = temperature_table(swept({2: (950, 950, 950), 4: (960,)})).to_dict("records")
    assert (agreeing["accuracy_low"], agreeing["accuracy_high"]) == pytest.approx((0.949, 0.951)), "one image"
    assert (single["accuracy_low"], single["accuracy_high"]) == wilson(960, 1000) and single["spread"] == "interval"


def test_a_line_for_each_alpha_or_method():
    rows = swept({1: (950,)}, alpha=0.5, method="hints") + swept({1: (960,)}, alpha=0.9)
    assert temperature_table(rows)["series"].tolist() == ["α = 0.5", "α = 0.9"]
    assert temperature_table(rows, "method")["series"].tolist() == ["hints", "soft targets"]
    with pytest.raises(UserError, match="by is 'seed'; it must be alpha or method"):
        temperature_table(rows, "seed")
