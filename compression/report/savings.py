"""What a smaller model saves at a stated traffic, and when that has paid for the search; every assumption is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from compression.carbon import GRIDS, MOST, WORLD
from compression.recipe import Frozen

Row = Mapping[str, Any]
DAYS = 365
SAME = 0.05
"""The share up to which a time is called the same: its speed-up is written as 1.0×."""
MS_AN_HOUR, MJ_A_KWH = 3.6e6, 3.6e9


class Assumptions(Frozen):
    """What a saving depends on beyond what was measured; whoever presents may change all of it.

    ``energy_mj`` is what one request takes before anything is pruned; None takes what the study has. ``watts`` is
    what one worker drew while it searched.
    """

    requests_per_day: float = Field(default=1e6, ge=0, le=1e15)
    price_per_hour: float = Field(default=0.05, ge=0, le=1e6)
    energy_mj: float | None = Field(default=None, gt=0, le=1e9)
    g_per_kwh: float = Field(default=WORLD, ge=0, le=MOST)
    watts: float = Field(default=15.0, gt=0, le=1e6)
    currency: str = Field(default="$", min_length=1, max_length=3)


@dataclass(frozen=True)
class Assumed:
    """How an assumption is called, its unit, and where its default comes from."""

    label: str
    unit: str
    source: str


ASSUMED: dict[str, Assumed] = {
    "requests_per_day": Assumed("Requests", "a day", "assumption: put in your own traffic"),
    "price_per_hour": Assumed("Price of the machine", "an hour", "assumption: about one rented core, always busy"),
    "energy_mj": Assumed("Energy of a request before", "mJ", "the study's baseline"),
    "g_per_kwh": Assumed("Grid", "g CO₂ per kWh", "a grid's average of a year"),
    "watts": Assumed("Power of a worker while it searched", "W", "assumption: about one busy core"),
}
"""By the name of the field."""


def source_of(name: str, assumed: Assumptions) -> str:
    """Where the value of an assumption is from: its default's source, a grid's, or whoever presents."""
    value = getattr(assumed, name)
    grid = next((one for one in GRIDS.values() if one.g_per_kwh == value), None)
    if name == "g_per_kwh" and grid:
        return f"{grid.label}, {grid.year}. {grid.source.partition(':')[0]}"
    return ASSUMED[name].source if value == Assumptions.model_fields[name].default else "given by the presenter"


@dataclass(frozen=True)
class Saving:
    """What one request takes of something before and after; ``low`` and ``high`` are the ends of what it saves.

    They are equal where nothing is known of how sure the saving is.
    """

    key: str
    unit: str
    before: float
    after: float
    low: float
    high: float

    @property
    def saved(self) -> float:
        """What one request saves; negative where it takes more."""
        return self.before - self.after

    @property
    def clear(self) -> bool:
        """Whether something is saved or added: the interval leaves out zero, and what was timed is more than SAME."""
        sure = self.low == self.high or abs(self.saved) > SAME * self.before
        return sure and not self.low <= 0 <= self.high


def savings(start: Row, row: Row, assumed: Assumptions) -> dict[str, Saving]:
    r"""Machine hours, money, kWh and kg of CO₂ that one request takes before and after; without what was not measured.

    .. math:: h = t / s, \quad e = E \cdot e_1 / e_0

    with the baseline's latency t, the speed-up s with its interval, the energy E assumed of a request and the
    energies e that the study has for both models.

    Args:
        start: the baseline's row.
        row: that of the model.
        assumed: prices and intensities.
    """
    found: dict[str, Saving] = {}
    if _known(row.get("speedup")) and _known(row.get("baseline_latency_ms")):
        before = row["baseline_latency_ms"] / MS_AN_HOUR
        low, high = row.get("speedup_low", row["speedup"]), row.get("speedup_high", row["speedup"])
        hours = Saving("hours", "machine hours", before, before / row["speedup"], before - before / low,
                       before - before / high)  # fmt: skip
        found |= {"hours": hours, "money": _scaled(hours, "money", assumed.currency, assumed.price_per_hour)}
    if _known(row.get("energy_mj")) and _known(start.get("energy_mj")):
        before = (assumed.energy_mj or start["energy_mj"]) / MJ_A_KWH
        after = before * row["energy_mj"] / start["energy_mj"]
        energy = Saving("energy", "kWh", before, after, before - after, before - after)
        found |= {"energy": energy, "co2": _scaled(energy, "co2", "kg CO₂", assumed.g_per_kwh / 1000)}
    return found


def _scaled(one: Saving, key: str, unit: str, by: float) -> Saving:
    return Saving(key, unit, one.before * by, one.after * by, one.low * by, one.high * by)


def _known(value: Any) -> bool:
    return value is not None and value == value


@dataclass(frozen=True)
class BreakEven:
    """What the search took of something, and after how many requests the model has saved as much."""

    key: str
    unit: str
    spent: float
    requests: float

    def days(self, requests_per_day: float) -> float:
        """After how many days at this traffic; infinite without any."""
        return self.requests / requests_per_day if requests_per_day else math.inf


def break_even(spent_seconds: float, saved: Mapping[str, Saving], assumed: Assumptions) -> list[BreakEven]:
    """When the search is paid for, in machine hours and in kWh; without what is not clearly saved.

    Args:
        spent_seconds: of one worker, for all trials together.
        saved: of ``savings``.
        assumed: says what a worker draws.
    """
    hours = spent_seconds / 3600
    spent = {"hours": hours, "energy": hours * assumed.watts / 1000}
    return [
        BreakEven(key, saved[key].unit, amount, amount / saved[key].saved)
        for key, amount in spent.items()
        if key in saved and saved[key].clear and saved[key].saved > 0
    ]
