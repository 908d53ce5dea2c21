"""The lesson that is shown: which one it is, how far it is, and its curves."""

from __future__ import annotations

import streamlit as st

from compression.report import charts, distill_tables
from compression.report.text import duration
from compression.results import Epoch
from compression.studies import jobs
from compression.studies.teaching import Teaching
from compression.subject import Subject
from pages._draw import draw
from pages._workbench import theme


def present_lesson(subject: Subject) -> str | None:
    """The lesson that the link names, or the last one of this teacher, which the link then names."""
    named = st.query_params.get("lesson")
    found = jobs.linked(named, "distill", subject.name, subject.dataset.name)
    if named and not jobs.exists(named):
        instead = "; this is the last one here" if found else ""
        st.caption(f"The link names a lesson that is not on this machine{instead}.")
    if found:
        st.query_params["lesson"] = found
    return found


def plan_of(name: str) -> Teaching:
    """The plan of a lesson."""
    plan = jobs.plan(name)
    assert isinstance(plan, Teaching)  # present_lesson names no other
    return plan


@st.fragment(run_every=1.0)
def progress(name: str) -> None:
    """How far the trainings are, with their curves; nothing here trains."""
    present, (done, total) = jobs.state(name), jobs.trainings(name)
    running = present.state in jobs.UNDER_WAY
    if running:
        left = f", about {duration(present.seconds_left)} left" if present.seconds_left is not None else ""
        st.progress(min(1.0, done / total), f"{done} of {total} trainings{left}")
        st.button("Cancel", icon=":material/stop:", on_click=jobs.cancel, args=(name,), key="lesson_cancel")
    elif st.session_state.get("lesson_seen") != (name, present.state):
        st.session_state["lesson_seen"] = (name, present.state)
        st.rerun()  # the rest of the page learns that it ended
    if present.state == "failed":
        st.error(f"The training failed: {present.message}", icon=":material/error:")
    if present.state == "cancelled":
        st.warning(f"Cancelled after {done} of {total} trainings; they are kept.")
    for line in present.failures:
        st.warning(line, icon=":material/warning:")
    if running or st.session_state.get("distill_view") == "teach":
        _curves(name)


def _curves(name: str) -> None:
    """A student while it learns, beside the same one alone."""
    plan = plan_of(name)
    epochs: dict[int, list[Epoch]] = {}
    for row in jobs.epochs(name):
        epochs.setdefault(row.pop("point"), []).append(Epoch.model_validate(row))
    points = {point.index: point for point in plan.points() if point.index in epochs}
    alone = {p.coordinates["seed"]: index for index, p in points.items() if not p.coordinates["alpha"]}
    taught = [index for index in points if index not in alone.values()]
    runs = {}
    with st.container(key="lesson_curves"):
        if taught:
            chosen = st.selectbox(
                "Curves of", taught, format_func=lambda index: points[index].label, key="lesson_curve",
                bind="query-params",
            )  # fmt: skip
            runs["distilled"], seed = epochs[chosen], points[chosen].coordinates["seed"]
            runs |= {"alone": epochs[alone[seed]]} if seed in alone else {}
        table = distill_tables.learning_table(runs)
        draw(charts.learning_chart(table, theme(), planned=plan.stage.epochs, width=640), "learning")
