"""The sentences over the charts of distilling say what the rows show, and no more."""

import itertools
import math

import pytest

from compression.report import distill_titles as titles
from compression.report.compare import paired, records
from compression.report.distill_tables import (
    entropy_table,
    gradient_table,
    judged_table,
    learning_table,
    reliability_table,
    temperature_table,
)
from compression.report.runs import by_run
from tests.report.teaching import FLAT, PEAK, answer, bins, chances, epochs, gradient, judged, swept


def test_what_the_wrong_classes_hold():
    table, _ = answer()
    one, soft = (1 - chances((1, 2, 9, 5), t)[2] for t in (1, 4))
    assert titles.softening_title(records(table), 4) == (
        f"Wrong classes hold {100 * soft:.1f} % at T = 4, {100 * one:.1f} % at T = 1"
    )
    assert (
        titles.softening_title(records(answer(temperature=1)[0]), 1) == f"Wrong classes hold {100 * one:.1f} % at T = 1"
    )
    sure, _ = answer(logits=(0, 0, 30, 0))
    assert titles.softening_title(records(sure), 4).endswith("3·10⁻¹³ at T = 1")


def test_how_undecided_the_teacher_is():
    rows = records(entropy_table([1, 20], [0.02, 1.9]))
    assert titles.entropy_title(rows, 4, (2.5, 1.234)) == "At T = 2.5 the teacher is unsure by 1.2 of at most 2.0 bits"
    assert titles.entropy_title(rows, 4, None) == "From T = 1 to 20 entropy goes from 0.02 to 1.9 bits"


def test_which_wrong_class_comes_first():
    first = math.exp((5 - 2) / 4)
    assert (
        titles.dark_title(records(answer()[1]), "cat") == f"This cat looks most like dog: {first:.1f}× as likely as bee"
    )
    even = answer(logits=(5, 2, 9, 5))[1]
    assert titles.dark_title(records(even), "cat") == "This cat looks about as much like ant as like dog"
    mistaken = answer(label=3)[1]
    assert titles.dark_title(records(mistaken), "dog") == "The teacher takes this dog for cat: 2.7× as likely"
    two = answer(logits=(4, 0), classes=("cat", "dog"), label=0, temperature=1)[1]
    assert titles.dark_title(records(two), "cat") == "For this cat the teacher gives dog 1.8 %"
    far = answer(logits=(0, 1, 40, 20), temperature=1)[1]
    assert titles.dark_title(records(far), "cat").endswith(">1000× as likely as bee")


def test_classes_alike():
    assert titles.similarity_title(("cat", "dog", 0.123), 4) == "Cat looks most like dog: 12.3 % on average at T = 4"


def test_what_temperature_does_to_the_gradient():
    rows = records(gradient_table(gradient((1, 1.0, 1.0), (20, 0.005, 2.0))))
    assert titles.gradient_title(rows) == "From T = 1 to 20 the gradient shrinks 200×; with T² it grows 2.0×"
    rows[-1]["scaled"] = 1.03
    assert titles.gradient_title(rows).endswith("with T² it hardly changes")
    assert titles.gradient_title(rows[-1:]) == "At T = 20 the gradient is 0.005; with T², 1"


def learning(**runs):
    return titles.learning_title(records(learning_table(runs)))


def test_runs_are_compared_at_the_epoch_that_both_have_reached():
    both = learning(distilled=epochs(0.8, 0.9, 0.95), alone=epochs(0.7, 0.85))
    assert both == "After 2 epochs the distilled student reaches 90.0 %, the student alone 85.0 %"
    assert learning(alone=epochs(0.7)) == "After 1 epoch the student alone reaches 70.0 % on validation images"
    assert learning(distilled=epochs(0.8), alone=[]) == (
        "After 1 epoch the distilled student reaches 80.0 % on validation images"
    )


def test_the_interval_of_paired_differences_is_students():
    # By hand: differences 1, 2, 6 have mean 3 and sd √7; t(0.975, 2) = 4.303.
    middle, low, high = paired([0, 0, 0], [1, 2, 6])
    assert (middle, high - middle, middle - low) == pytest.approx(
        (3, 4.303 * math.sqrt(7 / 3), 4.303 * math.sqrt(7 / 3))
    )
    assert paired([1], [2]) is None
    many = paired([0.0] * 40, [float(at % 2) for at in range(40)])
    assert many[2] - many[0] == pytest.approx(2.131 * 0.5064 / math.sqrt(40), rel=1e-3), "never too narrow"


def judge(measure="errors", n=10_000, **errors):
    return titles.judged_title(records(judged_table(judged(n, **errors))), measure)


def test_a_gain_beyond_noise_is_stated():
    hinton = {"teacher": (67,), "alone": (146, 151, 141), "distilled": (74, 80, 72)}
    assert judge(**hinton) == "The distilled student makes 71 fewer errors than alone, 75 against 146"
    assert judge("accuracy", **hinton) == "The distilled student reaches 99.2 %, 0.7 points above the student alone"
    assert judge(n=10_000, alone=(300,), distilled=(200,)) == (
        "The distilled student makes 100 fewer errors than alone, 200 against 300"
    )


def test_a_gain_within_noise_is_not():
    same = "The distilled student is not clearly better than the student alone"
    assert judge(alone=(146, 151, 141), distilled=(140, 155, 139)) == f"{same}, 3 seeds"
    assert judge(alone=(146,), distilled=(140,)) == f"{same}, 1 seed", "six images of 10,000"
    assert judge("accuracy", n=100, alone=(10,), distilled=(5,)) == f"{same}, 1 seed"


def test_a_loss_is_stated_too():
    assert judge(alone=(74, 80, 72), distilled=(146, 151, 141)) == (
        "The distilled student is 71 errors worse than the student alone, 3 seeds"
    )


def test_of_several_methods_one_beyond_noise_is_named():
    rivals = {"alone": (146, 151, 141), "hints": (60, 190, 20), "soft targets": (100, 104, 96)}
    assert judge(**rivals) == ("The soft targets student makes 46 fewer errors than alone, 100 against 146"), (
        "hints may be luck"
    )
    assert judge(distilled=(74,)) == "The distilled student makes 74 errors"


def test_pairs_are_by_seed():
    rows = records(judged_table(judged(alone=(100, 200, 300), distilled=(90, 189, 291))))
    found = titles.gap(rows, "errors", "distilled", "alone")
    assert (found.better, found.clear, found.seeds) == (10, True, 3), "seeds differ much, their pairs little"
    assert (found.low, found.high) == pytest.approx((10 - 4.303 / math.sqrt(3), 10 + 4.303 / math.sqrt(3)))


def calibration(**runs):
    return titles.reliability_title(by_run(records(reliability_table(runs))))


GOOD, BAD = bins((3000, 0.85, 0.844), (7000, 0.98, 0.975)), bins((3000, 0.85, 0.6), (7000, 0.98, 0.9))


def test_who_is_better_calibrated():
    assert calibration(alone=BAD, distilled=GOOD) == (
        "The distilled student is better calibrated than the student alone: ECE 0.5 against 13.1 %"
    )
    assert calibration(teacher=GOOD, alone=BAD, distilled=BAD) == (
        "No model is clearly better calibrated: ECE 13.1 % to 13.1 %"
    ), "students are compared with each other"
    few = {"alone": bins((20, 0.9, 0.8)), "distilled": bins((20, 0.9, 0.85))}
    assert calibration(**few).startswith("No model is clearly better calibrated"), "one image apart"


def test_one_model_is_too_sure_or_not():
    assert calibration(teacher=BAD) == "The teacher is too sure by 13.1 points: ECE 13.1 %"
    assert calibration(teacher=bins((9000, 0.8, 0.9))) == "The teacher is too unsure by 10.0 points: ECE 10.0 %"
    even = bins((5000, 0.6, 0.7), (5000, 0.9, 0.8))
    assert calibration(teacher=even) == "The teacher is on average as sure as it is right: ECE 10.0 %"


def test_the_calibration_error_of_a_table_is_that_of_its_bins():
    found = titles.ece(records(reliability_table({"a": BAD})))
    assert found.value == pytest.approx(0.3 * 0.25 + 0.7 * 0.08)
    assert found.half == pytest.approx(1.96 * math.sqrt(0.3**2 * 0.24 / 3000 + 0.7**2 * 0.09 / 7000))


def sweep(rows, by="alpha"):
    return titles.temperature_title(records(temperature_table(rows, by)))


def test_a_temperature_stands_out_only_where_intervals_part():
    assert sweep(swept(PEAK)) == "T = 4 stands out: 97.2 %, 3.0 points above alone"
    assert sweep(swept(FLAT)) == "No temperature stands out: T = 4 is highest, 95.3 %, 1.1 points above alone"
    twins = PEAK | {20: (969, 971, 973)}
    assert sweep(swept(twins)).startswith("No temperature stands out"), "a distant rival counts as much"


def test_a_line_of_many_is_named_with_its_temperature():
    rows = swept(PEAK) + swept({1: (940, 942), 4: (943, 945)}, alpha=0.1)
    assert sweep(rows) == "α = 0.9, T = 4 stands out: 97.2 %, 3.0 points above alone"
    rows = swept(FLAT) + swept({1: (940, 942), 4: (943, 945)}, alpha=0.1)
    assert sweep(rows) == "No temperature stands out; the highest accuracy is 95.3 %, 1.1 points above alone"


def test_the_student_alone_is_beaten_only_beyond_noise():
    lucky = {None: (950, 951), 4: (953, 954)}
    assert sweep(swept(lucky)) == "T = 4 reaches 95.3 %, not clearly above alone", "two seeds are few, bars or not"
    assert sweep(swept({None: (960,), 4: (950,)})) == "T = 4 reaches 95.0 %, not clearly above alone"
    assert sweep(swept({None: (960, 961, 962), 4: (900, 901, 902)})) == "T = 4 reaches 90.1 %, 6.0 points below alone"
    assert sweep(swept({4: (950,)})) == "T = 4 reaches 95.0 %"


def test_the_first_sentence_that_fits_is_taken():
    assert titles.fitting(" ".join("a" * 16), "b") == "b"
    assert len(titles.fitting(" ".join("a" * 30)).split()) == 15


NAMES = ("7", "ankle boot", "a very long name of a class", "one two three four five six seven eight nine")


@pytest.mark.parametrize(("true", "other"), list(itertools.product(NAMES, NAMES)))
def test_no_title_is_longer_than_fifteen_words(true, other):
    classes = (true, other, "x y z", "w")
    said = []
    for logits, label, temperature in itertools.product([(9, 4, 2, 1), (9, 9, 9, 9), (90, 4, 2, 1)], (0, 1), (1, 2.5)):
        table, dark = answer(logits, classes, label, temperature)
        said += [titles.softening_title(records(table), temperature), titles.dark_title(records(dark), classes[label])]
    said.append(titles.similarity_title((true, other, 1e-7), 2.5))
    for measure, better in itertools.product(("errors", "accuracy"), (500, 1400, 1398)):
        own = {true: (better, better + 3), "alone": (1400, 1405)}
        said.append(judge(measure, **own))
    said += [calibration(**{true: GOOD, other + ".": BAD}), calibration(**{true: BAD})]
    said.append(sweep(swept(PEAK, method=true) + swept({4: (950, 951)}, method=other + "."), "method"))
    said.append(sweep(swept(FLAT, method=true) + swept({4: (950, 951)}, method=other + "."), "method"))
    said.append(learning(**{true: epochs(0.9), other + ".": epochs(0.8)}))
    assert all(1 <= len(title.split()) <= 15 for title in said), said
