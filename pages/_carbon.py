"""Energy and CO₂: always estimates, with the grid that they are for shown and editable."""

from __future__ import annotations

import streamlit as st

from compression.carbon import MOST, WORLD
from compression.report.estimates import energy_table, grid_table
from compression.results import Measurement


def grid() -> float:
    """Grams of CO₂ a kilowatt-hour, with the grids that are known below it."""
    chosen = st.number_input(
        "Grid (g of CO₂ per kWh)", 0.0, MOST, WORLD, 10.0, format="%g", key="grid", bind="query-params",
        help="What the electricity that the model runs on emits. At first the world's average; edit it as you like.",
    )  # fmt: skip
    st.dataframe(grid_table().drop(columns="source"), hide_index=True, key="grids", height=180)
    st.caption(f"Source: {grid_table()['source'].iloc[0]}.")
    return float(chosen)


def energy(now: Measurement, start: Measurement) -> float:
    """A button that opens what an image takes and a million emit; gives the grid's intensity."""
    with st.popover("Energy and CO₂", icon=":material/eco:", key="energy"):
        place = st.container()
        chosen = grid()
        with place:
            st.dataframe(energy_table(start.row(), now.row(), chosen), hide_index=True, key="energy_table")
            st.caption(f":material/calculate: Estimated, at {chosen:g} g/kWh. Energy now: {now.energy.detail}.")
    return chosen
