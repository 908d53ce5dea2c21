"""Learn: lessons that ask for a prediction first, pictures to play with, all methods, and the words."""

import streamlit as st

from pages._classroom import frame
from pages._lesson_steps import choose_lesson, walk
from pages._method_cards import glossary, method_cards
from pages._pictures import PICTURES
from pages._workbench import begin

VIEWS = ("Lessons", "Pictures", "Methods", "Glossary")


def pictures() -> None:
    """All pictures, one at a time."""
    chosen = st.segmented_control(
        "Picture", tuple(PICTURES), default="softmax", required=True, key="learn_picture", bind="query-params",
        format_func=lambda key: PICTURES[key].title, label_visibility="collapsed",
    )  # fmt: skip
    st.markdown(PICTURES[chosen].sentence)
    PICTURES[chosen].call()


begin()
with st.container(horizontal=True, vertical_alignment="center"):
    view = st.segmented_control(
        "What to learn from", VIEWS, default="Lessons", required=True, key="learn_view", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    presenting = frame()
if view == "Lessons":
    walk(choose_lesson(), presenting)
else:
    {"Pictures": pictures, "Methods": method_cards, "Glossary": glossary}[view]()
