"""A row of handles to drag or to move with the arrow keys: a curve drawn by hand, or numbers side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pages._classroom import LARGER, presented

NUMBER = re.compile(r"-?[0-9]{1,3}(\.[0-9])?")
"""A value in a link."""
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
    """Draw one handle for each name, at ``start`` until it is moved; its values lie in ``low`` to ``high``.

    What was moved is kept in the address, from where ``linked`` reads it.
    """
    sent = st.session_state.get(f"{key}_handles", {}).get("values")
    fits = isinstance(sent, list) and len(sent) == len(names) and all(isinstance(v, int | float) for v in sent)
    given = sent if fits else linked(key, len(names), percent) or start
    values = [min(high, max(low, float(value))) for value in given]
    factor, digits = (100, 0) if percent else (1, 1)
    data = {
        "what": what, "names": list(names), "values": values, "low": low, "high": high, "step": step,
        "factor": factor, "unit": " %" if percent else "", "digits": digits,
        "joined": joined, "height": height, "scale": LARGER if presented() else 1,
    }  # fmt: skip
    _HANDLES(key=f"{key}_handles", data=data, height="content", on_values_change=lambda: None)
    if fits:
        st.query_params[key] = st.session_state[key] = "_".join(f"{factor * value:.{digits}f}" for value in values)
    return values


def linked(key: str, count: int, percent: bool = False) -> list[float] | None:
    """So many values that the link holds for these handles, or did before another page was visited, if any."""
    text = st.session_state[key] = st.query_params.get(key) or st.session_state.get(key, "")
    parts = text.split("_")
    if len(parts) != count or not all(NUMBER.fullmatch(part) for part in parts):
        return None
    return [float(part) / (100 if percent else 1) for part in parts]
