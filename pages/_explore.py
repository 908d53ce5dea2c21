"""The trials of one study or several, linked: a chart, paths that filter, what matters, the table, the chosen point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from compression.goals import Constraint
from compression.registry import UserError
from compression.report import charts
from compression.report.cloud_marks import trial_of
from compression.report.cloud_titles import best_of
from compression.report.compare import records as rows_of
from compression.report.measures import MEASURES
from compression.report.study_cloud import among
from compression.report.study_paths import filter_words, within
from compression.report.study_tables import importance_table
from compression.report.study_view import StudyView
from compression.report.tables import speed_table
from compression.studies import control, records, store
from pages import _paths
from pages._cache import clouded, planned, viewed
from pages._cloud_controls import cloud_controls, first_controls, knee_wanted, log_axes
from pages._draw import draw
from pages._point import compared, evidence, point
from pages._sketched import sketched
from pages._workbench import theme

Row = Mapping[str, Any]
Key = tuple[str, int]
PICKED, PINNED, LISTED = "study_picked", "study_pinned", "study_listed"
PREPARED = 5_000
"""Trials up to which a study is looked at before anybody asks: a second of work."""
ENOUGH = 10
"""Trials from which on it is said which setting matters."""
MANY, FEW = 300, 50
"""Of more trials than this the table shows but a few until all are asked for."""


@st.fragment
def explore(names: Sequence[str]) -> None:
    """All that is drawn of the studies; a change here redraws nothing else."""
    try:
        _explore(tuple(names))
    except UserError as fault:  # a study that was deleted meanwhile, a database that is away
        st.error(str(fault), icon=":material/error:")


def prepare(model: str) -> None:
    """Work out what is first shown of a model's latest study, so that a page need not; of a very large one nothing."""
    name = next((name for name in reversed(store.names()) if store.plan(name).model == model), None)
    if name is None:
        return
    names, known = (name,), (records.known(name),)
    if known[0][1] <= PREPARED and (view := viewed(names, known)).trials:
        clouded(names, known, *first_controls(planned(names, known), view))


def _explore(names: tuple[str, ...]) -> None:
    known = tuple(records.known(name) for name in names)
    view = viewed(names, known)
    if not view.trials:
        going = any(control.status(name).state in control.UNDER_WAY for name in names)
        words = "The first trials are under way; their chart appears here." if going else "No trial has finished."
        st.info(words, icon=":material/hourglass:")
        return
    chosen = cloud_controls(planned(names, known), view)
    y, constraints = chosen.y, chosen.constraints
    axes = {axis["key"] for axis in view.paths["axes"]}
    brushes = {key: allowed for key, allowed in _paths.brushes().items() if key in axes}
    kept = within(view.settings, brushes)
    whole = clouded(names, known, *chosen)
    table = among(whole, {(row["study"], row["trial"]) for row in kept}) if brushes else whole
    picked, pinned = _valid(PICKED, view), _valid(PINNED, view)
    _cloud(table, y, constraints, picked, pinned)
    named = best_of(rows_of(table), constraints)
    best = (named["study"], int(named["trial"])) if named else None
    _filters(view, brushes, [key for key in (pinned, picked) if key], len(kept))
    place = _chosen(view, picked or best, pinned, "chosen" if picked else "named by the chart")
    _matters(view, brushes, kept, y)
    _table(view, kept, names)
    if place:  # last, since it takes longest
        with place:
            evidence(*(picked or best), at_once=bool(picked) or not brushes)


def _cloud(
    table: pd.DataFrame,
    y: str,
    constraints: tuple[Constraint, ...],
    picked: Key | None,
    pinned: Key | None,
) -> None:
    log_x, log_y = log_axes(y)
    chart = charts.cloud_chart(
        table, theme(), constraints=constraints, show_knee=knee_wanted(), log_x=log_x, log_y=log_y,
        selected=[picked] if picked else [], pinned=pinned, width=640,
    )  # fmt: skip
    with sketched(chart):
        st.plotly_chart(
            chart.figure, key="study_cloud", alt=chart.alt, theme=None, config=charts.CONFIG, on_select=_clicked,
            selection_mode="points",
        )  # fmt: skip


def _clicked() -> None:
    """Keep the point that was clicked: the chart forgets it when it is redrawn."""
    points = st.session_state["study_cloud"]["selection"]["points"]
    found = next((point["customdata"] for point in points if point.get("customdata")), None)
    if found and (key := trial_of(found))[1] != records.BASELINE:
        st.session_state[PICKED] = key


def _valid(key: str, view: StudyView) -> Key | None:
    """The kept choice, where these studies still have it."""
    kept: Key | None = st.session_state.get(key)
    return kept if kept in {(row["study"], row["trial"]) for row in view.settings} else None


def _filters(view: StudyView, brushes: Mapping[str, Sequence[Any]], marked: list[Key], kept: int) -> None:
    if not view.paths["axes"]:
        return
    total = len(view.settings)
    with st.container(horizontal=True, vertical_alignment="center"):
        words = f"**{kept} of {total} trials pass the filters**: {filter_words(view.paths, brushes)}"
        st.markdown(words if brushes else "**Drag along an axis to filter**", width="stretch")
        st.button("Clear filters", icon=":material/filter_alt_off:", key="study_clear", on_click=_paths.clear,
                  disabled=not brushes)  # fmt: skip
    _paths.draw_paths(view.paths, marked)


def _chosen(view: StudyView, key: Key | None, pinned: Key | None, how: str) -> DeltaGenerator | None:
    """The point that is looked at, beside the pinned one if there is one; where its evidence is to be written."""
    found = {(row["study"], row["trial"]): row for row in view.settings}
    _listed(list(found), key, pinned)
    if key is None or key not in found:
        st.caption("Click a point of the chart, or choose its trial, to see its recipe and its model.")
        return None
    row = found[key]
    start = next((r for r in view.rows if r["study"] == row["study"] and r["trial"] == records.BASELINE), None)
    place = point(row, start, how)
    with st.container(horizontal=True):
        st.button("Now click another point" if pinned == key else "Compare with another", icon=":material/push_pin:",
                  key="study_pin", disabled=pinned == key, help="Pins this point as A; then click another one.",
                  on_click=_keep, args=(key, key))  # fmt: skip
        if pinned:
            st.button("Unpin", icon=":material/close:", key="study_unpin", on_click=_keep, args=(key, None))
        if how == "chosen":
            st.button("Back to the named point", icon=":material/undo:", key="study_back", on_click=_keep,
                      args=(None, pinned))  # fmt: skip
    if pinned in found and pinned != key:
        compared(found[pinned], row)
    return place


def _listed(options: list[Key], key: Key | None, pinned: Key | None) -> None:
    """The point by its number, for whoever has no pointer to click it with."""
    several = len({study for study, _ in options}) > 1
    st.session_state[LISTED] = key if key in options else None
    st.selectbox(
        "Look at", options, None, key=LISTED, width=260, placeholder="A trial",
        format_func=lambda one: f"trial {one[1]}" + (f" of {one[0]}" if several else ""),
        on_change=lambda: _keep(st.session_state[LISTED], pinned),
        help="What a click on its point does. Type a number to find it.",
    )  # fmt: skip


def _keep(picked: Key | None, pinned: Key | None) -> None:
    st.session_state[PICKED], st.session_state[PINNED] = picked, pinned


def _matters(view: StudyView, brushes: Mapping[str, Sequence[Any]], kept: Sequence[Row], y: str) -> None:
    """Which setting explains most, and what speed says beside size.

    Trials chosen by their outcome would hide what it depends on, so that filters on measures leave the first alone.
    """
    chosen = {key: allowed for key, allowed in brushes.items() if key not in MEASURES}
    rows = within(view.settings, chosen)
    if len(rows) >= ENOUGH:
        metric = y if all(row.get(y) is not None for row in rows) else "accuracy"
        table = importance_table(rows, metric)
        if len(table):
            draw(charts.importance_chart(table, theme(), metric), "study_importance")
            if len(chosen) < len(brushes):
                st.caption("Of all trials whose settings pass: filters on what was measured do not count here.")
    speeds = speed_table(kept)
    if len(speeds):
        draw(charts.speed_chart(speeds, theme()), "study_speed")


def _table(view: StudyView, kept: Sequence[Row], names: Sequence[str]) -> None:
    """Every trial that passes, to sort and to take away."""
    passing = {(row["study"], trial) for row in kept for trial in row["trials"]}
    rows = [row for row in view.trials if (row["study"], row["trial"]) in passing]
    left_out = ["n", "split", "data", *(["study"] if len(names) == 1 else [])]

    def frame(rows: Sequence[Row]) -> pd.DataFrame:
        return pd.DataFrame(rows).drop(columns=left_out, errors="ignore")

    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Every trial", anchor=False)
        shown = len(rows) <= MANY or st.toggle(f"Show all {len(rows)}", key="study_table_all")
        st.download_button(
            "CSV", lambda: frame(rows).to_csv(index=False), f"espalier-{'-'.join(names)}.csv".replace(" ", "-"),
            icon=":material/download:", key="study_csv",
        )  # fmt: skip
    st.dataframe(frame(rows if shown else rows[:FEW]), hide_index=True, column_config=_columns(), key="study_table")
    if not shown:
        st.caption(f"The first {FEW} of {len(rows)}; the CSV has all.")


def _columns() -> dict[str, Any]:
    """How the table's columns are headed and written."""
    config = st.column_config
    fractions = ("sparsity", "achieved_sparsity", "accuracy", "accuracy_low", "accuracy_high")
    return {
        **{key: config.NumberColumn(key.replace("_", " "), format="percent") for key in fractions},
        **{key: config.NumberColumn(key.replace("_", " "), format="bytes")
           for key in ("file_bytes", "packed_bytes", "memory_bytes")},
        **{key: config.NumberColumn(key, format="compact") for key in ("params", "nonzero", "macs")},
    }  # fmt: skip
