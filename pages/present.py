"""Present: a study as a story for those who decide, in words and charts that follow from its data."""

from functools import partial

import streamlit as st

from compression.registry import UserError
from compression.report.story import Story, story
from compression.studies import records
from pages._cache import answered, studied_of
from pages._present_controls import assumptions, choose_cover, choose_points, choose_study
from pages._present_view import show
from pages._workbench import choose_subject


def told(name: str) -> Story:
    """The story of a study as it is asked for, with the evidence for each of its points."""
    known = records.known(name)
    about = studied_of(name, known)
    trials, axis = choose_points(about)
    start = next((row for row in about.rows if row["granularity"] == "baseline"), {})
    assumed = assumptions(start)
    with st.spinner("Asking both models on the test images"):
        return story(about, trials, assumed, partial(answered, name, known), axis)


subject = choose_subject()
st.title("Present")
try:
    name = choose_study(subject.name)
    if name is None:
        st.info("There is no study to present yet. Start one on the Trade-offs page; it takes a minute or two.",
                icon=":material/lightbulb:")  # fmt: skip
        st.page_link("pages/tradeoffs.py", label="Go to Trade-offs", icon=":material/show_chart:")
    else:
        report = told(name)
        show(report, choose_cover())
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
    st.info(
        "Choose another study or point, or go on with this one on the Trade-offs page.", icon=":material/lightbulb:"
    )
