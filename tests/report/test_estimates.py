"""What is estimated for a chart stands in its table and is called an estimate, with what it rests on."""

from __future__ import annotations

import math
from typing import Any

import pytest

from compression.devices import estimate
from compression.report import charts
from compression.report.estimates import energy_table, estimate_words, estimated, grid_table, measures_of
from compression.report.measures import CO2, ESTIMATED
from compression.report.study_cloud import cloud_table
from compression.report.tables import tradeoff_table
from compression.report.themes import LIGHT
from tests.report.rows import row


def sweep() -> list[dict[str, Any]]:
    return [
        row("baseline", 0.0, 392, energy_mj=3.6, energy_source="modelled"),
        row("channels", 0.5, 390, energy_mj=1.8, energy_source="modelled", macs=400_000),
    ]


def test_co2_follows_energy_and_grid() -> None:
    table = tradeoff_table(sweep(), CO2, 100.0)
    assert list(table["x"]) == pytest.approx([0.1, 0.05])  # a kWh is 3.6·10⁹ mJ, hence 0.001 kWh a million
    assert table["ratio"].iloc[1] == pytest.approx(2)
    cloud = cloud_table([r | {"study": "s", "trial": n} for n, r in enumerate(sweep())], CO2, g_per_kwh=200.0)
    assert sorted(cloud["x"]) == pytest.approx([0.1, 0.2]) and set(cloud["g_per_kwh"]) == {200.0}


def test_a_device_is_an_axis_of_a_sweep() -> None:
    rows = sweep()
    table = tradeoff_table(rows, "pi4_ms")
    assert list(table["x"]) == [estimate("pi4", one) for one in rows]
    assert [one for one in estimated(rows, "macs")] == rows  # nothing is worked out that nobody asks for


def test_the_chart_says_that_it_is_an_estimate_and_of_what() -> None:
    chart = charts.tradeoff_chart(tradeoff_table(sweep(), CO2, 56.0), LIGHT)
    assert "cuts CO₂ 2.0×" in chart.alt and "estimated at 56 g/kWh; accuracy measured" in chart.subtitle
    chart = charts.tradeoff_chart(tradeoff_table(sweep(), "pi4_ms"), LIGHT)
    assert "latency on Raspberry Pi 4 · estimated, give or take 2.2× on all alike" in chart.subtitle
    assert estimate_words(CO2, 481.0) == "estimated at 481 g/kWh"


def test_what_lacks_energy_has_no_co2_and_is_counted() -> None:
    rows = [row("baseline", 0.0, 392), row("channels", 0.5, 390)]
    table = tradeoff_table(rows, CO2)
    assert all(math.isnan(x) for x in table["x"])
    assert "has not been measured yet" in charts.tradeoff_chart(table, LIGHT).alt


def test_the_present_settings_are_ringed_where_they_stand() -> None:
    here = {"x": 0.08, "accuracy": 0.9, "accuracy_low": 0.87, "accuracy_high": 0.93}
    figure = charts.tradeoff_chart(tradeoff_table(sweep(), CO2, 100.0), LIGHT, present=here).figure
    (ring,) = [trace for trace in figure.data if trace.name == "now"]
    assert (*ring.x, *ring.y) == (0.08, 0.9) and "0.08 g" in ring.text[0]
    assert any("now 90.0 %" in note.text for note in figure.layout.annotations)
    low, high = figure.layout.yaxis.range
    assert low < 0.87 < 0.93 < high


def test_measures_are_those_of_any_row_and_all_estimates() -> None:
    assert set(measures_of([{"accuracy": 0.9}, {"macs": 3}])) == {"accuracy", "macs", *ESTIMATED}


def test_the_energy_table_has_both_models_and_the_source() -> None:
    start, now = sweep()
    table = energy_table(start, now, 100.0)
    assert table.to_numpy().tolist() == [
        ["baseline", "3.6 mJ", "modelled", "0.1 g"],
        ["now", "1.8 mJ", "modelled", "0.05 g"],
        ["change", "−50 %", "", ""],
    ]
    grids = grid_table().set_index("grid")
    assert grids.loc["World average", "g/kWh"] == 481 and all(grids["source"])
