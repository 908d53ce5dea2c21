"""What a learner predicts before the answer is shown, and how it then stands beside what was measured."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compression.subject import baseline, load_subject
from pages._cache import SPARSITIES
from pages._handles import handles
from pages._lessons import Answer, Curve, Lesson, Pick, Share

DRAWN = "learn_drawn"
Drawn = tuple[tuple[float, float], ...]
Guess = str | float | Drawn


def ask(lesson: Lesson, locked: bool) -> Guess | None:
    """The prediction's widget, which no longer moves once ``locked``; None where nothing has been chosen."""
    key = f"learn_guess_{lesson.number}"
    common: dict[str, Any] = {"key": key, "bind": "query-params", "disabled": locked}
    match lesson.predict:
        case Pick(choices=choices):
            return st.radio("Your prediction", tuple(choices), index=None, help="Choose before you look.", **common)
        case Share(label=label):
            about = "Move it to where you expect the answer."
            return st.slider(label, 0.0, 1.0, 0.5, 0.01, format="percent", help=about, **common)
        case Curve(label=label):
            return _drawn(lesson, label, locked)


def _drawn(lesson: Lesson, label: str, locked: bool) -> Drawn | None:
    linked = _linked(st.query_params.get(DRAWN, ""))
    if locked:  # the experiment draws it beside what was measured
        return linked
    whole = baseline(load_subject(lesson.settings["model"]))[1].accuracy
    st.markdown(f"**{label}**")
    values = handles(
        "Expected accuracy", [f"{round(100 * sparsity)} %" for sparsity in SPARSITIES],
        [height for _, height in linked] if linked else [whole] * len(SPARSITIES), f"learn_handles_{lesson.number}",
        low=0.0, high=1.0, step=0.01, percent=True, joined=True,
    )  # fmt: skip
    st.query_params[DRAWN] = "-".join(f"{round(100 * value)}" for value in values)
    st.caption("Drag across to draw, or move each point with the arrow keys. Below: the share of weights removed.")
    return tuple(zip(SPARSITIES, values, strict=True))


def _linked(text: str) -> Drawn | None:
    """The curve in a link; None where it holds none."""
    parts = text.split("-")
    if len(parts) != len(SPARSITIES) or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple((sparsity, min(100, int(part[:3])) / 100) for sparsity, part in zip(SPARSITIES, parts, strict=True))


def reveal(lesson: Lesson, guess: Guess, answer: Answer) -> None:
    """What was measured, and beside it what was predicted."""
    line = f"**Measured: {answer.words}.**"
    match lesson.predict:
        case Pick() as pick:
            right = pick.right(answer.value)
            if guess == right:
                st.success(f"{line} As you said: {right}.", icon=":material/check:")
            else:
                st.info(f"{line} You said: {guess}. It is: {right}.", icon=":material/lightbulb:")
        case Share() as share:
            st.info(f"{line} {share.apart(guess, answer.value)}", icon=":material/straighten:")
        case Curve():
            st.info(line, icon=":material/draw:")
