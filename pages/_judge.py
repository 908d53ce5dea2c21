"""What distillations came to: progress with live curves, students judged beside each other, which temperature."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from torch import Tensor

from compression.data.sets import thumbnail
from compression.distillation.losses import DISTILLATIONS
from compression.measure import changed
from compression.measure.calibration import agreement, reliability
from compression.report import charts, distill_tables
from compression.report.teaching import ways
from compression.report.text import duration, percent
from compression.results import Epoch
from compression.studies import jobs
from compression.studies.teaching import Teaching
from compression.subject import Subject
from pages._cache import answers_of
from pages._draw import GALLERY, draw, pairs
from pages._workbench import theme

Row = dict[str, Any]
HIDDEN = ("student", "method", "temperature", "alpha", "packed_bytes")
"""Columns that the name of a way says already."""


@st.fragment(run_every=1.0)
def progress(name: str) -> None:
    """How far the trainings are, with their curves; nothing here trains."""
    present = jobs.state(name)
    running = present.state in jobs.UNDER_WAY
    if running:
        left = f", about {duration(present.seconds_left)} left" if present.seconds_left is not None else ""
        st.progress(
            present.done / max(1, present.total), f"{present.done} of {present.total or 'some'} trainings{left}"
        )
        st.button("Cancel", icon=":material/stop:", on_click=jobs.cancel, args=(name,), key="lesson_cancel")
    elif st.session_state.get("lesson_seen") != (name, present.state):
        st.session_state["lesson_seen"] = (name, present.state)
        st.rerun()  # the rest of the page learns that it ended
    if present.state == "failed":
        st.error(f"The training failed: {present.message}", icon=":material/error:")
    if present.state == "cancelled":
        st.warning(f"Cancelled after {present.done} of {present.total} trainings; they are kept.")
    for line in present.failures:
        st.warning(line, icon=":material/warning:")
    if running or st.session_state.get("distill_view") == "teach":
        _curves(name)


def _curves(name: str) -> None:
    plan = _plan(name)
    epochs: dict[int, list[Epoch]] = {}
    for row in jobs.epochs(name):
        epochs.setdefault(row.pop("point"), []).append(Epoch.model_validate(row))
    points = {point.index: point for point in plan.points()}
    taught = [index for index in sorted(epochs) if points[index].coordinates["alpha"]]
    with st.container(key="lesson_curves"):
        chosen = None
        if taught:
            chosen = st.selectbox(
                "Curves of", taught, format_func=lambda index: points[index].label, key=f"curve_{name}"
            )
        runs = {}
        if chosen in epochs:
            seed = points[chosen].coordinates["seed"]
            alone = next(
                (i for i in epochs if points[i].coordinates["alpha"] == 0 and points[i].coordinates["seed"] == seed),
                None,
            )
            runs = {"distilled": epochs[chosen]} | ({"alone": epochs[alone]} if alone is not None else {})
        table = distill_tables.learning_table(runs)
        draw(charts.learning_chart(table, theme(), planned=plan.stage.epochs, width=640), "learning")


def judge(subject: Subject, name: str) -> None:
    """The student alone beside the student taught: errors, calibration, agreement, examples, cost."""
    plan, rows = _plan(name), jobs.rows(name)
    seeds = {row["seed"] for row in rows if row["method"] == "alone"} if rows[:1] else set()
    taught = [way for way in ways(row for row in rows if row["seed"] in seeds) if way["alpha"]]
    if not taught or rows[0]["method"] != "teacher":
        under_way = jobs.state(name).state in jobs.UNDER_WAY
        words = "The students are still learning." if under_way else "No student was both taught and trained alone."
        st.info(words, icon=":material/hourglass:")
        return
    order = {_label(way): way for way in taught}
    label = st.selectbox("Taught by", tuple(order), key="lesson_way", help="Each stands beside the same student alone.")
    way = order[label or next(iter(order))]
    members = [row | {"run": _run(row)} for row in rows if not row["alpha"] or _same(row, way)]
    look, part = theme(), subject.dataset.split(plan.split)
    first = min(row["seed"] for row in members if row["run"] == "distilled" and row["seed"] in seeds)
    shown = [row for row in members if row["seed"] == first or row["run"] == "teacher"]
    said = {row["run"]: answers_of(name, row["point"], plan.split) for row in shown}
    note = next(row["notes"] for row in members if row["run"] == "distilled")
    st.caption(
        f"Judged on {len(part):,} images of {subject.dataset.name} ({plan.split}); "
        f"alone and taught have the same start, batches and epochs. Calibration, agreement and images are those of "
        f"seed {first}. {note}"
    )
    places = pairs(4)
    with places[0]:
        draw(charts.judged_chart(distill_tables.judged_table(members), look), "judged")
    with places[1]:
        draw(charts.cost_chart(distill_tables.cost_table(members), look), "cost")
    with places[2]:
        bins = {run: reliability(logits, part.labels) for run, logits in said.items()}
        draw(charts.reliability_chart(distill_tables.reliability_table(bins), look), "reliability")
    with places[3]:
        _agreement(said)
        _hinted(subject, plan.split, said)
    _table(rows, name)


def _agreement(said: dict[str, Tensor]) -> None:
    """How often each student answers as the teacher."""
    for run in ("alone", "distilled"):
        alike = agreement(said[run], said["teacher"])
        st.metric(
            f"Answers as its teacher, {run}",
            percent(alike.fraction),
            help=f"{alike.same:,} of {alike.n:,} images; 95 % interval {percent(alike.low)} to {percent(alike.high)}.",
        )


def _hinted(subject: Subject, split: str, said: dict[str, Tensor]) -> None:
    """Images on which the teacher's hint changed the answer."""
    part, classes = subject.dataset.split(split), subject.dataset.classes
    change = changed(said["alone"], said["distilled"], part.labels)
    won, lost = change.wrong_to_right, change.right_to_wrong
    st.markdown(f"**What the teacher added put {len(won)} images right and {len(lost)} wrong**")
    columns = st.columns(GALLERY // 2)
    for place, index in enumerate(map(int, won[:GALLERY])):
        alone, taught = (classes[int(said[run][index].argmax())] for run in ("alone", "distilled"))
        with columns[place % len(columns)]:
            st.image(thumbnail(part, index), width=72, alt=f"{taught}, which the student alone takes for {alone}")
            st.caption(f"{alone} → **{taught}**")


def temperatures(subject: Subject, name: str) -> None:
    """Accuracy against temperature, with intervals."""
    rows = [row for row in jobs.rows(name) if row["method"] != "teacher"]
    softened = [row for row in rows if row["temperature"] is not None or row["method"] == "alone"]
    methods = {row["method"] for row in softened} - {"alone"}
    named = [row | {"method": f"{row['method']}, α = {row['alpha']:g}"} for row in softened]
    table = distill_tables.temperature_table(named, by="method" if len(methods) > 1 else "alpha")
    draw(charts.temperature_chart(table, theme(), width=640, height=420), "temperatures")
    if len({row["temperature"] for row in softened} - {None}) < 2:
        st.info("Choose several temperatures under **Teach** to compare them.", icon=":material/thermostat:")
    _table(jobs.rows(name), name)


def _table(rows: list[Row], name: str) -> None:
    frame = pd.DataFrame(ways(rows)).dropna(axis="columns", how="all")  # one seed has no deviation
    frame.insert(0, "way", [_label(way) for way in ways(rows)])
    config = st.column_config
    st.dataframe(
        frame[[key for key in frame if key not in HIDDEN]], hide_index=True, key="ways",
        column_config={
            **{key: config.NumberColumn(key.replace("_", " "), format="percent")
               for key in ("accuracy", "accuracy_sd", "agreement", "agreement_sd")},
            **{key: config.NumberColumn(key.replace("_", " "), format="%.3f") for key in ("ece", "ece_sd")},
            **{key: config.NumberColumn(key, format="compact") for key in ("params", "macs")},
            "errors_sd": "errors sd",
        },
    )  # fmt: skip
    csv = pd.DataFrame(rows)
    st.download_button(
        "CSV", lambda: csv.to_csv(index=False), f"espalier-lesson-{name}.csv", icon=":material/download:"
    )


def _plan(name: str) -> Teaching:
    plan = jobs.plan(name)
    assert isinstance(plan, Teaching)  # present_job names no other
    return plan


def _same(row: Row, way: Row) -> bool:
    return all(row[key] == way[key] for key in ("method", "temperature", "alpha"))


def _run(row: Row) -> str:
    return row["method"] if row["method"] in ("teacher", "alone") else "distilled"


def _label(way: Row) -> str:
    if way["method"] in ("teacher", "alone"):
        return {"teacher": "teacher", "alone": "student alone"}[way["method"]]
    softened = f", T = {way['temperature']:g}" if way["temperature"] else ""
    return f"{DISTILLATIONS[way['method']].label}{softened}, α = {way['alpha']:g}"
