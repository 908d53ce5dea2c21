"""Who learns: what is pruned off the teacher first, the student, and how large it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compression.distillation.students import STUDENTS
from compression.models.zoo import available, blueprint_of
from compression.recipe import STRUCTURED, Distill, Prune, validated
from compression.registry import UserError, quoted
from compression.report.text import count
from compression.subject import Subject, granularities
from pages._cache import student_facts

KEY = "teach_"
FRACTION, UNITS = 0.5, "30"
"""Where the controls of a student open."""
MOST = 65536
"""Units of one layer."""


def choose_before(subject: Subject) -> tuple[Prune, ...]:
    """A pruning that comes first, if one is asked for."""
    styles = [style for style in granularities(subject) if style in (*STRUCTURED, "weights")]
    with st.expander("Prune the teacher first"):
        style = st.segmented_control(
            "Remove", ("nothing", *styles), default="nothing", required=True, key=f"{KEY}prune", bind="query-params",
            help="With the present model as student, it is distilled back from the teacher that it was.",
        )  # fmt: skip
        if style not in styles:
            return ()
        sparsity = st.slider(
            "Sparsity", 0.05, 0.95, 0.5, 0.05, format="percent", key=f"{KEY}sparsity", bind="query-params"
        )
        return (Prune(granularity=style, scope="layer" if style in STRUCTURED else "global", sparsity=sparsity),)


def choose_student(subject: Subject, before: tuple[Prune, ...]) -> Distill | None:
    """The student as a stage; None, with the reason said, where what was typed makes none."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        student = _name(subject, before)
        fields = {"student": student} | _amounts(student)
    try:
        stage: Distill = validated(Distill, fields | {"hidden": units_of(fields.get("hidden", UNITS))})
        params, work = facts(subject, before, stage)
    except UserError as fault:
        st.error(str(fault), icon=":material/error:")
        return None
    whole = sum(p.numel() for p in subject.model.parameters())
    st.caption(f"The student has {_words(params, work)}; {subject.name} has {count(whole)}.")
    if params > whole:
        st.warning("The student is larger than its teacher.", icon=":material/warning:")
    return stage


def facts(subject: Subject, before: tuple[Prune, ...], stage: Distill) -> tuple[int, int]:
    """Parameters and MACs of a student. Raises UserError where it cannot be."""
    return student_facts(subject.name, subject.dataset.name, as_json(before), stage.model_dump_json())


def as_json(before: tuple[Prune, ...]) -> str:
    """What comes first as the cached calls take it."""
    return before[0].model_dump_json() if before else ""


def _name(subject: Subject, before: tuple[Prune, ...]) -> str:
    """Which student, of those that can be made from this model, each with its size at the amounts now chosen."""
    fitting = [
        name for name in available()
        if (blueprint := blueprint_of(name)).input_shape == subject.dataset.shape
        and blueprint.architecture != "torchvision"
    ]  # fmt: skip
    options = [name for name in (*STUDENTS, *fitting) if _told(subject, before, _opening(name))]
    labels = {name: STUDENTS[name].label if name in STUDENTS else name for name in options}
    default = options.index("narrower") if "narrower" in options else 0
    student = st.selectbox(
        "Student", options, default, format_func=labels.__getitem__, key=f"{KEY}student", bind="query-params",
        width=380, help="\n".join(f"- **{card.label}**: {card.sentence}" for card in STUDENTS.values()),
    )  # fmt: skip
    sizes = {name: _told(subject, before, _now(name)) for name in options}
    st.caption(" · ".join(f"{labels[name]}: {size}" for name, size in sizes.items() if size))
    return student if student in options else options[default]


def _amounts(student: str) -> dict[str, Any]:
    """The controls that belong to a student."""
    bound: dict[str, Any] = {"bind": "query-params", "width": 180}
    if student == "narrower":
        return {"width": st.slider("Width", 0.05, 1.0, FRACTION, 0.05, key=f"{KEY}width", **bound)}
    if student == "shallower":
        return {"depth": st.slider("Depth", 0.1, 1.0, FRACTION, 0.1, key=f"{KEY}depth", **bound)}
    if student == "mlp":
        return {"hidden": st.text_input("Units of each layer", UNITS, key=f"{KEY}hidden", **bound)}
    return {}


def _opening(student: str) -> Distill:
    return Distill(student=student, width=FRACTION, depth=FRACTION, hidden=units_of(UNITS))


def _now(student: str) -> Distill:
    """A student at the amounts that its own controls show, or open with where those make none."""
    shown = {name: st.session_state.get(f"{KEY}{name}", FRACTION) for name in ("width", "depth")}
    try:
        hidden = units_of(st.session_state.get(f"{KEY}hidden", UNITS))
        stage: Distill = validated(Distill, {"student": student, "hidden": hidden} | shown)
    except UserError:
        return _opening(student)
    return stage


def units_of(text: str) -> tuple[int, ...]:
    """Layers of hidden units from what was typed. Raises UserError where it is no list of numbers."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and 1 <= int(part) <= MOST for part in parts):
        raise UserError(f"Units of each layer are {quoted(text)}; give whole numbers from 1 to {MOST}, such as 800,800")
    return tuple(map(int, parts))


def _told(subject: Subject, before: tuple[Prune, ...], stage: Distill) -> str:
    """A student's size in words; empty where it cannot be."""
    try:
        return _words(*facts(subject, before, stage))
    except UserError:
        return ""


def _words(params: int, work: int) -> str:
    return f"{count(params)} parameters, {count(work)} MACs"
