"""For the classroom: presenter mode, controls that a link hides, and the link itself."""

from __future__ import annotations

import streamlit as st

from pages._link import address

PRESENT, HIDE = "learn_present", "hide"
LARGE = """<style>
html { font-size: 150%; }
[data-testid=stSidebar], [data-testid=stHeader], [data-testid=stExpandSidebarButton], .st-key-learn_view,
.st-key-learn_seed, .st-key-learn_onward { display: none; }
.stMainBlockContainer { max-width: 60rem; margin-inline: auto; }
</style>"""
LOCKS = {
    "sidebar": (
        "The sidebar with all pages and lessons",
        "[data-testid=stSidebar], [data-testid=stExpandSidebarButton]",
    ),
    "views": ("Pictures, methods and glossary", ".st-key-learn_view"),
    "steps": ("The row of steps; Back and Next stay", ".st-key-learn_step"),
    "seed": ("The seed", ".st-key-learn_seed"),
    "onward": ("The way to the other pages", ".st-key-learn_onward"),
    "tools": ("Presenter mode and this link", ".st-key-learn_tools"),
}
"""What a link can hide: the words for a teacher, and what they mean on the page."""


def frame() -> bool:
    """Hide what the link says, and draw the tools of a presenter; True in presenter mode."""
    asked = st.query_params.get(HIDE, "").split(",")
    hidden = [selector for name, (_, selector) in LOCKS.items() if name in asked]
    if hidden:
        st.html(f"<style>{', '.join(hidden)} {{ display: none; }}</style>")
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="learn_tools"):
        present = st.toggle(
            "Presenter mode", key=PRESENT, bind="query-params",
            help="Large type and fewer controls; Page Down and Page Up go through the steps, as a clicker does.",
        )  # fmt: skip
        _link()
    if present:
        st.html(LARGE)
    return present


def _link() -> None:
    with st.popover("Link", icon=":material/link:", help="It opens this view: lesson, step, prediction, seed."):
        chosen = st.multiselect(
            "Hide from whoever opens it", tuple(LOCKS), key="learn_hide", format_func=lambda name: LOCKS[name][0],
            help="A class then sees only what the lesson needs.",
        )  # fmt: skip
        st.code(address(hide=",".join(chosen)), language=None, wrap_lines=True)
