"""A study's story: every sentence and number against a hand calculation, and none that claims what is noise."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import pandas as pd
import pytest

from compression.goals import Constraint
from compression.recipe import validated
from compression.registry import UserError
from compression.report import story_numbers
from compression.report import story_tables as tables
from compression.report import story_words as words
from compression.report.compare import answers_change
from compression.report.cover import Cover
from compression.report.savings import ASSUMED, Assumptions
from compression.report.story import ClassAnswers, Evidence, Story, story
from compression.report.story_sections import sections
from compression.results import wilson
from tests.report.told import FAST, POOR, SEEN, SLOW, made, rows, studied

YEAR = 365e6
"""Requests, at a million a day."""


def numbers_of(told: Story, shown: Cover | None = None) -> pd.DataFrame:
    return story_numbers.numbers(told, shown or Cover())


def by_measure(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {line["measure"]: line for line in table.to_dict("records")}


def test_the_headline_says_what_was_gained_and_lost() -> None:
    told = made()
    # 100 / 32 = 3.1; of 1,000 answers 26 were lost and 5 won. Bonett and Price: (6 - 27) / 1002 = -2.10 points, and
    # 1.96 * sqrt((6/1002 + 27/1002 - (21/1002)^2) / 1002) = 1.12 points on either side.
    assert words.headline(told, told.points[0]) == "3.1× smaller and 2.4× faster, −2.1 ± 1.1 points"


@pytest.mark.parametrize(
    ("trial", "seen", "said"),
    [
        (FAST, None, "3.1× smaller and 2.4× faster, accuracy the same within noise (−1.0 ± 1.4 points)"),
        (SLOW, None, "2.0× smaller, accuracy the same within noise (−0.2 ± 1.3 points)"),
        (POOR, None, "10× smaller, −28.0 ± 3.0 points"),
        (SLOW, Evidence("test", (ClassAnswers("a", 1000, 990, 0, 0),)),
         "2.0× smaller, accuracy the same within noise (0.0 ± 0.3 points)"),
    ],
)  # fmt: skip
def test_nothing_within_noise_is_claimed(trial: int, seen: Evidence | None, said: str) -> None:
    told = made(trial, seen=seen)
    assert words.headline(told, told.points[0]) == said


def test_a_difference_of_answers_is_that_of_the_formula() -> None:
    lost, won, n = 7, 2, 50
    gained, gone = 3 / 52, 8 / 52
    side = NormalDist().inv_cdf(0.975) * math.sqrt((gained + gone - (gained - gone) ** 2) / 52)
    assert answers_change(lost, won, n) == pytest.approx((-0.1, gained - gone - side, gained - gone + side), abs=1e-6)
    assert answers_change(9, 0, 10, z=4.0)[1] == -1.0
    change, low, high = answers_change(0, 0, 360)
    assert change == 0 and low == -high


def test_every_sentence_is_that_of_a_hand_calculation() -> None:
    told = made()
    point = told.points[0]
    assert words.chosen_words(told) == (
        "A, suggested among 3 settings under accuracy ≥ 95 % and packed size ≤ 40 KB: channels 60 % (trial 0)."
    )
    # (396 + 297 + 290) / 1000, and less the 26 that were lost, with the 5 that were won.
    assert words.accuracy_words(told, point) == (
        "Accuracy 98.3 % before, 96.2 % after, on 1,000 test images that no choice has seen."
    )
    changed, worst = words.harm_words(point)
    assert changed == (
        "35 of 1,000 answers on test images changed: 26 from right to wrong, 5 from wrong to right, "
        "4 from one wrong answer to another."
    )
    z = NormalDist().inv_cdf(1 - 0.025 / 3)
    _, low, high = answers_change(20, 0, 300, z)
    ends = f"−{-100 * low:.1f} points to −{-100 * high:.1f} points"
    assert worst == f"Class b loses most: −6.7 points of 300 images ({ends})."
    # 365 M requests of 1.2 ms are 121.7 hours; 1 - 1/2.4, 1 - 1/2.3 and 1 - 1/2.5 of them are saved, at $0.05.
    assert words.savings_words(told, point) == [
        "At 1 million requests a day $3.55 a year is saved ($3.44 to $3.65): 71 of 122 machine hours.",
        # 365e6 * 3 mJ / 3.6e9, three quarters of it, and 481 g for each kWh.
        "0.228 of 0.304 kWh of energy a year is saved, and 0.11 kg CO₂ (modelled).",
    ]
    # 7200 s over 0.7 ms; 2 h at 15 W over 2.25 mJ.
    assert words.break_even_words(told, point) == [
        "The search took 2 h of one worker, about 0.03 kWh.",
        "It is paid for in machine time after 10.3 million requests: 10.3 days at this traffic.",
        "It is paid for in energy after 48 million requests: 48 days at this traffic.",
    ]
    assert words.footnote(told) == [
        "Study s: net on digits, 3 trials, seed 0, validation images n = 1,000, last run 3 May 2026.",
        f"Accuracy of the baseline on these images 98.0 % (95 % interval {100 * wilson(980, 1000)[0]:.1f}–98.7 %).",
        "Latency: onnxruntime, batch 1, one thread, in pairs with the baseline.",
        "Energy: modelled; CO₂ by the grid stated.",
        "Machine: A cpu, An OS, 2 cores.",
        "Versions: python 3.11, torch 2.15.",
    ]
    assert words.title(told, Cover(title="Ours")) == "Ours" and words.title(told, Cover()) == "net, compressed"


def test_a_study_of_one_setting_is_told_as_one() -> None:
    only = [row for row in rows() if row["trial"] in (-1, FAST)]
    told = made(rows=only, constraints=(Constraint.read("accuracy >= 99 %"),))
    assert words.chosen_words(told) == (
        "A, the only setting, under accuracy ≥ 99 %, which it does not meet: channels 60 % (trial 0)."
    )
    assert ", 1 trial, seed 0," in words.footnote(told)[0]
    titles = [part.chart.title for part in sections(told) if part.chart]
    assert titles[0] == "The only trial does not meet accuracy ≥ 99 %; it has 97 %"
    bare = [{key: value for key, value in row.items() if key != "1.prune.sparsity"} for row in only]
    bare = [bare[0], {**bare[1], "granularity": "", "sparsity": ""}]
    assert words.chosen_words(made(rows=bare, constraints=())) == "A, the only setting: trial 0."


def test_sentences_change_when_the_data_does() -> None:
    told = made(SLOW)
    assert words.savings_words(told, told.points[0]) == [
        "At 1 million requests a day no machine time is saved beyond noise (speed-up 1.01×, 0.98 to 1.04).",
        "No energy is saved.",
    ]
    assert words.break_even_words(told, told.points[0])[1] == "Nothing is clearly saved to pay for it."
    assert words.chosen_words(told) == (
        "A, picked by hand among 3 settings under accuracy ≥ 95 % and packed size ≤ 40 KB, which it does not meet: "
        "weights 50 % (trial 1)."
    )
    even = replace(SEEN, classes=(ClassAnswers("a", 500, 490, 3, 3), ClassAnswers("b", 500, 490, 4, 1)))
    assert words.harm_words(made(seen=even).points[0])[1].startswith("No class loses beyond noise; the most is −0.6")
    gaining = replace(SEEN, classes=(ClassAnswers("a", 1000, 900, 0, 5),), otherwise=0)
    assert words.harm_words(made(seen=gaining).points[0])[1] == "No class loses accuracy."
    same = replace(SEEN, classes=(ClassAnswers("a", 1000, 900, 0, 0),), otherwise=0)
    assert words.harm_words(made(seen=same).points[0])[0] == "None of 1,000 answers on test images changed."
    assert words.harm_words(made(seen=None).points[0]) == [
        "Which answers changed is not known: the model of this trial, or its data, is not here."
    ]
    unseen = made(seen=None)
    assert words.accuracy_words(unseen, unseen.points[0]).endswith("validation images that it was chosen by, too.")


def test_what_got_slower_is_told_as_such() -> None:
    slower = rows()[2] | {"speedup": 0.5, "speedup_low": 0.48, "speedup_high": 0.52}
    told = made(SLOW, rows=[rows()[0], slower])
    assert words.headline(told, told.points[0]).startswith("2.0× smaller and 2.0× slower, ")
    # Twice the 121.7 hours; 1/0.52 - 1 and 1/0.48 - 1 of them at the ends.
    assert words.savings_words(told, told.points[0])[0] == (
        "At 1 million requests a day $6.08 a year is added ($5.62 to $6.59): 122 on top of 122 machine hours."
    )
    assert words.earned(told, told.points[0]) == []


def test_what_was_not_measured_is_not_told() -> None:
    untimed = [{key: value for key, value in row.items() if "speedup" not in key and "latency" not in key}
               for row in rows()]  # fmt: skip
    told = made(rows=untimed)
    assert words.headline(told, told.points[0]) == "3.1× smaller, −2.1 ± 1.1 points"
    assert "latency was not measured" in words.savings_words(told, told.points[0])[0]
    assert {"latency_ms", "speedup"}.isdisjoint(by_measure(numbers_of(told)))
    assert [one.key for one in words.earned(told, told.points[0])] == ["energy"]


@pytest.mark.parametrize("requests", [0, 1e12])
def test_any_traffic_can_be_told(requests: float) -> None:
    told = made(assumed=Assumptions(requests_per_day=requests))
    saved, paid = words.savings_words(told, told.points[0]), words.break_even_words(told, told.points[0])
    if requests:
        assert saved[0].startswith(
            "At 1 trillion requests a day $3.55 million a year is saved ($3.44 million to $3.65 million)"
        )
        assert paid[1].endswith("10.3 million requests: less than a day at this traffic.")
    else:
        assert saved == ["At 0 requests a day nothing is saved."]
        assert paid[1].endswith("10.3 million requests: never at this traffic.")


def test_every_number_is_traced_to_the_stored_rows() -> None:
    given = {"requests_per_day": 2e6, "price_per_hour": 0.2, "energy_mj": 60.0, "g_per_kwh": 30.0, "watts": 50.0}
    told = made(FAST, SLOW, assumed=Assumptions(**given, currency="€"))
    start, fast, slow, _ = rows()
    requests = 2e6 * 365
    hours = [requests * 1.2 / 3.6e6 / speed for speed in (1, 2.4, 1.01, 2.3, 2.5, 0.98, 1.04)]
    kwh = [requests * 60 * part / 3.6e9 for part in (1, 0.75 / 3.0, 1)]
    blank = [math.nan] * 3
    changes = answers_change(26, 5, 1000)
    classes = {one.name: (one.before, one.after, ends) for one, *ends in SEEN.changes()}
    expected: dict[str, list[float]] = {  # baseline, A, B, each followed by its low and high end
        "accuracy, test images": ends(*[(k / 1000, *wilson(k, 1000)) for k in (983, 962, 962)]),
        "accuracy, validation images": ends(*[(k / 1000, *wilson(k, 1000)) for k in (980, 970, 978)]),
        "speedup": ends(1, (2.4, 2.3, 2.5), (1.01, 0.98, 1.04)),
        "change of accuracy, test images": ends(math.nan, changes, changes),
        "change of accuracy, test images, half interval": ends(
            math.nan, *[max(changes[0] - changes[1], changes[2] - changes[0])] * 2
        ),
        "test images": ends(math.nan, 1000, 1000),
        "answers changed, test images": ends(math.nan, 35, 35),
        "answers from right to wrong, test images": ends(math.nan, 26, 26),
        "answers from wrong to right, test images": ends(math.nan, 5, 5),
        "answers from one wrong answer to another, test images": ends(math.nan, 4, 4),
        "hours a year": ends(*hours[:3]),
        "hours saved a year": [*blank, *(hours[0] - hours[at] for at in (1, 3, 4, 2, 5, 6))],
        "money saved a year": [*blank, *(0.2 * (hours[0] - hours[at]) for at in (1, 3, 4, 2, 5, 6))],
        "money a year": ends(*(0.2 * one for one in hours[:3])),
        "energy a year": ends(*kwh),
        "energy saved a year": [*blank, *[kwh[0] - kwh[1]] * 3, 0, 0, 0],
        "co2 a year": ends(*(0.03 * one for one in kwh)),
        "co2 saved a year": [*blank, *[0.03 * (kwh[0] - kwh[1])] * 3, 0, 0, 0],
        "search": ends(7200, math.nan, math.nan),
        "requests until the search is paid for in hours": ends(math.nan, 7.2e6 / 0.7, math.nan),
        "requests until the search is paid for in energy": ends(math.nan, 2 * 0.05 * 3.6e9 / 45, math.nan),
        "trial": ends(math.nan, FAST, SLOW),
        "title": ends(*[math.nan] * 3),
        "study": ends(*[math.nan] * 3),
        "energy_mj": ends(3.0, 0.75, 3.0),
    }
    for key in ("packed_bytes", "file_bytes", "params", "macs", "memory_bytes"):
        expected[key] = ends(start[key], fast[key], slow[key])
    for name, (before, after, changed) in classes.items():
        expected[f"accuracy of class {name}, test images"] = ends(before, after, after)
        expected[f"change of accuracy of class {name}, test images"] = ends(math.nan, changed, changed)
    expected |= {f"{name} assumed": ends(value, math.nan, math.nan) for name, value in given.items()}
    table = numbers_of(told)
    columns = [f"{one}{end}" for one in ("baseline", "A", "B") for end in ("", " low", " high")]
    found = {line["measure"]: [line[name] for name in columns] for line in table.to_dict("records")}
    assert len(found) == len(table) and found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, nan_ok=True), name


def ends(*cells: Any) -> list[float]:
    """Numbers in a line, each followed by the ends of its interval where it has one."""
    return [
        value for cell in cells for value in (cell if isinstance(cell, tuple | list) else (cell, math.nan, math.nan))
    ]


def test_a_csv_says_what_it_is_of_and_what_its_letters_are() -> None:
    notes = {
        line["measure"]: line["note"] for line in numbers_of(made(FAST, SLOW), Cover(title="Ours")).to_dict("records")
    }
    assert (notes["title"], notes["study"]) == ("Ours", "s")
    assert notes["trial"] == "A: channels 60 %; B: weights 50 %"
    assert notes["change of accuracy of class b, test images"] == "worst of A; worst of B"
    unnamed = by_measure(numbers_of(made(assumed=Assumptions(currency="=1"))))
    assert unnamed["title"]["note"] == "net, compressed" and unnamed["money a year"]["unit"] == "'=1"
    assert unnamed["energy_mj assumed"]["baseline"] == 3.0, "the study's own where none is given"
    formula = by_measure(numbers_of(made(), Cover(title="=1+1")))
    assert formula["title"]["note"] == "'=1+1", "no spreadsheet may take a title for a formula"


@pytest.mark.parametrize("mark", [".", ","])
def test_a_csv_reads_back_to_the_same_numbers_in_either_decimal_mark(mark: str) -> None:
    told = made(FAST, SLOW)
    text = story_numbers.csv(told, Cover(), mark).decode("utf-8-sig")
    back = pd.read_csv(io.StringIO(text), sep=story_numbers.MARKS[mark], decimal=mark)
    names = ["baseline", "A", "A low", "B high"]
    pd.testing.assert_frame_equal(back[names], numbers_of(told)[names].astype(float))
    assert ("2,4;2,3;2,5" if mark == "," else "2.4,2.3,2.5") in text
    with pytest.raises(UserError, match="Unknown decimal mark ';'; choose one of: ., ,"):
        story_numbers.csv(told, Cover(), ";")


def test_table_and_sentence_agree_in_other_units() -> None:
    told = made()
    cells = {line[0]: line[1:] for line in tables.before_after_cells(told)}
    assert cells["Size with zeros packed"] == ["100 KB", "32 KB", "measured"]
    before, after = (f"{100 * wilson(k, 1000)[0]:.1f}–{100 * wilson(k, 1000)[1]:.1f} %" for k in (983, 962))
    assert cells["Accuracy, test images"][:2] == [f"98.3 % ({before})", f"96.2 % ({after})"]
    assert cells["Speed-up"] == ["1.0×", "2.4× (2.30 to 2.50)", "measured"]
    saved = {line[0]: line[1:] for line in tables.savings_cells(told, told.points[0])}
    assert saved["Price"] == ["$6.08", "$2.53", "$3.55 ($3.44 to $3.65)"]
    assert saved["CO₂"] == ["0.146 kg CO₂", "0.0366 kg CO₂", "0.11 kg CO₂"]
    slow = made(SLOW)
    assert tables.savings_cells(slow, slow.points[0])[2][3] == "nothing beyond noise (−$0.12 to $0.23)"


def test_every_assumption_is_shown_with_its_source_and_what_was_changed_is_the_presenters() -> None:
    cells = tables.assumption_cells(made(assumed=Assumptions(price_per_hour=2, currency="€")))[1:]
    assert len(cells) == len(ASSUMED) and all(source for _, _, source in cells)
    told = {line[0]: line[1:] for line in cells}
    assert told["Price of the machine"] == ["€2.00 an hour", "given by the presenter"]
    assert told["Energy of a request before"] == ["3 mJ", "the study's baseline, modelled"]
    assert told["Requests"] == ["1 million a day", "assumption: put in your own traffic"]


def test_money_is_written_in_cents() -> None:
    few = made(assumed=Assumptions(requests_per_day=85_000))  # 71 hours of a million's, at 5 cents: 30 cents
    assert words.savings_words(few, few.points[0])[0].startswith("At 85,000 requests a day $0.30 a year is saved (")
    assert tables.savings_cells(few, few.points[0])[2] == ["Price", "$0.52", "$0.22", "$0.30 ($0.29 to $0.31)"]
    none = made(assumed=Assumptions(requests_per_day=100))
    assert words.savings_words(none, none.points[0])[0] == (
        "At 100 requests a day less than a cent a year is saved: 0.0071 of 0.0122 machine hours."
    )
    assert tables.savings_cells(none, none.points[0])[2][3] == "less than a cent"
    noisy = made(SLOW, assumed=Assumptions(price_per_hour=1))
    assert tables.savings_cells(noisy, noisy.points[0])[2][3] == "nothing beyond noise (−$2.48 to $4.68)"
    prices = [made(assumed=Assumptions(price_per_hour=one)) for one in (0.3, 0.0125)]
    assert [tables.assumption_cells(one)[2][1] for one in prices] == ["$0.30 an hour", "$0.0125 an hour"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("requests_per_day", -1), ("requests_per_day", 1e16), ("price_per_hour", math.inf), ("price_per_hour", "free"),
     ("energy_mj", 0), ("g_per_kwh", 2001), ("watts", math.nan), ("currency", "dollars")],
)  # fmt: skip
def test_an_assumption_that_cannot_be_is_one_line(field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^{field} is ") as fault:
        validated(Assumptions, {field: value})
    assert "\n" not in str(fault.value)


def test_what_is_left_is_a_share_of_the_baseline() -> None:
    both, alone = (tables.left_table(made(*trials)).set_index("key") for trials in ((FAST, SLOW), (FAST,)))
    assert both.loc["packed_bytes", ["A", "B"]].tolist() == [0.32, 0.5]
    assert alone.loc["latency_ms", "A"] == pytest.approx(0.5 / 1.2)
    assert "latency_ms" not in both.index  # each was timed beside the baseline, which took another time each time


def test_it_is_said_on_which_images_accuracies_are() -> None:
    assert words.images_words(made()) == (
        "The chart's accuracies are of 1,000 validation images, on which the study chose; those of the text are of "
        "1,000 test images, which no choice has seen."
    )
    assert words.images_words(made(seen=None)).endswith("on which the study chose, as are those of the text.")


def test_accuracies_side_by_side_are_of_the_same_images() -> None:
    told = story(studied(), (FAST, SLOW), evidence=lambda number: SEEN if number == FAST else None)
    table = by_measure(tables.before_after(told))
    assert [name for name in table if "accuracy" in name] == ["accuracy, validation images"]
    assert [table["accuracy, validation images"][name] for name in ("baseline", "A", "B")] == [0.98, 0.97, 0.978]


def test_points_stand_side_by_side_each_with_its_letter() -> None:
    told = made(SLOW, FAST, POOR, SLOW)
    assert [(point.letter, point.row["trial"]) for point in told.points] == [("A", SLOW), ("B", FAST), ("C", POOR)]
    assert tables.before_after_cells(told)[0] == ["", "before", "A", "B", "C", "how"]
    assert tables.before_after_cells(made())[0] == ["", "before", "after", "how"]


def test_seeds_are_taken_together() -> None:
    twin = rows()[1] | {"trial": 3, "seed": 1, "accuracy": 0.974, "speedup": 2.6}
    told = made(3, seen=None, rows=[*rows(), twin])
    (point,) = told.points
    assert point.change.after == pytest.approx(0.972) and point.row["speedup"] == pytest.approx(2.5)
    assert "2 seeds" in words.footnote(told)[0]


@pytest.mark.parametrize(
    ("trials", "about", "said"),
    [
        ((), {"rows": rows()[:1]}, "The study 's' has no finished trial to present"),
        ((), {"rows": rows()[:1], "failed": 4}, "has no finished trial to present; 4 could not be measured"),
        ((), {"rows": []}, "has no finished trial to present"),
        ((), {"rows": rows()[1:]}, "The study 's' has no baseline to compare with; resume it"),
        ((7,), {}, "The study 's' has no finished trial 7; it may have been deleted meanwhile"),
        ((-1,), {}, "The study 's' has no finished trial -1"),
        ((0, 1, 2, 3), {}, "4 trials are given; at most 3 are presented side by side"),
    ],
)
def test_what_cannot_be_told_is_one_line(trials: tuple[int, ...], about: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as fault:
        made(*trials, **about)
    assert said in str(fault.value) and "\n" not in str(fault.value)


def test_one_trial_alone_has_a_story() -> None:
    told = made(rows=rows()[:2])
    assert "A, the only setting, under" in words.chosen_words(told) and told.suggested


def test_the_suggestion_is_what_the_chart_names_else_the_most_accurate() -> None:
    assert made().points[0].row["trial"] == FAST
    assert made(constraints=()).points[0].row["trial"] == FAST  # the greatest gain within one point
    poor = [row for row in rows() if row["trial"] in (-1, POOR)]
    assert made(constraints=(), rows=poor).points[0].row["trial"] == POOR
    with pytest.raises(UserError, match="Unknown axis 'colour'; choose one of: packed_bytes"):
        made(axis="colour")


def test_where_nothing_is_fit_the_suggestion_is_the_nearest_and_of_equals_the_smaller() -> None:
    accurate, small = Constraint.read("accuracy >= 99 %"), Constraint.read("packed_bytes <= 40 KB")
    assert made(constraints=(accurate, small)).points[0].row["trial"] == FAST, "two points short, and small enough"
    poor = [row for row in rows() if row["trial"] in (-1, POOR)]
    larger = poor[1] | {"trial": 0, "1.prune.sparsity": 0.5, "packed_bytes": poor[1]["packed_bytes"] * 2}
    assert made(constraints=(), rows=[poor[0], larger, poor[1]]).points[0].row["trial"] == POOR


def test_models_are_not_asked_before_it_is_known_that_there_is_something_to_tell() -> None:
    asked: list[int] = []
    with pytest.raises(UserError, match="no finished trial 9"):
        story(studied(), (FAST, 9), evidence=asked.append)
    assert asked == []


def test_a_speed_up_that_is_written_as_one_saves_nothing_however_sure_it_is() -> None:
    sure = [row | {"speedup": 1.01, "speedup_low": 1.005, "speedup_high": 1.015} for row in rows()]
    told = made(SLOW, rows=[rows()[0], *sure[1:]])
    assert words.headline(told, told.points[0]) == "2.0× smaller, −2.1 ± 1.1 points"
    assert "no machine time is saved" in words.savings_words(told, told.points[0])[0]
    assert words.break_even_words(told, told.points[0])[1] == "Nothing is clearly saved to pay for it."


def test_the_evidence_adds_up() -> None:
    assert (SEEN.n, SEEN.right, SEEN.lost, SEEN.won) == (1000, 983, 26, 5)
    assert [one.name for one, *_ in SEEN.changes()] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ((0, 1), "None of 2 classes loses accuracy beyond noise"),
        ((0, 40), "1 of 2 classes loses accuracy beyond noise"),
        ((60, 40), "2 of 2 classes lose accuracy beyond noise"),
    ],
)
def test_only_classes_that_lose_beyond_noise_are_counted(lost: tuple[int, int], said: str) -> None:
    seen = Evidence("test", tuple(ClassAnswers(f"{n}", 500, 490, n, 0) for n in lost))
    assert words.losing_words(seen) == said
    (chart,) = [part.chart for part in sections(made(seen=seen)) if part.key == "harm"]
    assert chart is not None and chart.title == said
