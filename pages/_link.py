"""What a link or a file says, which anybody may have written."""

import re
from collections.abc import Sequence

import streamlit as st

from compression.registry import quoted

MARKS = re.compile(r"([!-/:-@\[-`{-~])")
"""All that can have a meaning in Markdown."""


def inert(words: str) -> str:
    """A stranger's words on one line, in which Markdown sees nothing but letters."""
    return MARKS.sub(r"\\\1", " ".join(words.split()))


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
