"""What the forms of the Library page that add something of your own have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection

import streamlit as st

from compression import errands
from compression.registry import UserError
from pages._errand import put_away, waited_for
from pages._link import inert


def adding(place: str, label: str, what: str, own: Collection[str], form: Callable[[], None]) -> None:
    """A form under how far the one before it is; in its place, once what was asked for is here, the word that it is.

    The form stays where another name stands in it: another page of the same user has asked for this one.
    """
    present = errands.state(place)
    name = errands.found(place)["name"] if present and present.state == "done" else ""
    if name in own:  # else it has been deleted since
        st.success(f"{inert(name)} is a {what} now.", icon=":material/check:")
        put_away(place, "Add another")
        if st.session_state.get(f"library_{place}_name") in (None, "", name):
            return
    with st.expander(label, icon=":material/add:", expanded=not own or present is not None):
        waited_for(place)
        try:
            form()
        except UserError as fault:
            st.error(inert(str(fault)), icon=":material/error:")


def needed(**given: object) -> None:
    """Raise UserError that names what was left empty, by the words that it goes by."""
    if empty := [f"a {name.replace('_', ' ')}" for name, value in given.items() if not value]:
        raise UserError(f"Still needed: {' and '.join(empty)}")
