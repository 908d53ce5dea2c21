"""What a link or a file says, which anybody may have written."""

import re
from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from compression.registry import quoted

MARKS = re.compile(r"([!-/:-@\[-`{-~])")
"""All that can have a meaning in Markdown."""
ADDRESSES = re.compile(r"(?=://|@)|(?<=www)(?=\.)", re.IGNORECASE)
"""Where addresses are told by, which become links even when their marks are escaped."""
JOINER = "\u2060"
"""Has no width, and belongs in no address."""


def inert(words: str) -> str:
    """A stranger's words on one line, in which Markdown sees nothing but letters."""
    return MARKS.sub(r"\\\1", ADDRESSES.sub(JOINER, " ".join(words.split())))


def foreign(words: str) -> str:
    """A stranger's words as code, in which Markdown sees no link, and no picture that a stranger's server has."""
    return f"`{quoted(words).replace('`', '´')}`"


def lost(key: str, known: Sequence[str], what: str) -> None:
    """Say that what a link names is not here, before the menu of this key falls back to the first that is.

    Where the menu shows something else already, chosen since, the link is of no matter.
    """
    named = st.query_params.get(key)
    if named and named not in known and st.session_state.get(key) not in known:
        st.warning(f"The link's {what} {foreign(named)} is not here; this is {known[0]}.", icon=":material/link_off:")


def refused(key: str, fault: str, default: str) -> None:
    """Say what a link asks for that cannot be, before the box of this key falls back to its default."""
    if st.session_state.get(key) is None:
        st.warning(f"In the link {inert(fault)}; this is {inert(default)}.", icon=":material/link_off:")


def address(**other: str) -> str:
    """The page's address with everything that was chosen; ``other`` parameters replace its own, or take them out."""
    kept = {name: st.query_params.get_all(name) for name in st.query_params if name not in other}
    return f"{st.context.url}?{urlencode(kept | {k: v for k, v in other.items() if v}, doseq=True)}"
