"""A row of handles to drag or to move with the arrow keys: a curve drawn by hand, or numbers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_HANDLES = st.components.v2.component(
    "handles",
    html="<div id='handles'>\n<svg preserveAspectRatio='none' aria-hidden='true'><polyline "
    "vector-effect='non-scaling-stroke'/></svg><div id='marks'></div></div>",
    css=(_HERE / "_handles.css").read_text(),
    js=(_HERE / "_handles.js").read_text(),
)


def handles(
    what: str, names: Sequence[str], start: Sequence[float], key: str, *, low: float, high: float, step: float,
    percent: bool = False, joined: bool = False, height: int = 240,
) -> list[float]:  # fmt: skip
    """Draw one handle for each name, at ``start`` until it is moved; its values lie in ``low`` to ``high``."""
    sent = st.session_state.get(key, {}).get("values")
    fits = isinstance(sent, list) and len(sent) == len(names) and all(isinstance(v, int | float) for v in sent)
    values = [min(high, max(low, float(value))) for value in (sent if fits else start)]
    data = {
        "what": what, "names": list(names), "values": values, "low": low, "high": high, "step": step,
        "factor": 100 if percent else 1, "unit": " %" if percent else "", "digits": 0 if percent else 1,
        "joined": joined, "height": height,
    }  # fmt: skip
    _HANDLES(key=key, data=data, height="content", on_values_change=lambda: None)
    return values
