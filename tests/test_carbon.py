"""CO₂ of energy, worked out by hand, and grids by name or number."""

from __future__ import annotations

import pytest

from compression.carbon import GRIDS, MOST, WORLD, grams_per_million, read_grid
from compression.registry import UserError


def test_a_million_images_of_one_millijoule_take_a_kilojoule() -> None:
    kilowatt_hours = 1_000_000 * 0.001 / (1000 * 3600)
    assert grams_per_million(1.0, 400.0) == pytest.approx(kilowatt_hours * 400)
    assert grams_per_million(2.5, 0.0) == 0.0
    assert grams_per_million(1.0) == grams_per_million(1.0, GRIDS["world"].g_per_kwh)


def test_every_grid_names_its_year_and_source() -> None:
    assert WORLD == 481 and all(0 < grid.g_per_kwh < MOST and grid.year and grid.source for grid in GRIDS.values())


def test_a_grid_is_a_name_or_a_number() -> None:
    assert read_grid("france") == 56 and read_grid("12.5") == 12.5 and read_grid("0") == 0


@pytest.mark.parametrize("text", ["mars", "-1", "nan", "inf", "2001", ""])
def test_any_other_grid_is_told_what_is_allowed(text: str) -> None:
    with pytest.raises(UserError, match=f"grid is '{text}'; give g of CO₂ per kWh from 0 to 2000, or one of: world"):
        read_grid(text)
