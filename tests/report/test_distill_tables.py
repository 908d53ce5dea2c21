"""Tables of distilling against numbers worked out by hand and plain pandas."""

import math

import pandas as pd
import pytest

from compression.registry import UserError
from compression.report.compare import difference, records
from compression.report.distill_tables import (
    cost_table,
    entropy_table,
    gradient_table,
    judged_table,
    learning_table,
    reliability_table,
    softening_table,
    temperature_table,
)
from compression.report.distill_titles import gap
from compression.results import wilson
from tests.report.teaching import (
    ANIMALS,
    FLAT,
    SIZES,
    TRIO,
    answer,
    bins,
    chances,
    costed,
    epochs,
    gradient,
    judged,
    swept,
)


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


def test_a_row_for_each_run_with_its_cost():
    rows = costed(**TRIO)
    frame = pd.DataFrame(rows).groupby("run", sort=False)
    for x, size in zip(("params", "macs", "packed_bytes"), SIZES["teacher"], strict=True):
        table = cost_table(rows, x).set_index("run")
        assert table["x"].tolist() == frame[x].mean().tolist() and set(table["axis"]) == {x}
        assert table.loc["distilled", "ratio"] == size / frame[x].first()["distilled"]
    assert table["accuracy"].tolist() == pytest.approx(frame["accuracy"].mean().tolist())
    assert table["spread"].tolist() == ["interval", "sd", "sd"] and table["seeds"].tolist() == [1, 3, 3]
    alone, sd = table.loc["alone"], frame["accuracy"].std()["alone"]
    assert (alone["accuracy_high"] - alone["accuracy"], alone["accuracy"] - alone["accuracy_low"]) == pytest.approx(
        (sd, sd)
    )
    assert tuple(table.loc["teacher", ["accuracy_low", "accuracy_high"]]) == wilson(9880, 10_000)


def test_the_teachers_help_is_paired_by_seed_as_where_students_are_judged():
    rows = costed(**TRIO)
    own = cost_table(rows).set_index("run").loc["distilled"]
    found = gap(records(judged_table(rows)), "accuracy", "distilled", "alone")
    assert (own["gain"], own["gain_low"], own["gain_high"]) == pytest.approx((found.better, found.low, found.high))
    apart = [160, 165, 165]  # by hand, of 10,000 images: 480 - 320, 495 - 330, 500 - 335
    half = 4.303 * math.sqrt(25 / 3) / math.sqrt(3)
    assert own["gain_high"] * 10_000 == pytest.approx(sum(apart) / 3 + half)
    single = cost_table(costed(n=360, alone=(20,), distilled=(9,))).set_index("run").loc["distilled"]
    ends = [dict(zip(("accuracy_low", "accuracy_high"), wilson(k, 360), strict=True)) | {"accuracy": k / 360}
            for k in (340, 351)]  # fmt: skip
    assert tuple(single[["gain", "gain_low", "gain_high"]]) == pytest.approx(difference(*ends))


def test_a_loss_against_one_teacher_is_as_unsure_as_images_and_seeds_make_it():
    own = cost_table(costed(n=1000, teacher=(30,), alone=(60, 50, 70))).set_index("run").loc["alone"]
    start, (low, high) = wilson(970, 1000), wilson(940, 1000)
    seeds = 4.303 * 0.01 / math.sqrt(3)  # the sd of 60, 50 and 70 is 10 of 1000
    below = math.hypot(math.hypot(0.94 - low, seeds), start[1] - 0.97)
    above = math.hypot(math.hypot(high - 0.94, seeds), 0.97 - start[0])
    found = tuple(own[["change", "change_low", "change_high"]])
    assert found == pytest.approx((-0.03, -0.03 - below, -0.03 + above), abs=1e-9)


def test_nothing_is_compared_with_itself_or_with_what_is_missing():
    table = cost_table(costed(**TRIO)).set_index("run")
    assert table["gain"].isna().tolist() == [True, True, False] and table["change"].isna().tolist() == [
        True, False, False,
    ]  # fmt: skip
    lonely = cost_table(costed(distilled=(10, 12)))
    assert lonely[["gain", "gain_low", "change", "change_high", "ratio"]].isna().all(axis=None)
    unknown = cost_table([row | {"macs": None} for row in costed(**TRIO)], "macs")
    assert unknown["x"].isna().all() and unknown["ratio"].isna().all() and len(unknown) == 3


def test_an_accuracy_with_its_deviation_stays_below_one():
    (own,) = records(cost_table(costed(n=100, distilled=(0, 0, 4))))
    assert own["accuracy_high"] == 1.0 and own["accuracy_low"] == pytest.approx(296 / 300 - math.sqrt(16 / 3) / 100)


def test_a_cost_that_is_none_is_refused():
    with pytest.raises(UserError, match="Unknown cost 'speedup'; choose one of: params, macs, packed_bytes"):
        cost_table([], "speedup")
