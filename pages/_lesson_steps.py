"""The four steps of a lesson: predict, experiment, explanation, check."""

from __future__ import annotations

import streamlit as st

from compression.registry import UserError
from pages._classroom import step_keys
from pages._experiments import EXPERIMENTS
from pages._guess import Guess, ask, reveal
from pages._lessons import Curve, Lesson, lessons
from pages._pictures import PICTURES
from pages._stages import plain, replace_stages

LESSON, STEP, DONE = "learn_lesson", "learn_step", "learn_done"
STEPS = ("Predict", "Experiment", "Explanation", "Check")
ONWARD = ("Reveal", "Explain", "Check yourself", "Next lesson")
"""What leads on from each step."""


def choose_lesson() -> Lesson:
    """The list of lessons in the sidebar."""
    done = st.session_state.setdefault(DONE, set())
    with st.sidebar:
        title = st.radio(
            "Lessons", tuple(lessons()), key=LESSON, bind="query-params", on_change=_to, args=(STEPS[0],),
            captions=["done" if name in done else "" for name in lessons()],
            format_func=lambda name: f"{lessons()[name].number} {name}",
            help="Each takes some minutes; any order will do.",
        )  # fmt: skip
    return lessons()[title]


def walk(lesson: Lesson, presenting: bool) -> None:
    """A lesson at its step."""
    st.caption(f"Lesson {lesson.number} of {len(lessons())} · {lesson.title}")
    st.container(key="headline").title(lesson.question, anchor=False)
    row = st.container(horizontal=True, vertical_alignment="center")
    default = None if STEP in st.session_state else STEPS[0]  # a button may have set it
    step = row.segmented_control(
        "Step", STEPS, default=default, required=True, key=STEP, bind="query-params", label_visibility="collapsed",
    )  # fmt: skip
    asked = step == STEPS[0] or (step == STEPS[1] and not presenting)
    with st.container() if asked else st.expander("What was asked, and what you said"):
        st.markdown(lesson.about)
        guess = ask(lesson, locked=step != STEPS[0])
    _buttons(row, lesson, step, guess, presenting)
    if step in AFTER and guess is not None:
        AFTER[step](lesson, guess)
    elif step in AFTER:
        st.info("Predict first: choose **Predict**, make your choice, then reveal.", icon=":material/psychology:")


def _buttons(place, lesson: Lesson, step: str, guess: Guess | None, presenting: bool) -> None:
    at = STEPS.index(step)
    back, on = step_keys(presenting)
    last = at == len(STEPS) - 1
    before, after = _beside(lesson)
    with place:
        st.button(
            "Back", icon=":material/arrow_back:", key="learn_back", shortcut=back, disabled=at == 0 and before is None,
            on_click=_to if at else _to_lesson, args=(STEPS[at - 1],) if at else (before, STEPS[-1]),
            help="Stops what is being measured, too.",
        )  # fmt: skip
        st.button(
            ONWARD[at], icon=":material/arrow_forward:", key="learn_on", shortcut=on, type="primary",
            disabled=guess is None or (last and after is None),
            on_click=_to_lesson if last else _to, args=(after, STEPS[0]) if last else (STEPS[at + 1],),
            help="Predict first." if guess is None else None,
        )  # fmt: skip


def _to(step: str) -> None:
    st.session_state[STEP] = step


def _to_lesson(title: str, step: str) -> None:
    st.session_state[LESSON] = title
    _to(step)


def _beside(lesson: Lesson) -> tuple[str | None, str | None]:
    """The titles of the lessons before and after one."""
    titles = [None, *lessons(), None]
    return titles[lesson.number - 1], titles[lesson.number + 1]


def _experiment(lesson: Lesson, guess: Guess) -> None:
    place = st.container()
    drawn = {"drawn": guess} if isinstance(lesson.predict, Curve) else {}
    try:
        answer = EXPERIMENTS[lesson.experiment](**lesson.settings, **drawn)
    except UserError as fault:
        st.error(str(fault), icon=":material/error:")
        return
    with place:
        reveal(lesson, guess, answer)


def _explanation(lesson: Lesson, guess: Guess) -> None:
    st.markdown(lesson.explanation)
    st.latex(lesson.formula)
    st.caption(lesson.paper)
    if lesson.picture:
        PICTURES[lesson.picture].call()
    st.markdown(f"**Try this.** {lesson.try_this}")
    onward = lesson.onward
    if st.button(
        onward.label, icon=":material/open_in_new:", key="learn_onward", help="Opens the page with these settings."
    ):
        for name in onward.query:
            st.session_state.pop(name, None)  # else it would count, and not what the link says
        if onward.stages:
            replace_stages([plain(stage) for stage in onward.stages])
        st.switch_page(onward.page, query_params=onward.query)


def _check(lesson: Lesson, guess: Guess) -> None:
    check, key = lesson.check, f"learn_check_{lesson.number}"
    chosen = st.radio(
        check.question, check.choices, index=None, key=key, bind="query-params", persist_state="session",
        on_change=_checked, args=(lesson, key),
    )  # fmt: skip
    if chosen is None:
        return
    if chosen == check.answer:
        st.success(f"Right. {check.why}", icon=":material/check:")
    else:
        st.warning("Not quite: think of what you have just seen, and choose again.", icon=":material/replay:")


def _checked(lesson: Lesson, key: str) -> None:
    """Mark a lesson as done before its list is drawn."""
    if st.session_state[key] == lesson.check.answer:
        st.session_state[DONE].add(lesson.title)


AFTER = {"Experiment": _experiment, "Explanation": _explanation, "Check": _check}
"""What is shown once a prediction has been made."""
