"""Which stages of student and teacher are compared, and a person's say in it."""

from __future__ import annotations

import streamlit as st

from compression.distillation.lesson import pairing
from compression.distillation.losses import DISTILLATIONS
from compression.distillation.stages import Stage, stages
from compression.recipe import Distill, Prune
from compression.registry import UserError
from compression.subject import Subject
from pages._cache import student_module
from pages._student import KEY, as_json

Names = tuple[tuple[str, str], ...]


def choose_pairs(subject: Subject, before: tuple[Prune, ...], stage: Distill, methods: tuple[str, ...]) -> Names:
    """Matched by depth and resolution, which is the empty answer, unless a person says otherwise.

    Raises:
        UserError: nothing is left to be compared.
    """
    compared = next((method for method in methods if "features" in DISTILLATIONS[method].needs), None)
    if compared is None:
        return ()
    student = student_module(subject.name, subject.dataset.name, as_json(before), stage.model_dump_json())
    shape, stage = subject.dataset.shape, stage.model_copy(update={"method": compared})
    try:
        own = {mine.name: theirs.name for mine, theirs in pairing(stage, student, subject.model, shape)}
    except UserError as fault:
        st.warning(str(fault), icon=":material/warning:")
        return ()
    places = {place.name: place for place in stages(subject.model, shape)}
    with st.expander(f"Matched stages: {', '.join(f'{s} ↔ {t}' for s, t in own.items())}"):
        key = f"{KEY}pair_{subject.name}_{stage.student}"
        chosen = {place.name: _partner(place, places, own, key) for place in stages(student, shape)}
    matched = {mine: theirs for mine, theirs in chosen.items() if theirs in places}
    if not matched:
        raise UserError("No stage of the student is compared with one of the teacher; match one at least")
    return () if matched == own else tuple(matched.items())


def _partner(place: Stage, places: dict[str, Stage], own: dict[str, str], key: str) -> str:
    """The teacher's stage that one of the student's is compared with, or "none"."""
    options = ["none", *places]
    return st.selectbox(
        f"{_at(place)} of the student", options, options.index(own.get(place.name, "none")),
        key=f"{key}_{place.name}", bind="query-params",
        format_func=lambda name: _at(places[name]) if name in places else "not compared",
    )  # fmt: skip


def _at(stage: Stage) -> str:
    return f"{stage.name}, {'×'.join(map(str, stage.shape))}"
