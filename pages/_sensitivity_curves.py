"""What a scan has found: lines or a heat map, and beside them what each layer holds and does."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from compression.pruning.sensitivity import layer_costs
from compression.report.sensitivity_bars import layer_cost_chart
from compression.report.sensitivity_charts import sensitivity_chart, sensitivity_map
from compression.report.sensitivity_tables import layer_cost_table, sensitivity_table
from compression.report.text import duration
from compression.subject import Subject
from pages import _sensitivity_scan as scans
from pages._draw import draw
from pages._sensitivity_scan import Scan, Settings
from pages._workbench import theme

BESIDE = 420
"""Pixels beside the controls at 1024; in a narrower window they stand over the charts."""
VIEWS = {"lines": "Lines", "map": "Heat map"}


def scanned(subject: Subject, settings: Settings, asked: bool) -> Scan | None:
    """The scan to show: started where it was asked for, or is quick; None where it has yet to be asked for."""
    found = scans.present(settings)
    if asked and found is not None and found.state in ("cancelled", "failed"):
        found = None
    if found is None and (asked or scans.quick(subject, settings)):
        found = scans.start(subject, settings)
        found.ended.wait(scans.WAIT)
    return found


@st.fragment(run_every=1.0)
def progress(settings: Settings) -> None:
    """How far the scan is, with its curves as they come; redraws the page when it ends."""
    found = scans.present(settings)
    if found is None or not found.under_way:
        st.rerun()
    left = f", about {duration(found.seconds_left)} left" if found.seconds_left is not None else ""
    waiting = "waiting for another scan to end" if found.state == "waiting" else f"{found.part:.0%} done{left}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, found.part), f"Cutting each layer alone: {waiting}")
        if found.is_own:
            stop = partial(scans.cancel, settings)
            st.button("Cancel", icon=":material/stop:", on_click=stop, key="sensitivity_cancel")
    if found.rows:
        draw(sensitivity_chart(_table(found), theme(), width=BESIDE), "sensitivity_live")


def ended(found: Scan) -> None:
    """Say how a scan ended, where that is not simply well."""
    if found.state == "failed":
        st.error(f"The scan failed: {found.message}", icon=":material/error:")
    if found.state == "cancelled":
        kept = "what it had read is shown, on fewer images" if found.rows else "nothing had been read"
        st.warning(f"Cancelled at {found.part:.0%}; {kept}. Press **Scan** to start again.", icon=":material/stop:")


def curves(subject: Subject, found: Scan) -> None:
    """The scan as lines or as a heat map, and the layers' parameters and MACs."""
    table, look = _table(found), theme()
    view = st.segmented_control(
        "Show as", tuple(VIEWS), default="lines", required=True, key="sensitivity_view", bind="query-params",
        format_func=VIEWS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    chart = sensitivity_map if view == "map" else sensitivity_chart
    draw(chart(table, look, width=BESIDE), "sensitivity_scan")
    costs = layer_cost_table(map(asdict, layer_costs(subject.model, found.settings.granularity, subject.groups)))
    draw(layer_cost_chart(costs, look, width=BESIDE), "sensitivity_costs")
    with st.expander("Every reading"):
        _readings(found, table)


def _table(found: Scan) -> pd.DataFrame:
    return sensitivity_table(map(asdict, found.rows))


def _readings(found: Scan, table: pd.DataFrame) -> None:
    config = st.column_config
    fractions = {key: config.NumberColumn(key, format="percent") for key in ("sparsity", "accuracy", "change")}
    fractions["x"] = config.NumberColumn("achieved", format="percent")
    counts = {
        key: config.NumberColumn(key.replace("_", " "), format="compact") for key in ("params_saved", "macs_saved")
    }
    hidden = dict.fromkeys(("accuracy_low", "accuracy_high", "granularity", "whole"))
    st.dataframe(table, hide_index=True, key="sensitivity_table", column_config=fractions | counts | hidden)
    name = f"espalier-sensitivity-{found.settings.model}-{found.settings.granularity}.csv"
    st.download_button("CSV", lambda: table.to_csv(index=False), name, icon=":material/download:")
