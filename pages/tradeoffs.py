"""Trade-offs: many settings planned as a study, run outside the server, explored in linked charts."""

import streamlit as st

from compression.registry import UserError
from compression.report import charts
from compression.report.tables import tradeoff_table
from compression.subject import Subject, granularities
from pages._cache import live_plan, live_rows
from pages._draw import draw
from pages._explore import explore
from pages._frame import bare_frame
from pages._new_study import new_study
from pages._point import LEAVE
from pages._sketched import FIRST
from pages._study_state import choose_studies, show_states
from pages._workbench import choose_subject, theme


def first_look(subject: Subject) -> None:
    """What a glance shows before any study: a few one-shot prunings, made on the spot."""
    styles = tuple(k for k in ("weights", "rows", "channels") if k in granularities(subject))
    quick = live_plan(subject.name, subject.dataset.name, granularities=styles)
    st.caption(
        f"A first look, one-shot, on {quick.limit or 'all'} validation images. Start a study for your own settings: it "
        "runs in a process of its own, and is kept."
    )
    draw(charts.tradeoff_chart(tradeoff_table(live_rows(quick)), theme()), "tradeoff")


if st.session_state.pop(LEAVE, False):  # the page itself can leave, a part of it not
    st.switch_page("pages/pipeline.py", query_params={})  # left out, Streamlit would clear what widgets are bound to
subject = choose_subject()
st.title("Trade-offs")
place = st.empty()
try:
    names = choose_studies(subject)
    if not names and FIRST not in st.session_state:
        bare_frame(place, 10)
    if fault := st.session_state.pop("study_fault", ""):
        st.error(fault, icon=":material/error:")
    new_study(subject, first=not names)
    if names:
        show_states(names)
        explore(names)
    else:
        first_look(subject)
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
place.empty()
