"""Distill: see the softened teacher, teach a student, judge what it learned."""

import streamlit as st

from compression.registry import UserError
from pages._judge import judge, progress, temperatures
from pages._softened import softened_teacher
from pages._teach import present_job, start
from pages._workbench import choose_subject

VIEWS = {
    "see": "See the softened teacher",
    "teach": "Teach",
    "judge": "Judge",
    "temperature": "Which temperature?",
}

subject = choose_subject()
st.title("Distill")
view = st.segmented_control(
    "View", tuple(VIEWS), default="see", required=True, key="distill_view", bind="query-params",
    format_func=VIEWS.__getitem__, label_visibility="collapsed",
)  # fmt: skip
try:
    if view in ("teach", "judge", "temperature"):
        job = start(subject) if view == "teach" else present_job(subject)
        if job is None and view != "teach":
            st.info("Nothing has been taught yet: choose **Teach** and press **Train**.", icon=":material/school:")
        elif job is not None:
            progress(job)
            {"teach": lambda *_: None, "judge": judge, "temperature": temperatures}[view](subject, job)
    else:
        softened_teacher(subject)
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
