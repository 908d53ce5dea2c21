"""What no row holds and is worked out for whoever draws it: times on devices that are not here, CO₂ on some grid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pandas as pd

from compression.carbon import GRIDS, WORLD, grams_per_million
from compression.devices import DEVICES, estimate, give_or_take
from compression.report.measures import CO2, ESTIMATED, MEASURES
from compression.report.text import amount, share, times

Row = Mapping[str, Any]


def estimated(rows: Iterable[Row], *keys: str, g_per_kwh: float = WORLD) -> list[Row]:
    """The rows, with the estimates among ``keys`` and the grid that they are for, ``g_per_kwh``."""
    wanted = [key for key in keys if key in ESTIMATED]
    if not wanted:
        return [*rows]
    return [{**row, "g_per_kwh": g_per_kwh, **{key: _estimate(key, row, g_per_kwh) for key in wanted}} for row in rows]


def measures_of(rows: Collection[Row]) -> tuple[str, ...]:
    """What was measured in any of the rows, of MEASURES, and what is estimated from that."""
    return tuple(key for key in MEASURES if key in ESTIMATED or any(row.get(key) is not None for row in rows))


def _estimate(key: str, row: Row, g_per_kwh: float) -> float | None:
    if key != CO2:
        return estimate(key.removesuffix("_ms"), row)
    energy = row.get("energy_mj")
    return None if energy is None else grams_per_million(energy, g_per_kwh)


def estimate_words(key: str, g_per_kwh: float) -> str:
    """How an estimate is to be taken: "estimated at 481 g/kWh", "estimated, give or take 2.2× on all alike"."""
    if key == CO2:
        return f"estimated at {g_per_kwh:g} g/kWh"
    return f"estimated, give or take {times(give_or_take(DEVICES[key.removesuffix('_ms')]))} on all alike"


def energy_table(start: Row, now: Row, g_per_kwh: float) -> pd.DataFrame:
    """Energy of one image, where it is known from, and CO₂ of a million, as the model was and as it is."""
    body = [
        (name, amount(row["energy_mj"], "mj"), row["energy_source"], amount(_estimate(CO2, row, g_per_kwh) or 0, "g"))
        for name, row in (("baseline", start), ("now", now))
    ]
    body.append(("change", share(now["energy_mj"] / start["energy_mj"] - 1), "", ""))
    return pd.DataFrame(body, columns=["model", "energy per image", "source", "CO₂ per million images"])


def grid_table() -> pd.DataFrame:
    """The grids that are known, each with its intensity, year and source."""
    body = [(grid.label, grid.g_per_kwh, grid.year, grid.source) for grid in GRIDS.values()]
    return pd.DataFrame(body, columns=["grid", "g/kWh", "year", "source"])
