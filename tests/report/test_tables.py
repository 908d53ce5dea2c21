"""Tables against plain pandas and numbers worked out by hand."""

import math

import pandas as pd
import pytest

from compression.recipe import Prune
from compression.registry import UserError
from compression.report.tables import (
    change_table,
    class_table,
    curve_table,
    history_table,
    layer_table,
    speed_table,
    tradeoff_table,
)
from compression.results import Epoch, LayerReport, wilson
from tests.report.rows import row, sweep, timed


def test_one_seed_keeps_the_measured_interval():
    table = tradeoff_table(sweep())
    assert table["accuracy"].tolist() == [r["accuracy"] for r in sweep()]
    assert (table["accuracy_low"].tolist(), table["accuracy_high"].tolist()) == tuple(
        [r[key] for r in sweep()] for key in ("accuracy_low", "accuracy_high")
    )
    assert set(table["spread"]) == {"interval"}
    assert table["x"].tolist() == [100_000, 73_000, 53_000, 33_000, 50_000, 25_000, 10_000]


def test_seeds_give_mean_and_standard_deviation_as_pandas_does():
    rows = [row("baseline", 0.0, 392)]
    for sparsity, counts in ((0.5, (380, 384, 391)), (0.7, (300, 310, 290))):
        rows += [
            row("channels", sparsity, correct, seed=seed, packed_bytes=10_000 + seed)
            for seed, correct in enumerate(counts)
        ]
    frame = pd.DataFrame(rows).query("granularity == 'channels'").groupby("sparsity")
    mean, sd = frame["accuracy"].mean(), frame["accuracy"].std()
    table = tradeoff_table(rows).set_index("sparsity").drop(index=0.0)
    for sparsity in (0.5, 0.7):
        own = table.loc[sparsity]
        assert own["accuracy"] == pytest.approx(mean[sparsity])
        assert own["accuracy_high"] - own["accuracy"] == pytest.approx(sd[sparsity])
        assert own["accuracy"] - own["accuracy_low"] == pytest.approx(sd[sparsity])
        assert (own["seeds"], own["spread"]) == (3, "sd")
        assert own["x"] == pytest.approx(10_001)


def test_seeds_that_agree_exactly_are_one_measurement():
    rows = [row("baseline", 0.0, 392), *(row("weights", 0.5, 390, seed=seed) for seed in range(3))]
    own = tradeoff_table(rows).iloc[1]
    assert (own["accuracy_low"], own["accuracy_high"]) == wilson(390, 400)
    assert (own["seeds"], own["spread"]) == (3, "interval")


def test_change_and_ratio_are_against_the_baseline_of_the_same_model():
    rows = [
        row("baseline", 0.0, 392),
        row("channels", 0.5, 380, packed_bytes=25_000, macs=250_000),
        row("baseline", 0.0, 200, model="other", packed_bytes=10),
        row("channels", 0.5, 180, model="other", packed_bytes=5),
    ]
    table = tradeoff_table(rows)
    assert table["ratio"].tolist() == [1, 4, 1, 2]
    assert table["change"].tolist() == pytest.approx([0, -0.03, 0, -0.05])
    assert tradeoff_table(rows[:2], "macs")["ratio"].tolist() == [1, 4]


def test_without_a_baseline_nothing_is_compared():
    table = tradeoff_table(sweep()[1:])
    assert table["change"].isna().all() and table["ratio"].isna().all()


def test_speed_ups_bring_their_interval_and_the_baseline_is_one():
    rows = sweep()
    rows[0] = {key: value for key, value in rows[0].items() if "speedup" not in key}
    table = tradeoff_table(rows, "speedup")
    assert table["x"].tolist() == [1.0, 1.0, 1.01, 0.99, 1.6, 2.2, 3.0]
    assert table["x_low"].tolist()[4:] == pytest.approx([1.55, 2.15, 2.95])
    assert table["ratio"].tolist() == table["x"].tolist()


def test_what_was_not_measured_stays_as_nan():
    rows = sweep()
    rows[1] = {key: value for key, value in rows[1].items() if "speedup" not in key}
    rows[2] = rows[2] | {"speedup": None}
    table = tradeoff_table(rows, "speedup")
    assert len(table) == 7
    assert table["x"].isna().tolist() == [False, True, True, False, False, False, False]


def test_series_are_named_by_what_varies():
    base = row("baseline", 0.0, 392)
    plain = [base, row("weights", 0.5, 390), row("channels", 0.5, 390)]
    assert tradeoff_table(plain)["series"].tolist() == ["baseline", "weights", "channels"]
    criteria = [*plain, row("weights", 0.5, 390, criterion="random")]
    assert tradeoff_table(criteria)["series"].tolist() == [
        "baseline", "weights, magnitude", "channels, magnitude", "weights, random",
    ]  # fmt: skip
    trained = [base, row("2:4", 0.5, 390), row("2:4", 0.5, 391, epochs=3)]
    assert tradeoff_table(trained)["series"].tolist() == [
        "baseline", "2:4 pattern, no training", "2:4 pattern, 3 epochs",
    ]  # fmt: skip


def test_an_unknown_axis_is_named():
    with pytest.raises(UserError, match="Unknown axis 'macks' .*did you mean 'macs'"):
        tradeoff_table(sweep(), "macks")


def test_no_rows_give_an_empty_table_with_its_columns():
    assert tradeoff_table([]).empty
    assert curve_table([]).empty
    assert "ratio" in tradeoff_table([]).columns
    assert speed_table([]).empty


def test_curves_start_at_the_baseline_and_are_sorted():
    rows = sweep()
    table = curve_table([rows[0], *rows[:0:-1]])
    own = {name: part for name, part in table[~table["baseline"]].groupby("series")}
    assert own["channels"]["x"].tolist() == [0.0, 0.3, 0.5, 0.7]
    assert own["channels"]["accuracy"].tolist() == [0.98, 0.975, 0.95, 0.625]
    assert own["weights"]["x"].tolist() == [0.0, 0.3, 0.5, 0.7]
    assert own["weights"]["accuracy"].tolist() == [0.98, 0.98, 0.975, 0.94]
    assert set(own["channels"]["granularity"]) == {"channels"}


def test_a_curve_without_its_baseline_starts_at_its_first_point():
    table = curve_table(sweep()[4:])
    assert table["x"].tolist() == [0.3, 0.5, 0.7]


def test_speed_keeps_only_sparsities_that_both_kinds_share():
    rows = [*sweep(), row("weights", 0.9, 300, packed_bytes=12_000, **timed(1.0))]
    table = speed_table(rows)
    assert sorted(table["sparsity"].unique()) == [0.3, 0.5, 0.7]
    half = table[table["sparsity"] == 0.5].set_index("kind")
    assert half.loc["removed", "size_ratio"] == 4.0
    assert half.loc["zeroed", "size_ratio"] == pytest.approx(100 / 53)
    assert half.loc["removed", ["speedup", "low", "high"]].tolist() == pytest.approx([2.2, 2.15, 2.25])


def test_speed_means_over_criteria_and_takes_the_widest_interval():
    rows = [*sweep(), row("channels", 0.5, 300, criterion="random", packed_bytes=25_000, **timed(2.0, 0.3))]
    own = speed_table(rows).query("sparsity == 0.5 and kind == 'removed'").iloc[0]
    assert own["speedup"] == pytest.approx(2.1)
    assert (own["low"], own["high"]) == pytest.approx((1.7, 2.3))


def test_untimed_sweeps_say_nothing_of_speed():
    assert speed_table([row("baseline", 0, 392), row("weights", 0.5, 390), row("channels", 0.5, 380)]).empty


def test_layers_keep_their_order_and_have_nan_where_nothing_was_asked():
    reports = [
        LayerReport(layer="conv", shape=(8, 1, 3, 3), asked=0.5, achieved=0.5, kept=4, width=8),
        LayerReport(layer="fc", shape=(10, 4), asked=None, achieved=0.0, kept=10, width=10, note="the output layer"),
    ]
    table = layer_table(reports)
    assert table["layer"].tolist() == ["conv", "fc"]
    assert table["asked"].iloc[0] == 0.5 and math.isnan(table["asked"].iloc[1])
    assert table[["kept", "width"]].to_numpy().tolist() == [[4, 8], [10, 10]]


def test_classes_are_sorted_by_loss_then_name():
    before = {"cat": 0.9, "dog": 0.8, "ant": 0.7, "bee": 0.6}
    after = {"cat": 0.85, "dog": 0.7, "ant": 0.65, "bee": 0.7}
    table = class_table(before, after)
    assert table["name"].tolist() == ["dog", "ant", "cat", "bee"]
    assert table["change"].tolist() == pytest.approx([-0.1, -0.05, -0.05, 0.1])
    with pytest.raises(UserError, match="Class 'bee' is in only one"):
        class_table(before, {name: after[name] for name in ("cat", "dog", "ant")})


def test_epochs_are_numbered_through_all_stages():
    epochs = [
        Epoch(stage=stage, epoch=epoch, train_loss=1, train_accuracy=0.5, val_loss=1, val_accuracy=0.5, lr=1, seconds=1)
        for stage, epoch in ((1, 1), (1, 2), (3, 1))
    ]
    table = history_table(epochs)
    assert table["step"].tolist() == [1, 2, 3]
    assert table["stage"].tolist() == [1, 1, 3]
    assert history_table([]).empty


def test_changes_are_what_is_left_of_the_baseline():
    table = change_table(row("baseline", 0, 392), row("channels", 0.5, 380, packed_bytes=25_000, macs=400_000))
    assert table["left"].tolist() == [0.25, 1.0, 0.4]
    with pytest.raises(UserError, match="Unknown axis 'weight'"):
        change_table(sweep()[0], sweep()[1], ["weight"])


def test_every_granularity_of_a_recipe_has_a_look_and_a_name():
    from typing import get_args

    from compression.report.text import named
    from compression.report.themes import STYLES

    for granularity in get_args(Prune.model_fields["granularity"].annotation):
        assert granularity in STYLES
        assert named(granularity)
