"""Distill: see the softened teacher, teach a student, judge what it learned."""

import streamlit as st

from compression.registry import UserError
from pages._judge import judge, temperatures
from pages._lesson import present_lesson, progress
from pages._softened import softened_teacher
from pages._teach import teach
from pages._workbench import choose_subject

VIEWS = {
    "see": "See the softened teacher",
    "teach": "Teach",
    "judge": "Judge",
    "temperature": "Which temperature?",
}
RESULTS = {"judge": judge, "temperature": temperatures}

subject = choose_subject()
st.title("Distill")
view = st.segmented_control(
    "View", tuple(VIEWS), default="see", required=True, key="distill_view", bind="query-params",
    format_func=VIEWS.__getitem__, label_visibility="collapsed",
)  # fmt: skip


def lesson() -> None:
    """A lesson: its form or what came of it, under how far it is."""
    if view == "teach":
        teach(subject)
    job = present_lesson(subject)
    if job:
        progress(job)
    elif view in RESULTS:
        st.info("Nothing has been taught yet: choose **Teach** and press **Train**.", icon=":material/school:")
    if job and view in RESULTS:
        RESULTS[view](subject, job)


try:
    if view == "see":
        softened_teacher(subject)
    else:
        lesson()
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
