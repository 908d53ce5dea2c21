"""What a lesson came to: students judged beside each other, and which temperature."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from torch import Tensor

from compression.data.sets import thumbnail
from compression.measure import changed
from compression.measure.calibration import agreement, reliability
from compression.report import charts, distill_tables
from compression.report.teaching import ways
from compression.report.text import percent
from compression.studies import jobs
from compression.studies.teaching import way_words
from compression.subject import Subject
from pages._cache import answers_of
from pages._draw import GALLERY, draw, pairs
from pages._lesson import plan_of
from pages._link import inert
from pages._take_away import take_away
from pages._workbench import theme

Row = dict[str, Any]
HIDDEN = ("student", "method", "temperature", "alpha", "packed_bytes")
"""Columns that the name of a way says already."""


def judge(subject: Subject, name: str) -> None:
    """The student alone beside the student taught: errors, calibration, agreement, examples, cost."""
    plan, rows = plan_of(name), jobs.rows(name)
    seeds = {row["seed"] for row in rows if row["method"] == "alone"}
    taught = [way for way in ways(row for row in rows if row["seed"] in seeds) if way["alpha"]]
    if not taught or rows[0]["method"] != "teacher":
        under_way = jobs.state(name).state in jobs.UNDER_WAY
        words = "The students are still learning." if under_way else "No student was both taught and trained alone."
        st.info(words, icon=":material/hourglass:")
        return
    order = {way_words(way): way for way in taught}
    way = order[st.selectbox(
        "Taught by", tuple(order), key="lesson_way", bind="query-params",
        help="Each stands beside the same student alone.",
    )]  # fmt: skip
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
    point = next(row["point"] for row in shown if row["run"] == "distilled")
    take_away(plan.points()[point].recipe, jobs.weights(name, point), f"lesson-{name}", "lesson")
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
            st.caption(f"{inert(alone)} → **{inert(taught)}**")


def temperatures(subject: Subject, name: str) -> None:
    """Accuracy against temperature, with intervals."""
    rows = [row for row in jobs.rows(name) if row["method"] != "teacher"]
    softened = [row for row in rows if row["temperature"] is not None or row["method"] == "alone"]
    methods = {row["method"] for row in softened} - {"alone"}
    named = [row | {"method": way_words(row | {"temperature": None})} for row in softened]
    table = distill_tables.temperature_table(named, by="method" if len(methods) > 1 else "alpha")
    draw(charts.temperature_chart(table, theme(), width=640, height=420), "temperatures")
    if len({row["temperature"] for row in softened} - {None}) < 2:
        st.info("Choose several temperatures under **Teach** to compare them.", icon=":material/thermostat:")
    _table(jobs.rows(name), name)


def _table(rows: list[Row], name: str) -> None:
    found = ways(rows)
    frame = pd.DataFrame(found).dropna(axis="columns", how="all")  # one seed has no deviation
    frame.insert(0, "way", [way_words(way) for way in found])
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


def _same(row: Row, way: Row) -> bool:
    return all(row[key] == way[key] for key in ("method", "temperature", "alpha"))


def _run(row: Row) -> str:
    return row["method"] if row["method"] in ("teacher", "alone") else "distilled"
