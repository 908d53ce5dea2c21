"""What a learner predicts before the answer is shown, and how it then stands beside what was measured."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compression.subject import baseline, load_subject
from pages._cache import SPARSITIES
from pages._handles import handles, linked
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
            about = "Move it to where you expect the answer; at 0 nothing has been said yet."
            return st.slider(label, 0.0, 1.0, 0.0, 0.01, format="percent", help=about, **common) or None
        case Curve(label=label):
            return _drawn(lesson, label, locked)


def _drawn(lesson: Lesson, label: str, locked: bool) -> Drawn | None:
    if not locked:  # the experiment draws it beside what was measured
        whole = baseline(load_subject(lesson.settings["model"]))[1].accuracy
        st.markdown(f"**{label}**")
        handles(
            "Expected accuracy", [f"{round(100 * sparsity)} %" for sparsity in SPARSITIES], [whole] * len(SPARSITIES),
            DRAWN, low=0.0, high=1.0, step=0.01, percent=True, joined=True,
        )  # fmt: skip
        st.caption("Drag across to draw, or move each point with the arrow keys. Below: the share of weights removed.")
    heights = linked(DRAWN, len(SPARSITIES), percent=True)
    return tuple(zip(SPARSITIES, (min(1.0, max(0.0, one)) for one in heights), strict=True)) if heights else None


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
