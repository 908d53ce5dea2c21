"""The trials of one study or several, linked: a chart, paths that filter, what matters, the table, the chosen point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from compression.goals import Constraint
from compression.registry import UserError
from compression.report import charts
from compression.report.cloud_titles import best_of
from compression.report.compare import records as rows_of
from compression.report.setting_words import short_names
from compression.report.study_cloud import cloud_table
from compression.report.study_tables import averaged, importance_table, merged, paths_table, settings_of, within
from compression.report.tables import speed_table
from compression.report.text import MEASURES
from compression.studies import control, records, store
from pages import _paths
from pages._cache import study_points
from pages._draw import draw
from pages._point import compared, point
from pages._workbench import theme

Row = dict[str, Any]
Key = tuple[str, int]
PICKED, PINNED = "study_picked", "study_pinned"
PATHS = ("accuracy", "packed_bytes", "macs", "speedup")
"""Measures that the parallel coordinates show, where they are there."""
LOGS = {"Automatic": None, "Linear": False, "Log": True}
MANY = 300
"""Trials from which on the table is not drawn until it is asked for."""


@st.fragment
def explore(names: Sequence[str]) -> None:
    """All that is drawn of the studies; a change here redraws nothing else."""
    try:
        _explore(names)
    except UserError as fault:  # a study that was deleted meanwhile, a database that is away
        st.error(str(fault), icon=":material/error:")


def _explore(names: Sequence[str]) -> None:
    rows = merged(row for name in names for row in study_points(name, records.known(name)))
    trials = [row for row in rows if row["trial"] != records.BASELINE]
    if not trials:
        going = any(control.status(name).state in control.UNDER_WAY for name in names)
        words = "The first trials are under way; their chart appears here." if going else "No trial has finished."
        st.info(words, icon=":material/hourglass:")
        return
    settings = averaged(trials)
    x, y, group, constraints = _controls(names, rows)
    paths = paths_table(settings, [key for key in PATHS if any(row.get(key) is not None for row in trials)])
    axes = {axis["key"] for axis in paths["axes"]}
    brushes = {key: ends for key, ends in _paths.brushes().items() if key in axes}
    kept = within(settings, paths, brushes)
    passing = {(row["study"], trial) for row in kept for trial in row["trials"]}
    chosen = [row for row in trials if (row["study"], row["trial"]) in passing]
    shown = [row for row in rows if row["trial"] == records.BASELINE] + chosen
    if not any(row.get(group) is not None for row in kept):
        group = "study"  # what is left was never told apart by this
    table = cloud_table(shown, x, y, group, constraints)
    picked, pinned = _valid(PICKED, settings), _valid(PINNED, settings)
    named = best_of(rows_of(table), constraints)
    best = (named["study"], int(named["trial"])) if named else None
    _cloud(table, constraints, picked, pinned)
    _filters(paths, [key for key in (pinned, picked) if key], len(kept), len(settings))
    _chosen(settings, rows, picked or best, pinned, "chosen" if picked else "named by the chart")
    _matters(kept, y)
    _table(chosen, names)


def _controls(names: Sequence[str], rows: list[Row]) -> tuple[str, str, str, tuple[Constraint, ...]]:
    """Both axes, what tells the points apart, and what they must meet."""
    measured = [key for key in MEASURES if any(row.get(key) is not None for row in rows)]
    groups, cost = _groups(names, rows), _cost(names, measured)
    words = {"recipe": "recipe", "study": "study", "model": "model", **short_names(settings_of(rows))}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = _choice("Across", measured, cost, f"study_x_{cost}", {key: MEASURES[key].label for key in measured})
        y = _choice("Up", measured, "accuracy", "study_y", {key: MEASURES[key].label for key in measured})
        group = _choice("Told apart by", groups, groups[0], "study_group", words)
        st.selectbox(
            "Cost axis", tuple(LOGS), key="study_log", bind="query-params", width=120,
            help="Automatic is logarithmic where costs span more than eight times.",
        )  # fmt: skip
        st.toggle(
            "Knee",
            key="study_knee",
            bind="query-params",
            help="Where giving up size costs most: furthest from the chord.",
        )
    own = dict.fromkeys(text for name in names for text in store.plan(name).constraints)
    text = st.text_input(
        "Constraints", ", ".join(own), key=f"study_bounds_{'_'.join(names)}",
        placeholder="accuracy >= 98 %, packed_bytes <= 100 KB, speedup >= 2",
        help="They shade what they rule out; the best point that meets them all is named.",
    )  # fmt: skip
    return x, y, group, tuple(Constraint.read(one) for one in text.split(",") if one.strip())


def _cost(names: Sequence[str], measured: Sequence[str]) -> str:
    """What the first study wants to be small or fast, where that is measured."""
    wanted = (name for name in store.plan(names[0]).objectives if name != "accuracy" and name in measured)
    return next(wanted, "packed_bytes")


def _choice(label: str, options: Sequence[str], first: str, key: str, words: dict[str, str]) -> str:
    chosen = st.selectbox(
        label, options, options.index(first) if first in options else 0, key=key, bind="query-params", width=190,
        format_func=lambda one: words.get(one, one),
    )  # fmt: skip
    return chosen if chosen in options else first


def _groups(names: Sequence[str], rows: list[Row]) -> list[str]:
    """What may tell the points apart: first what they are, then what was set in them."""
    several = ["study"] if len(names) > 1 else []
    several += ["model"] if len({row["model"] for row in rows}) > 1 else []
    found = [name for name in settings_of(rows) if len({row[name] for row in rows if name in row}) > 1]
    found.sort(key=lambda name: (name != "recipe", not all(isinstance(row[name], str) for row in rows if name in row)))
    return several + found or ["recipe"]


def _cloud(table: pd.DataFrame, constraints: tuple[Constraint, ...], picked: Key | None, pinned: Key | None) -> None:
    log = LOGS[st.session_state.get("study_log", "Automatic")]
    chart = charts.cloud_chart(
        table, theme(), constraints=constraints, show_knee=st.session_state.get("study_knee", False),
        log_x=log, log_y=log if table["y_axis"].iloc[0] != "accuracy" else False,
        selected=[picked] if picked else [], pinned=pinned, width=640,
    )  # fmt: skip
    st.plotly_chart(
        chart.figure, key="study_cloud", alt=chart.alt, theme=None, config=charts.CONFIG, on_select=_clicked,
        selection_mode="points",
    )  # fmt: skip


def _clicked() -> None:
    """Keep the point that was clicked: the chart forgets it when it is redrawn."""
    points = st.session_state["study_cloud"]["selection"]["points"]
    found = next((point["customdata"] for point in points if point.get("customdata")), None)
    if found and int(found[1]) != records.BASELINE:
        st.session_state[PICKED] = (str(found[0]), int(found[1]))


def _valid(key: str, trials: list[Row]) -> Key | None:
    """The kept choice, where these studies still have it."""
    kept: Key | None = st.session_state.get(key)
    return kept if kept in {(row["study"], row["trial"]) for row in trials} else None


def _filters(paths: Any, marked: list[Key], kept: int, total: int) -> None:
    if not paths["axes"]:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{kept} of {total} trials pass the filters**" if kept < total else "**Drag along an axis to filter**",
            width="stretch",
        )
        st.button("Clear filters", icon=":material/filter_alt_off:", key="study_clear", on_click=_paths.clear,
                  disabled=not _paths.brushes())  # fmt: skip
    _paths.draw_paths(paths, marked)


def _chosen(settings: list[Row], rows: list[Row], key: Key | None, pinned: Key | None, how: str) -> None:
    """The point that is looked at, beside the pinned one if there is one."""
    found = {(row["study"], row["trial"]): row for row in settings}
    if key is None or key not in found:
        st.caption("Click a point of the chart to see its recipe and its model.")
        return
    row = found[key]
    start = next((r for r in rows if r["study"] == row["study"] and r["trial"] == records.BASELINE), None)
    point(row, start, how)
    with st.container(horizontal=True):
        st.button("Compare with another", icon=":material/push_pin:", key="study_pin", disabled=pinned == key,
                  help="Pins this point as A; then click another one.", on_click=_keep, args=(key, key))  # fmt: skip
        if pinned:
            st.button("Unpin", icon=":material/close:", key="study_unpin", on_click=_keep, args=(key, None))
        if how == "chosen":
            st.button("Back to the named point", icon=":material/undo:", key="study_back", on_click=_keep,
                      args=(None, pinned))  # fmt: skip
    if pinned in found and pinned != key:
        compared(found[pinned], row)


def _keep(picked: Key | None, pinned: Key | None) -> None:
    st.session_state[PICKED], st.session_state[PINNED] = picked, pinned


def _matters(rows: list[Row], y: str) -> None:
    """Which setting explains most, and what speed says beside size."""
    if len(rows) > 2:
        metric = y if all(row.get(y) is not None for row in rows) else "accuracy"
        draw(charts.importance_chart(importance_table(rows, metric), theme(), metric, width=560), "study_importance")
    speeds = speed_table(rows)
    if len(speeds):
        draw(charts.speed_chart(speeds, theme()), "study_speed")


def _table(rows: list[Row], names: Sequence[str]) -> None:
    """Every trial that passes, to sort and to take away."""
    frame = pd.DataFrame(rows).drop(columns=["n", "split", "data"], errors="ignore")
    if len(names) == 1:
        frame = frame.drop(columns=["study"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Every trial", anchor=False)
        shown = len(rows) <= MANY or st.toggle(f"Show all {len(rows)}", key="study_table_all")
        st.download_button(
            "CSV", lambda: frame.to_csv(index=False), f"espalier-{'-'.join(names)}.csv".replace(" ", "-"),
            icon=":material/download:", key="study_csv",
        )  # fmt: skip
    st.dataframe(frame if shown else frame.head(50), hide_index=True, column_config=_columns(), key="study_table")
    if not shown:
        st.caption(f"The first 50 of {len(rows)}; the CSV has all.")


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
