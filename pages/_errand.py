"""An errand that a page waits for: how far it is, a button that stops it, and why it failed."""

from __future__ import annotations

import streamlit as st

from compression import errands
from compression.errands import Order
from compression.report.text import capital, duration
from compression.studies.watch import UNDER_WAY
from pages._link import inert

UPLOAD_MB = 1000
"""The largest upload of one widget; a server may allow less."""


def waited_for(place: str) -> bool:
    """Show how far the errand of a place is, or why it failed; whether it is done."""
    present = errands.state(place)
    if present is None:
        return False
    if present.state in UNDER_WAY:
        _progress(place)
    if present.state == "failed":
        st.error(inert(present.message), icon=":material/error:")
        put_away(place, "Dismiss", icon="close")
    return present.state == "done"


def free(place: str) -> bool:
    """Whether something new can be asked for at a place: nothing is under way, and what was done has been put away."""
    present = errands.state(place)
    return present is None or present.state not in (*UNDER_WAY, "done")


def put_away(place: str, label: str, icon: str = "add") -> None:
    """A button that forgets an errand that has ended, so that the next can be asked for."""
    st.button(label, key=f"{place}_put_away", icon=f":material/{icon}:", on_click=errands.cancel, args=(place,))


def just_done(place: str) -> Order | None:
    """The order of an errand, once, at the first sight of its end."""
    present = errands.state(place)
    if present is None or present.state != "done" or st.session_state.get(f"{place}_seen") == present.started:
        return None
    st.session_state[f"{place}_seen"] = present.started
    return errands.order(place)


@st.fragment(run_every=0.5)
def _progress(place: str) -> None:
    present = errands.state(place)
    if present is None or present.state not in UNDER_WAY:
        st.rerun()
    left = f", about {duration(present.seconds_left)} left" if present.seconds_left is not None else ""
    st.progress(present.done / 100, inert(capital(present.message or "starting a process of its own")) + left)
    st.button(
        "Cancel", key=f"{place}_cancel", icon=":material/stop:", on_click=errands.cancel, args=(place,),
        help="Stops it. Nothing of it stays.",
    )  # fmt: skip
