"""Which studies are looked at, how they are, and what can be done with them: all of it read from the store."""

from __future__ import annotations

import streamlit as st

from compression.registry import UserError
from compression.report.text import duration
from compression.studies import control, store
from compression.studies.control import Status
from compression.subject import Subject
from pages._link import foreign
from pages._new_study import CHOSEN

WORDS = {
    "waiting": ":material/hourglass: starting",
    "running": ":material/play_arrow: running",
    "paused": ":material/pause: paused",
    "done": ":material/check: done",
    "cancelled": ":material/stop: cancelled",
    "failed": ":material/error: failed",
    "lost": ":material/link_off: its engine fell silent",
}
MOST = 4
"""Studies on one chart."""


def choose_studies(subject: Subject) -> list[str]:
    """The studies to look at: those of the link, else the latest of this model."""
    names = list(reversed(store.names()))
    if lacking := [name for name in st.query_params.get_all(CHOSEN) if name not in names]:
        st.warning(f"The link's study {foreign(lacking[0])} is not in this store.", icon=":material/link_off:")
    if not names:
        return []
    _preset_choice(names, subject.name)
    chosen = st.multiselect(
        "Studies", names, key=CHOSEN, max_selections=MOST, placeholder="Choose a study, or several to compare",
        help="Several are drawn on one chart, whatever their models; their intervals say what is noise.",
    )  # fmt: skip
    if chosen != st.query_params.get_all(CHOSEN):
        st.query_params[CHOSEN] = chosen
    return chosen


def _preset_choice(names: list[str], model: str) -> None:
    """Choose what was just started, or what a link names, or of a model just chosen the latest."""
    if started := st.session_state.pop("study_next", None):
        st.session_state[CHOSEN] = [started]
    first = CHOSEN not in st.session_state
    asked = st.query_params.get_all(CHOSEN) if first else st.session_state[CHOSEN]
    present = [name for name in asked if name in names][:MOST]  # others were deleted
    if st.session_state.get("study_subject") != model and not (first and present):
        own = [name for name in names if store.plan(name).model == model]
        present = present if set(present) & set(own) else own[:1]
    st.session_state["study_subject"] = model
    if first or present != asked:
        st.session_state[CHOSEN] = present


def show_states(names: list[str]) -> None:
    """A line for each study with what can be done with it; looks again every second while one runs."""
    states = {name: control.status(name) for name in names}
    if any(present.state in control.UNDER_WAY for present in states.values()):
        _watched(tuple(names), sum(present.done for present in states.values()))
        return
    for name, present in states.items():
        _line(name, present)


@st.fragment(run_every=1.0)
def _watched(names: tuple[str, ...], drawn: int) -> None:
    """The lines while something runs; redraws the page when it ends and at each tenth part."""
    try:
        states = {name: control.status(name) for name in names}
    except UserError as fault:  # deleted in another tab, or its database is away
        st.error(str(fault), icon=":material/error:")
        return
    for name, present in states.items():
        _line(name, present)
    going = [present for present in states.values() if present.state in control.UNDER_WAY]
    enough = 1 if not drawn else max(2, sum(present.total or 100 for present in going) // 10)
    if not going or sum(present.done for present in states.values()) - drawn >= enough:
        st.rerun()


def _line(name: str, present: Status) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{name}** · {WORDS[present.state]} · {_counted(present)}", width="stretch")
        _buttons(name, present)
    if present.state in control.UNDER_WAY:
        st.progress(present.settled / present.total if present.total else 0.0, _pace(present))
    if present.state in ("failed", "lost"):
        why = present.message or "what it measured is kept; Resume goes on from there"
        st.error(f"{name}: {why}", icon=":material/error:")
    elif present.message:
        st.warning(f"{name}: {present.message}", icon=":material/warning:")
    if present.failed:
        with st.expander(f"{len(present.failed)} settings were not measured, and why"):
            st.markdown("\n".join(f"- {line}" for line in present.failed[:200]))


def _counted(present: Status) -> str:
    parts = [f"{present.done} of {present.total or 'as many as its minutes allow'} measured"]
    parts += [f"{present.behind} stopped early, behind their rivals"] if present.behind else []
    return ", ".join(parts)


def _pace(present: Status) -> str:
    if present.timing:
        return f"Accuracies are done; {present.timing} latencies still to be taken, alone on the machine"
    if present.seconds_left is None:
        return f"{present.running} under way" if present.running else "Starting its engine, a process of its own"
    return f"About {duration(present.seconds_left)} left, {present.running} under way"


def _buttons(name: str, present: Status) -> None:
    actions = (
        (("Pause", "pause", control.pause), ("Cancel", "stop", control.cancel))
        if present.state in control.UNDER_WAY
        else (("Resume", "play_arrow", control.resume),)
        if present.state != "done"
        else ()
    )
    for label, icon, act in actions:
        st.button(label, icon=f":material/{icon}:", key=f"study_{label}_{name}", on_click=_act, args=(act, name))
    if present.state not in control.UNDER_WAY and st.button(
        "Delete", icon=":material/delete:", key=f"study_delete_{name}", type="tertiary"
    ):
        _confirm(name, present)


def _act(act: object, name: str) -> None:
    try:
        act(name)  # type: ignore[operator]
    except UserError as fault:
        st.session_state["study_fault"] = str(fault)


@st.dialog("Delete this study?")
def _confirm(name: str, present: Status) -> None:
    st.markdown(f"**{name}** goes with its {present.done} measured settings. Models that you have downloaded stay.")
    with st.container(horizontal=True):
        if st.button("Delete it", type="primary", key="study_delete_yes"):
            try:
                control.delete(name)
                st.query_params.pop(CHOSEN, None)
            except UserError as fault:
                st.error(str(fault), icon=":material/error:")
                return
            st.rerun()
        if st.button("Keep it", key="study_delete_no"):
            st.rerun()
