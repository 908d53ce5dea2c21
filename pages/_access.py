"""Who is here: on a team's server everybody logs in, is on its list, and works in a room of their own."""

import os
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from compression.owner import NOBODY, known_by, owner_id
from compression.registry import UserError
from compression.roster import VARIABLE, read_roster, welcome


def navigation(pages: list[StreamlitPage]) -> StreamlitPage:
    """The page to run: the one asked for, where no login is or for whoever is logged in and on the list; else a door.

    The door stands at every page's address, or whoever follows a link would be told that there is no such page.
    """
    listed = os.environ.get(VARIABLE)
    if not listed:
        return st.navigation(pages)
    known_by(present)
    if door := _door(Path(listed)):
        doors = [st.Page(door, title="Espalier", url_path=page.url_path, default=page == pages[0]) for page in pages]
        return st.navigation(doors, position="hidden")
    with st.sidebar:
        st.button(
            "Log out", on_click=st.logout, icon=":material/logout:", key="log_out", type="tertiary",
            help="What you brought and made stays here, and is there when you come back.",
        )  # fmt: skip
    return st.navigation(pages)


def present() -> str:
    """Whose the present request is; what belongs to no request works for nobody."""
    # Asked each time: fragments, callbacks and cached calls run without app.py.
    if get_script_run_ctx(suppress_warning=True) is None or not st.user.get("is_logged_in"):
        return NOBODY
    # A provider's name for a person stays; an address may go to somebody else one day.
    login = f"{st.user.get('iss')} {st.user['sub']}" if st.user.get("sub") else str(st.user.get("email")).casefold()
    return owner_id(login)


def _door(listed: Path) -> Callable[[], None] | None:
    """What stands in the way of the present visitor; None where nothing does."""
    if not st.user.get("is_logged_in"):
        return _log_in
    try:
        roster = read_roster(listed)  # anew each time: who is taken off it stays out
    except UserError:
        return _closed
    return None if welcome(st.user.get("email"), st.user.get("email_verified"), roster) else _not_listed


def _log_in() -> None:
    st.title("Espalier")
    st.write("Prune and distil neural networks, and see what each choice costs and buys. This server is a team's.")
    st.caption("Did you follow a link? Open it once more when you are logged in.")
    st.button("Log in", on_click=st.login, type="primary", icon=":material/login:", help="With your team's account.")


def _not_listed() -> None:
    st.title("Not on the list")
    st.error("You are logged in, but this server's list does not have your address.", icon=":material/block:")
    st.info("Ask whoever runs this server to add it, or log in with another account.", icon=":material/lightbulb:")
    st.button("Log out", on_click=st.logout, icon=":material/logout:", help="To log in with another account.")


def _closed() -> None:
    st.title("Closed")
    st.error("The list of those who may enter cannot be read.", icon=":material/error:")
    st.info("Whoever runs this server finds its path in ESPALIER_TEAM.", icon=":material/lightbulb:")
