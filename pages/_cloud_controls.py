"""What the cloud of a study shows: both axes, what tells the points apart, and what they must meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from compression.carbon import WORLD
from compression.goals import Constraint, check_together
from compression.registry import UserError
from compression.report.measures import CO2, MEASURES
from compression.report.setting_words import short_names
from compression.report.study_view import StudyView
from compression.studies.study import Study
from pages._carbon import grid

LOGS = {"Automatic": None, "Linear": False, "Log": True}


class Controls(NamedTuple):
    """The measures across and up, what tells the points apart, the constraints, and the grid for CO₂ in g/kWh."""

    x: str
    y: str
    group: str
    constraints: tuple[Constraint, ...]
    g_per_kwh: float


def first_controls(plans: Sequence[Study], view: StudyView) -> Controls:
    """What is shown of some studies before anything is chosen: what they were planned for."""
    wanted = (name for name in plans[0].objectives if name != "accuracy" and name in view.measures)
    bounds = tuple(map(Constraint.read, _bounds(plans)))
    return Controls(next(wanted, "packed_bytes"), "accuracy", view.groups[0], bounds, WORLD)


def _bounds(plans: Sequence[Study]) -> list[str]:
    return list(dict.fromkeys(text for plan in plans for text in plan.constraints))


def cloud_controls(plans: Sequence[Study], view: StudyView) -> Controls:
    """The widgets over the chart."""
    first = first_controls(plans, view)
    labels = {key: MEASURES[key].label for key in view.measures}
    words = {"recipe": "recipe", "study": "study", "model": "model", **short_names(view.names)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = _choice("Across", view.measures, first.x, f"study_x_{first.x}", labels)
        y = _choice("Up", view.measures, first.y, "study_y", labels)
        # Named by its default: which that is may change while the first trials come in.
        group = _choice("Told apart by", view.groups, first.group, f"study_group_{first.group}", words)
        st.selectbox(
            "Cost axis", tuple(LOGS), key="study_log", bind="query-params", width=120,
            help="Automatic is logarithmic where costs span more than eight times.",
        )  # fmt: skip
        st.toggle(
            "Knee",
            key="study_knee",
            bind="query-params",
            help="Where giving up size costs most: furthest from the chord.",
        )
        chosen = _grid() if CO2 in (x, y) else first.g_per_kwh
    names = "_".join(plan.name for plan in plans)
    text = st.text_input(
        "Constraints", ", ".join(_bounds(plans)), key=f"study_bounds_{names}", bind="query-params",
        placeholder="accuracy >= 98 %, packed_bytes <= 100 KB, speedup >= 2",
        help="They shade what they rule out; the best point that meets them all is named.",
    )  # fmt: skip
    return Controls(x, y, group, _read(text), chosen)


def _grid() -> float:
    with st.popover("Grid", icon=":material/eco:", key="study_grid"):
        return grid()


def _read(text: str) -> tuple[Constraint, ...]:
    """The constraints of a text; those before where it cannot be read, so that a slip of the finger hides nothing."""
    try:
        found = tuple(Constraint.read(one) for one in text.split(",") if one.strip())
        check_together(found)
    except UserError as fault:
        st.error(str(fault), icon=":material/error:")
        before: tuple[Constraint, ...] = st.session_state.get("study_bounds_read", ())
        return before
    st.session_state["study_bounds_read"] = found
    return found


def log_axes(y: str) -> tuple[bool | None, bool | None]:
    """Whether x and y are logarithmic; None where their values decide. An accuracy up the chart never is."""
    log = LOGS[st.session_state.get("study_log", "Automatic")]
    return log, False if y == "accuracy" else log


def knee_wanted() -> bool:
    """Whether the knee is to be ringed."""
    return bool(st.session_state.get("study_knee", False))


def _choice(label: str, options: Sequence[str], first: str, key: str, words: dict[str, str]) -> str:
    chosen = st.selectbox(
        label, options, options.index(first) if first in options else 0, key=key, bind="query-params", width=190,
        format_func=lambda one: words.get(one, one),
    )  # fmt: skip
    return chosen if chosen in options else first
