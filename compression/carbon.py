"""CO₂ of the energy that a model takes, by the grid that it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from compression.registry import UserError, quoted

MOST = 2000.0
"""Grams a kilowatt-hour; no grid comes near."""
SOURCE = "Ember, yearly electricity data, by Our World in Data: lifecycle CO₂ equivalents of what is generated"


@dataclass(frozen=True)
class Grid:
    """The electricity of a place: grams of CO₂ equivalents for each kilowatt-hour generated, in one year."""

    label: str
    g_per_kwh: float
    year: int = 2023
    source: str = SOURCE


GRIDS: dict[str, Grid] = {
    "world": Grid("World average", 481.0),
    "norway": Grid("Norway", 30),
    "france": Grid("France", 56),
    "brazil": Grid("Brazil", 98),
    "canada": Grid("Canada", 170),
    "germany": Grid("Germany", 381),
    "australia": Grid("Australia", 549),
    "china": Grid("China", 582),
    "india": Grid("India", 713),
}
"""By name; what a grid emits changes with the hour too, so any other number may stand in for these."""
WORLD = GRIDS["world"].g_per_kwh


def grams_per_million(energy_mj: float, g_per_kwh: float = WORLD) -> float:
    r"""Grams of CO₂ equivalents for a million inferences.

    .. math:: m = 10^6 \cdot E \cdot I / 3.6 \cdot 10^9

    Args:
        energy_mj: E, millijoules for one inference.
        g_per_kwh: I, of the grid, in g/kWh; a kilowatt-hour is 3.6·10⁹ mJ.
    """
    return energy_mj * g_per_kwh / 3600


def read_grid(text: str) -> float:
    """The intensity that a grid's name or a number of g/kWh stands for.

    Raises:
        UserError: neither a name in GRIDS nor a number from 0 to MOST.
    """
    if text in GRIDS:
        return GRIDS[text].g_per_kwh
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MOST:
        names = ", ".join(GRIDS)
        raise UserError(f"grid is {quoted(text)}; give g of CO₂ per kWh from 0 to {MOST:g}, or one of: {names}")
    return number
