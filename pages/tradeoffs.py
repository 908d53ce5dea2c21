"""Trade-offs: a sweep of settings, and one chart to show a colleague."""

import pandas as pd
import streamlit as st

from compression.registry import UserError
from compression.report import charts
from compression.report.tables import speed_table, tradeoff_table
from compression.report.text import AXES, duration
from compression.studies import jobs
from compression.subject import granularities
from pages._cache import live_plan, live_rows
from pages._draw import draw
from pages._forms import sweep_form
from pages._workbench import choose_subject, theme

AXES_HERE = ("packed_bytes", "file_bytes", "macs", "speedup", "latency_ms")


@st.fragment(run_every=1.0)
def progress(name: str, drawn: int) -> None:
    """How far the sweep is; redraws the page when it ends and at each tenth part. Nothing here runs the sweep."""
    present = jobs.state(name)
    if present.state not in ("waiting", "running") or present.done - drawn >= max(2, present.total // 10):
        st.rerun()
    left = present.seconds_left
    text = f"{present.done} of {present.total or 'some'} points"
    text += f", about {duration(left)} left" if left is not None else ", starting"
    st.progress(present.done / present.total if present.total else 0.0, text)
    st.caption(present.message or "Loading model and data in a process of its own")
    st.button("Cancel", icon=":material/stop:", on_click=jobs.cancel, args=(name,), key="sweep_cancel")


def ended(name: str) -> None:
    """Say how a sweep ended, where that is not simply well."""
    present = jobs.state(name)
    if present.state == "failed":
        st.error(f"The sweep failed: {present.message}", icon=":material/error:")
    elif present.state == "cancelled":
        st.warning(f"Cancelled after {present.done} of {present.total} points; they are kept below.")
    if present.failures:
        with st.expander(f"{len(present.failures)} settings could not be measured, and why"):
            st.markdown("\n".join(f"- {line}" for line in present.failures))
    for line in jobs.plan(name).left_out():
        st.caption(f"Left out: {line}.")


def results(rows: list[dict], name: str) -> None:
    """The charts, the table under them, and the table to take away."""
    look = theme()
    timed = any("speedup" in row for row in rows)
    shown = [key for key in AXES_HERE if timed or key not in ("speedup", "latency_ms")]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = st.segmented_control(
            "Accuracy against", shown, default=shown[0], required=True, key="sweep_axis", bind="query-params",
            format_func=lambda key: AXES[key].label,
        )  # fmt: skip
        knee = st.toggle("Knee", key="sweep_knee", bind="query-params", help="Where giving up size costs most.")
    axis = axis if axis in shown else shown[0]
    table = tradeoff_table(rows, axis)
    draw(charts.tradeoff_chart(table, look, show_knee=knee), "tradeoff")
    st.subheader("Sparsity is not speed")
    if timed:
        draw(charts.speed_chart(speed_table(rows), look), "speed")
    else:
        st.info(
            "Run the sweep with **Measure speed** on: it sets the size and the measured speed of zeroed "
            "weights beside those of removed units, at equal sparsity.",
            icon=":material/speed:",
        )
    st.subheader("Every point")
    frame = pd.DataFrame(rows)
    st.dataframe(frame, hide_index=True, column_config=columns(), key="sweep_table")
    st.download_button("CSV", lambda: frame.to_csv(index=False), f"espalier-{name}.csv", icon=":material/download:")


def columns() -> dict:
    """How the table's columns are headed and written."""
    config = st.column_config
    fractions = ("sparsity", "achieved_sparsity", "accuracy", "accuracy_low", "accuracy_high")
    return {
        **{key: config.NumberColumn(key.replace("_", " "), format="percent") for key in fractions},
        **{key: config.NumberColumn(key.replace("_", " "), format="bytes")
           for key in ("file_bytes", "packed_bytes", "memory_bytes")},
        **{key: config.NumberColumn(key, format="compact") for key in ("params", "nonzero", "macs")},
        **{key: None for key in ("point", "n", "split", "model", "data")},
    }  # fmt: skip


subject = choose_subject()
st.title("Trade-offs")
try:
    if asked := sweep_form(subject):
        st.query_params["sweep"] = jobs.start(asked)
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
job = jobs.linked(st.query_params.get("sweep"), "prune", subject.name, subject.dataset.name)
if job is None:
    styles = tuple(k for k in ("weights", "rows", "channels") if k in granularities(subject))
    quick = live_plan(subject.name, subject.dataset.name, granularities=styles)
    st.caption(
        f"A first look, one-shot, on {quick.limit or 'all'} validation images. Run a sweep for your own settings."
    )
    results(live_rows(quick), f"{subject.name}-first-look")
else:
    st.query_params["sweep"] = job
    if jobs.state(job).state in ("waiting", "running"):
        progress(job, len(jobs.rows(job)))
    else:
        ended(job)
    if found := jobs.rows(job):
        plan = jobs.plan(job)
        st.caption(f"{len(found)} of {len(plan.points())} points on the {plan.split} images of {subject.dataset.name}")
        results(found, f"{subject.name}-{job}")
