"""Picking from a table, and the one line for a name that is not in it."""

from __future__ import annotations

import dataclasses

import pytest

from compression.registry import Method, UserError, pick, unknown

TABLE = {"magnitude": 1, "taylor": 2, "random": 3}


def test_pick_returns_the_entry_itself() -> None:
    assert [pick(TABLE, key, "criterion") for key in TABLE] == [1, 2, 3]


def test_a_misspelt_name_is_told_the_nearest_and_all_that_exist() -> None:
    with pytest.raises(UserError) as fault:
        pick(TABLE, "magnitud", "criterion")
    assert str(fault.value) == (
        "Unknown criterion 'magnitud' (did you mean 'magnitude'?); choose one of: magnitude, taylor, random"
    )


def test_a_name_like_no_other_gets_no_hint() -> None:
    with pytest.raises(UserError, match=r"^Unknown criterion 'zzz'; choose one of: magnitude, taylor, random$"):
        pick(TABLE, "zzz", "criterion")


@pytest.mark.parametrize("given", [None, 3, 0.5, ["a"], "", "two\nlines"])
def test_whatever_is_given_the_answer_is_one_line(given: object) -> None:
    assert "\n" not in unknown("scope", given, ("layer", "global"))


def test_user_error_is_a_value_error() -> None:
    # So that code which knows nothing of us still sees what it is: bad input.
    assert issubclass(UserError, ValueError)


def test_a_card_cannot_be_changed() -> None:
    card = Method("l1", "L1", "Sum of absolute weights.", r"\sum|w|", "Li 2017", abs)
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.key = "l2"  # type: ignore[misc]
    assert card.call(-3) == 3 and card.needs == ()
