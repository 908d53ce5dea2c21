"""The question before something of your own is deleted from the Library page, and the word that it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import streamlit as st

from compression.registry import UserError
from pages._link import inert

DELETED = "library_deleted"


def say_deleted() -> None:
    """Say once what was deleted."""
    if name := st.session_state.pop(DELETED, ""):
        st.success(f"{inert(name)} was deleted.", icon=":material/delete:")


@st.dialog("Delete it?")
def confirm(name: str, stays: str, chosen: str, first: str, remove: Callable[[str], None]) -> None:
    """Ask, say what goes and stays, and delete; the menu of the key ``chosen`` then shows its ``first``."""
    st.markdown(f"**{inert(name)}** {stays}")

    def delete() -> None:
        with suppress(UserError):  # another page of the same user has been quicker
            remove(name)
        st.session_state[DELETED], st.session_state[chosen] = name, first

    with st.container(horizontal=True):
        if st.button("Delete it", type="primary", key=f"{chosen}_delete_yes", on_click=delete):
            st.rerun()
        if st.button("Keep it", key=f"{chosen}_delete_no"):
            st.rerun()
