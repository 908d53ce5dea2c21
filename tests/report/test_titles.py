"""Sentences over charts: what they say for hand-made results, and that they stay short."""

import itertools

import numpy as np
import pytest

from compression.report import titles
from compression.report.bins import filter_grid
from compression.report.compare import records
from compression.report.measures import AXES
from compression.report.tables import (
    change_table,
    class_table,
    curve_table,
    history_table,
    layer_table,
    speed_table,
    tradeoff_table,
)
from compression.results import Epoch, LayerReport
from tests.report.rows import row, sweep, timed


def tradeoff(rows, x="packed_bytes", tolerance=titles.TOLERANCE):
    return titles.tradeoff_title(records(tradeoff_table(rows, x)), tolerance)


def curve(rows, tolerance=titles.TOLERANCE):
    return titles.curve_title(records(curve_table(rows)), tolerance)


def test_the_trade_off_names_the_greatest_gain_within_a_point():
    assert tradeoff(sweep()) == "Removing 30 % of channels makes it 2.0× smaller and costs 0.5 points, within noise"
    assert tradeoff(sweep(), tolerance=0.03) == "Removing 50 % of channels makes it 4.0× smaller and costs 3.0 points"
    assert tradeoff(sweep(), "macs") == "Removing 30 % of channels cuts MACs 2.0× and costs 0.5 points, within noise"
    assert tradeoff(sweep(), "speedup") == (
        "Removing 30 % of channels makes it 1.6× faster and costs 0.5 points, within noise"
    )
    assert (
        tradeoff(sweep()[:3], tolerance=0.0) == "Removing 30 % of weights makes it 1.4× smaller and costs no accuracy"
    )


def test_a_loss_beyond_noise_is_not_called_noise():
    rows = [row("baseline", 0, 9800, 10_000), row("channels", 0.5, 9720, 10_000, packed_bytes=25_000)]
    assert tradeoff(rows) == "Removing 50 % of channels makes it 4.0× smaller and costs 0.8 points"


def test_a_speed_up_within_its_noise_is_no_gain():
    rows = [row("baseline", 0, 392, **timed(1.0)), row("weights", 0.5, 392, **timed(1.07, half=0.1))]
    assert tradeoff(rows, "speedup") == "Nothing faster stays within 1 point of the baseline"


def test_what_grew_is_no_gain():
    rows = [row("baseline", 0, 392), row("weights", 0.05, 392, packed_bytes=102_000)]
    assert tradeoff(rows) == "Nothing smaller stays within 1 point of the baseline"
    assert tradeoff(rows, "params") == "Nothing with fewer parameters stays within 1 point of the baseline"


def test_a_pattern_is_named_as_such():
    rows = [row("baseline", 0, 392), row("2:4", 0.5, 391, packed_bytes=56_000)]
    assert tradeoff(rows) == "The 2:4 pattern makes it 1.8× smaller and costs 0.2 points, within noise"


def test_what_cannot_be_said_is_said():
    assert tradeoff([]) == "Nothing has been measured yet"
    assert tradeoff(sweep()[:1]) == "Only the baseline has been measured so far"
    assert tradeoff(sweep()[1:]) == "There is no baseline to compare these models with"
    untimed = [row("baseline", 0, 392), row("weights", 0.5, 390)]
    assert tradeoff(untimed, "speedup") == "Speed-up of the pruned models has not been measured yet"
    assert tradeoff([sweep()[0], sweep()[6]]) == "Nothing smaller stays within 1 point of the baseline"


def test_within_a_budget_the_most_accurate_is_best():
    rows = records(tradeoff_table(sweep()))
    best = titles.best_within(rows, 50_000)
    assert (best["granularity"], best["sparsity"]) == ("channels", 0.3)
    alone = [row for row in rows if row is best or row["accuracy"] < 0.9]
    assert titles.budget_title(alone, best, 50_000) == "Within 50 KB: removing 30 % of channels is best, 97.5 %"
    assert titles.best_within(rows, 5_000) is None
    assert titles.budget_title(rows, None, 5_000) == "Within 5 KB: no measured model keeps to this budget"
    whole = titles.best_within(rows, 100_000)
    assert whole["granularity"] == "weights", "as accurate as the baseline, and cheaper"
    fast = records(tradeoff_table(sweep(), "speedup"))
    assert titles.best_within(fast, 2.0)["sparsity"] == 0.5
    assert titles.budget_title(fast, titles.best_within(fast, 2.0), 2.0).startswith("At least 2.0×: removing 50 %")


def test_what_leads_within_a_budget_is_not_called_best_where_others_are_within_noise():
    near = [row("weights", s, n, packed_bytes=9_000) for s, n in ((0.5, 390), (0.6, 388), (0.9, 200))]
    rows = records(tradeoff_table(near))
    title = titles.budget_title(rows, titles.best_within(rows, 10_000), 10_000)
    assert title == "Within 10 KB: removing 50 % of weights leads, 97.5 %; 1 other within noise"


def test_the_subtitle_says_where_numbers_come_from():
    rows = sweep()
    words = titles.tradeoff_subtitle(records(tradeoff_table(rows, "speedup")))
    assert words == (
        "Accuracy on validation images without fine-tuning, n = 400, 95 % interval"
        " · speed-up (ONNX Runtime, batch 1) · both measured"
    )
    rows[1] = rows[1] | {"speedup": None}
    rows = [r | {"epochs": 3} if r["granularity"] != "baseline" else r for r in rows]
    words = titles.tradeoff_subtitle(records(tradeoff_table(rows, "speedup")), least=0.7)
    assert "after 3 epochs of fine-tuning" in words
    assert "1 of 7 without it are not drawn" in words
    assert words.endswith("1 below 70 % are off the chart")
    macs = titles.tradeoff_subtitle(records(tradeoff_table(sweep(), "macs")))
    assert macs.endswith("MACs per image · counted; accuracy measured")
    seeds = [row("baseline", 0, 392), row("weights", 0.5, 390), row("weights", 0.5, 380, seed=1)]
    assert "95 % interval or ± sd of 2 seeds" in titles.tradeoff_subtitle(records(tradeoff_table(seeds)))


def test_curves_say_how_far_one_can_go():
    assert curve(sweep()) == "Weights can go to 50 % before accuracy drops 1 point"
    assert curve([sweep()[0], *sweep()[4:]]) == "Channels can go to 30 % before accuracy drops 1 point"
    assert curve(sweep(), 0.05) == "Weights can go to 70 % and stay within 5 points"
    assert curve([sweep()[0], sweep()[6]]) == "Removing 70 % of channels already costs more than 1 point"
    assert curve([row("baseline", 0, 392), row("1:4", 0.75, 380)]) == "The 1:4 pattern changes accuracy by −3.0 points"
    assert curve(sweep()[:1]) == "Only the baseline has been measured so far"
    assert curve([]) == "Nothing has been measured yet"


def test_a_curve_that_recovers_later_stops_at_its_first_fall():
    rows = [row("baseline", 0, 392), row("weights", 0.3, 300), row("weights", 0.5, 392)]
    assert titles.furthest(records(curve_table(rows))) == 0.0


def test_sparsity_is_not_speed():
    rows = records(speed_table(sweep()))
    assert titles.speed_title(rows) == "Removing 50 % of channels makes it 2.2× faster; zeroing weights, no faster"
    assert titles.speed_title(rows, 0.8).startswith("Removing 70 % of channels makes it 3.0×")
    assert titles.speed_title([]) == "Sparsity is not speed: time both kinds to see it"


def test_sparsity_that_is_speed_is_not_denied():
    rows = [row("baseline", 0, 392), row("rows", 0.5, 390, **timed(1.0)), row("kernels", 0.5, 390, **timed(1.4))]
    assert titles.speed_title(records(speed_table(rows))) == (
        "Removing 50 % of neurons does not make it faster; zeroing kernels, 1.4× faster"
    )


def test_histograms():
    assert titles.histogram_title(1000, 600, 0.0213, True, "weights") == (
        "60 % of weights lie within ±0.0213 and are pruned"
    )
    assert titles.histogram_title(64, 16, 0.8, False, "channels") == "25 % of channels lie below 0.8 and are pruned"
    assert titles.histogram_title(64, 16, None, False, "channels") == "25 % of channels are pruned"
    assert titles.histogram_title(64, 0, 0.8, False, "channels") == "No channels are pruned yet"


def layers(*achieved):
    return records(
        layer_table(
            [
                LayerReport(layer=f"fc{i}", shape=(8, 8), asked=0.5, achieved=value, kept=4, width=8)
                for i, value in enumerate(achieved)
            ]
        )
    )


def test_layers():
    assert titles.layer_title(layers(0.5, 0.75, 0.1)) == "fc1 loses most (75 %), fc2 least (10 %)"
    assert titles.layer_title(layers(0.5, 0.5)) == "Every layer loses 50 %"
    assert titles.layer_title(layers(0.5)) == "fc0 loses 50 %"


def test_classes():
    rows = records(class_table({"cat": 0.9, "dog": 0.9}, {"cat": 0.8, "dog": 0.95}))
    assert titles.class_title(rows) == "Class cat loses most, −10.0 points; 1 of 2 classes lose"
    assert titles.class_title(records(class_table({"cat": 0.9}, {"cat": 0.9}))) == "No class loses accuracy"


def test_classes_that_lose_as_much_are_all_named():
    before = {"ant": 0.9, "cat": 0.8, "dog": 0.7, "eel": 0.9}
    rows = records(class_table(before, {"ant": 0.9, "cat": 0.7, "dog": 0.6, "eel": 0.85}))
    assert titles.hit_hardest(rows) == ["cat", "dog"]
    assert titles.class_title(rows) == "Classes cat and dog lose most, −10.0 points; 3 of 4 classes lose"
    alike = records(class_table(dict.fromkeys("abcde", 0.9), dict.fromkeys("abcde", 0.8)))
    assert titles.class_title(alike) == "5 classes lose most, −10.0 points; 5 of 5 classes lose"


def test_filters():
    ones = np.ones((4, 2, 2))
    assert titles.filter_title(filter_grid(ones)) == "The first layer is whole"
    assert titles.filter_title(filter_grid(ones, [True, False, False, False])) == (
        "1 of 4 first-layer filters is removed"
    )
    ones[0] = 0
    assert titles.filter_title(filter_grid(ones)) == "25 % of the first layer's weights are zero"


def test_training_and_changes():
    rest = {"train_loss": 1, "train_accuracy": 1, "lr": 1, "seconds": 1}
    epochs = [Epoch(stage=1, epoch=i, val_loss=0.5 / i, val_accuracy=0.9 + i / 100, **rest) for i in (1, 2, 3)]
    rows = records(history_table(epochs))
    assert titles.history_title(rows, "accuracy") == "Validation accuracy went from 91.0 % to 93.0 % in 3 epochs"
    assert titles.history_title(rows, "loss") == "Validation loss went from 0.5 to 0.167 in 3 epochs"
    assert titles.history_title(rows[:1], "accuracy") == "After 1 epoch validation accuracy is 91.0 %"
    after = row("channels", 0.5, 380, packed_bytes=25_000, macs=250_000)
    rows = records(change_table(sweep()[0], after))
    assert titles.change_title(rows) == "4.0× smaller, 4.0× fewer MACs"
    assert titles.change_title(records(change_table(after, after))) == "Nothing got smaller"


@pytest.mark.parametrize(
    ("x", "granularity", "correct"),
    list(itertools.product(AXES, ["weights", "channels", "rows", "kernels", "4:8"], [392, 390, 100])),
)
def test_no_title_is_longer_than_fifteen_words(x, granularity, correct):
    costs = {"latency_ms": 5.0, "energy_mj": 0.1, "eager_speedup": 1.0}
    less = {"latency_ms": 2.0, "energy_mj": 0.05, "nonzero": 999, "params": 999, "macs": 9, "memory_bytes": 9}
    less |= {"packed_bytes": 9, "file_bytes": 9, "eager_speedup": 2.0, **timed(2.0)}
    rows = [row("baseline", 0, 392, **costs, **timed(1.0)), row(granularity, 0.625, correct, **less)]
    points = records(tradeoff_table(rows, x))
    for title in (
        titles.tradeoff_title(points),
        titles.tradeoff_title(points, 0.005),
        titles.budget_title(points, points[1], 123.4),
        titles.curve_title(records(curve_table(rows))),
    ):
        assert len(title.split()) <= 15, title
