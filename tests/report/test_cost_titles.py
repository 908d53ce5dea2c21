"""The sentence over teacher and students says what their intervals show, and no more."""

import itertools

import pytest

from compression.report import cost_titles as titles
from compression.report.compare import records
from compression.report.distill_tables import cost_table
from tests.report.teaching import SIZES, TRIO, costed

LARGER = {"teacher": (20_000, 20_000, 20_000)}
SAME = {"teacher": (35_294, 70_588, 141_176)}


def told(x="params", n=10_000, sizes=SIZES, **wrong):
    return titles.cost_title(records(cost_table(costed(n, sizes, **wrong), x)))


def test_a_loss_and_what_is_won_back():
    assert told(**TRIO) == "34× fewer parameters cost 3.7 points; the teacher wins back 1.6"
    assert told("macs", **TRIO) == "34× fewer MACs cost 3.7 points; the teacher wins back 1.6"
    assert told("packed_bytes", **TRIO) == "Being 34× smaller costs 3.7 points; the teacher wins back 1.6"
    whole = TRIO | {"distilled": (118, 119, 123)}
    assert told(**whole) == "34× fewer parameters cost 3.7 points; the teacher wins back all"
    above = TRIO | {"distilled": (50, 52, 51)}
    assert told(**above) == "34× fewer parameters cost 3.7 points; the teacher wins back all and more"
    hurt = TRIO | {"distilled": (580, 593, 602)}
    assert told(**hurt) == "34× fewer parameters cost 3.7 points; distilling costs 1.0 points more"


def test_what_is_within_noise_is_said_to_be():
    few = told(n=360, teacher=(6,), alone=(14,), distilled=(13,))
    assert few == "34× fewer parameters cost no more than noise; the teacher's help is within noise"
    assert told(**TRIO | {"distilled": (500, 470, 505)}) == (
        "34× fewer parameters cost 3.7 points; the teacher's help is within noise"
    )
    assert told(**TRIO | {"alone": (480,), "distilled": (460,)}).endswith("help is within noise"), "20 images of 10,000"
    helped = told(teacher=(120,), alone=(135, 138, 140), distilled=(115, 118, 121))
    assert helped == "34× fewer parameters cost no more than noise; the teacher adds 0.2 points"
    assert told(teacher=(120,), alone=(115, 118, 121), distilled=(135, 138, 140)).endswith(
        "than noise; distilling costs 0.2 points"
    )


def test_two_seeds_are_few():
    pair = {"teacher": (120,), "alone": (480, 500), "distilled": (300, 350)}
    assert told(**pair).endswith("the teacher's help is within noise"), (
        "180 and 150: t of one degree of freedom is 12.7"
    )


def test_a_student_larger_than_its_teacher():
    better = {"teacher": (480,), "alone": (320, 330, 335), "distilled": (120, 125, 130)}
    assert told(sizes=LARGER, **better) == "1.8× more parameters gain 1.5 points; the teacher adds 2.0 points"
    assert told(sizes=LARGER, **TRIO) == "1.8× more parameters still cost 3.7 points; the teacher wins back 1.6"
    assert told("packed_bytes", sizes=LARGER, **TRIO).startswith("Being 7.1× larger still costs 3.7 points")
    alike = told("macs", sizes=LARGER, teacher=(490,), alone=(480, 495, 500), distilled=(481, 490, 500))
    assert alike == "3.5× more MACs gain no more than noise; the teacher's help is within noise"
    assert told(sizes=SAME, **TRIO) == "At equal cost the student loses 3.7 points; the teacher wins back 1.6"
    assert told(sizes=SAME, **better) == "At equal cost the student gains 1.5 points; the teacher adds 2.0 points"


def test_the_parts_that_there_are():
    assert told(teacher=(120,), alone=(480, 495, 500)) == "34× fewer parameters cost the student alone 3.7 points"
    assert told(teacher=(120,), distilled=(330,)) == "34× fewer parameters cost the distilled student 2.1 points"
    assert told(alone=(480, 495, 500), distilled=(320, 330, 335)) == "Distilling adds 1.6 points at equal cost"
    assert told(alone=(480,), distilled=(470,)) == "What distilling adds to the student alone is within noise"
    assert told(teacher=(120,)) == "The teacher reaches 98.8 %"
    assert told(distilled=(120, 130)) == "The distilled student reaches 98.8 %"


def test_of_several_methods_one_beyond_noise_is_named():
    rivals = TRIO | {"distilled": (450, 460, 470), "hints": (60, 700, 80)}
    assert told(**rivals).endswith("the teacher wins back 0.3"), "hints may be luck"
    assert told(**TRIO | {"hints": (220, 230, 240)}).endswith("; the hints student wins back 2.6")
    dear = SIZES | {"hints": (600_000, 600_000, 600_000)}
    assert told(sizes=dear, **TRIO | {"hints": (220, 230, 240)}).endswith("the teacher wins back 1.6"), (
        "a student of another size shows more than the teacher's help"
    )


def test_what_is_drawn():
    rows = records(cost_table(costed(**TRIO)))
    assert titles.cost_subtitle(rows) == (
        "Accuracy on test images, n = 10,000, 95 % interval or ± sd of 3 seeds"
        " · parameters · counted; accuracy measured"
    )
    assert titles.cost_subtitle(records(cost_table(costed(**TRIO), "packed_bytes"))).endswith(
        "size with zeros packed · both measured"
    )


@pytest.mark.parametrize("name", ["distilled", "hints", "one two three four five six seven eight nine"])
def test_no_title_is_longer_than_fifteen_words(name):
    errors = [(120, 121, 122), (480, 490, 500), (20, 800, 900)]
    for x, sizes, alone, own in itertools.product(("params", "packed_bytes"), (SIZES, LARGER, SAME), errors, errors):
        for group in ({"teacher": (300,), "alone": alone}, {"teacher": (300,)}, {"alone": alone}, {}):
            title = told(x, sizes=sizes, **group, **{name: own})
            assert 1 <= len(title.split()) <= 15, title
            assert "nan" not in title and not title.endswith("…") or name.startswith("one two"), title
