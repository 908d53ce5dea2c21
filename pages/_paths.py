"""Parallel coordinates that can be brushed: a line for every trial, and the brushes come back as filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

KEY, CLEARED = "study_paths", "study_clearings"
HEIGHT = 280
_HERE = Path(__file__).parent
_PATHS = st.components.v2.component(
    "study_paths",
    html="<div id='paths'>\n<canvas aria-hidden='true'></canvas><div id='marks'></div><span id='count'></span></div>",
    css=(_HERE / "_paths.css").read_text(),
    js=(_HERE / "_paths.js").read_text(),
)


def _key() -> str:
    """The component's name, another after every clearing: the browser would send the old one's brushes again."""
    return f"{KEY}_{st.session_state.get(CLEARED, 0)}"


def brushes() -> dict[str, list[Any]]:
    """What each brushed axis lets through: its lowest and highest value, or the words of its choices."""
    return dict(st.session_state.get(_key(), {}).get("brushes", {}))


def clear() -> None:
    """Take all brushes away."""
    st.session_state[CLEARED] = st.session_state.get(CLEARED, 0) + 1


def draw_paths(table: Mapping[str, Sequence[Mapping[str, Any]]], marked: Sequence[tuple[str, int]]) -> None:
    """Draw a ``paths_table``; the trials that are ``marked`` stand out."""
    keys = [axis["key"] for axis in table["axes"]]
    rows = [[trial["at"][key] for key in keys] for trial in table["trials"]]
    chosen = [
        row for row, trial in zip(rows, table["trials"], strict=True) if (trial["study"], trial["trial"]) in marked
    ]
    data = {"axes": table["axes"], "rows": rows, "marked": chosen, "brushes": brushes(), "height": HEIGHT}
    _PATHS(key=_key(), data=data, height="content", on_brushes_change=lambda: None)
