"""For the classroom: presenter mode, controls that a link hides, and the link itself."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from compression.studies.address import LOCAL
from pages._link import address

PRESENT, HIDE, HIDDEN = "learn_present", "hide", "learn_hidden"
SHOWN = "presented"
"""Whether this page is being presented: the switch's own key outlives its page."""
CHOSEN = tuple(
    f"learn_{name}" for name in ("seed", "threshold", "temperature", "sparsity", "budget", "drawn", "logits")
)
"""What was chosen in experiments and drawn: the address has it as long as it is shown, a link always."""
LARGER = 1.5
"""Type and charts of a presenter, of their size on a desk."""
LARGE = f"""<style>
html {{ font-size: {LARGER:.0%}; }}
[data-testid=stSidebar], [data-testid=stHeader], [data-testid=stExpandSidebarButton], .st-key-learn_view,
.st-key-learn_seed, .st-key-learn_onward {{ display: none; }}
.stMainBlockContainer {{ max-width: 60rem; margin-inline: auto; }}
</style>"""
HEARD = Path(__file__).with_name("_steps.js").read_text()
"""Has the keys of the steps heard wherever the focus is."""
LOCKS = {
    "sidebar": (
        "The sidebar with all pages and lessons",
        "[data-testid=stSidebar], [data-testid=stExpandSidebarButton]",
    ),
    "views": ("Pictures, methods and glossary", ".st-key-learn_view"),
    "steps": ("The row of steps; Back and Next stay", ".st-key-learn_step"),
    "settings": (
        "What moves in experiments: thresholds, temperatures, sparsities, budgets",
        ".st-key-learn_threshold, .st-key-learn_temperature, .st-key-learn_sparsity, .st-key-learn_budget",
    ),
    "seed": ("The seed", ".st-key-learn_seed"),
    "onward": ("The way to the other pages", ".st-key-learn_onward"),
    "tools": ("Presenter mode and this link", ".st-key-learn_tools"),
}
"""What a link can hide: the words for a teacher, and what they mean on the page."""


def step_keys(presenting: bool) -> tuple[str, str]:
    """The keys that lead back and on: a clicker's for a presenter."""
    return ("PageUp", "PageDown") if presenting else ("b", "n")


def presented() -> bool:
    """Whether a presenter shows the page."""
    return bool(st.session_state.get(SHOWN))


def leave_stage() -> None:
    """What a page begins with that nobody presents."""
    st.session_state[SHOWN] = False


def frame() -> bool:
    """Hide what the link says, and draw the tools of a presenter; True in presenter mode."""
    hidden = [selector for name, (_, selector) in LOCKS.items() if name in _locks()]
    if hidden:
        st.html(f"<style>{', '.join(hidden)} {{ display: none; }}</style>")
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="learn_tools"):
        present = st.toggle(
            "Presenter mode", key=PRESENT, bind="query-params",
            help="Large type and fewer controls; Page Down and Page Up go through the steps, as a clicker does.",
        )  # fmt: skip
        _link()
    st.session_state[SHOWN] = present
    if present:
        st.html(LARGE)
    keys = " ".join(step_keys(present))
    st.html(f'<i data-steps="{keys}" hidden></i><script>{HEARD}</script>', unsafe_allow_javascript=True)
    return present


def _locks() -> list[str]:
    """What the link hides; it stays hidden for who comes back from another page, whose address says nothing of it."""
    if HIDE in st.query_params:
        st.session_state[HIDDEN] = st.query_params[HIDE].split(",")
    locks: list[str] = st.session_state.get(HIDDEN, [])
    return locks


def _link() -> None:
    about = "It opens this view: lesson, step, prediction, seed."
    place = st.popover("Link", icon=":material/link:", help=about, key="learn_link", on_change="rerun")
    if not place.open:  # parts of the page that run alone have changed the address without this
        return
    with place:
        chosen = st.multiselect(
            "Hide from whoever opens it", tuple(LOCKS), key="learn_hide", format_func=lambda name: LOCKS[name][0],
            help="A class then sees only what the lesson needs.",
        )  # fmt: skip
        kept = {name: str(st.session_state[name]) for name in CHOSEN if name in st.session_state}
        link = address(hide=",".join(chosen), **kept)
        st.code(link, language=None, wrap_lines=True)
        if urlsplit(link).hostname in LOCAL:
            st.caption("Only this computer reaches this address; the deployment guide says how a class does.")
