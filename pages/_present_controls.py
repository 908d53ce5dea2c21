"""What is presented: which study and points, at which traffic and prices, under whose name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import streamlit as st

from compression.carbon import MOST as MOST_GRID
from compression.recipe import refusal, validated
from compression.registry import UserError
from compression.report.cover import LOGOS, LONGEST, Cover, cover
from compression.report.estimates import measures_of
from compression.report.measures import MEASURES
from compression.report.savings import ASSUMED, Assumptions
from compression.report.setting_words import setting_labels, trial_words
from compression.report.story import MOST, Studied, told_of
from compression.report.study_tables import settings_of
from compression.report.text import quantity
from compression.studies import store
from pages._carbon import grid
from pages._link import foreign, refused
from pages._new_study import CHOSEN

STUDY, POINTS = "present_study", "present_points"
STEPS = {"requests_per_day": 100_000.0, "price_per_hour": 0.05, "energy_mj": 1.0, "watts": 5.0}


def choose_study(model: str) -> str | None:
    """The study of the link, else that of the Trade-offs page, else the latest of this model; None without any."""
    names = list(reversed(store.names()))
    if not names:
        return None
    linked = st.query_params.get(STUDY)
    if linked and linked not in names:
        st.warning(f"The link's study {foreign(linked)} is not in this store.", icon=":material/link_off:")
    if st.session_state.get(STUDY) not in names:
        st.session_state[STUDY] = linked if linked in names else _latest(names, model)
    chosen: str = st.selectbox("Study", names, key=STUDY, help="Studies are made on the Trade-offs page.")
    _keep_in_link(STUDY, [chosen])
    return chosen


def _keep_in_link(key: str, values: list[str]) -> None:
    """Have the address say what was chosen, also where the page chose it itself."""
    if st.query_params.get_all(key) != values:
        st.query_params[key] = values


def _latest(names: Sequence[str], model: str) -> str:
    looked = [name for name in st.session_state.get(CHOSEN, ()) if name in names]
    own = [name for name in names if store.plan(name).model == model]
    return [*looked, *own, *names][0]


def choose_points(studied: Studied) -> tuple[tuple[int, ...], str]:
    """The trials to present, none for the suggested one, and the measure that accuracy is drawn against."""
    trials = told_of(studied).trials
    labels = dict(zip([row["trial"] for row in trials], setting_labels(trials, settings_of(trials)), strict=True))
    _preset_points(studied.name, labels)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        points = st.multiselect(
            "Operating points", list(labels), key=POINTS, max_selections=MOST, placeholder="The suggested one",
            format_func=lambda number: trial_words(labels[number], number),
            help=f"Up to {MOST} side by side. Sentences are about the first; without any, about the suggested one.",
        )  # fmt: skip
        axes = [key for key in measures_of(trials) if key != "accuracy"]
        axis = st.selectbox(
            "Against", axes, axes.index(studied.cost) if studied.cost in axes else 0, bind="query-params", width=220,
            key=f"present_axis_{studied.cost}", format_func=lambda key: MEASURES[key].label,
            help="The measure that accuracy is drawn against, and by which a point is suggested.",
        )  # fmt: skip
    _keep_in_link(POINTS, [str(number) for number in points])
    return tuple(points), axis


def _preset_points(name: str, labels: dict[int, str]) -> None:
    """Take the points of the link, and none when another study is chosen; say which are gone."""
    if POINTS not in st.session_state:
        asked = st.query_params.get_all(POINTS)
    else:
        asked = [str(one) for one in st.session_state[POINTS] if st.session_state["present_pointed"] == name]
    trials = {str(number): number for number in labels}
    if gone := [one for one in asked if one not in trials]:
        st.warning(f"Trial {foreign(gone[0])} is not in this study; it may have been deleted meanwhile.",
                   icon=":material/link_off:")  # fmt: skip
    st.session_state[POINTS] = [trials[one] for one in asked if one in trials][:MOST]
    st.session_state["present_pointed"] = name


def assumptions(row: dict[str, Any]) -> Assumptions:
    """What a saving depends on, each with its source; ``row`` is the baseline's."""
    given: dict[str, Any] = {}
    for name in STEPS:
        _check_link(name, f"present_{name}")
    _check_link("g_per_kwh", "grid", MOST_GRID)
    with st.expander("Traffic, price, energy: what savings assume", icon=":material/calculate:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for name, step in STEPS.items():
                given[name] = _assumed(name, step, row)
            given["currency"] = st.text_input(
                "Currency", "$", max_chars=3, key="present_currency", bind="query-params", width=90,
                help="The sign before prices.",
            )  # fmt: skip
        given["g_per_kwh"] = grid()
    found: Assumptions = validated(Assumptions, given)
    return found


def _check_link(name: str, key: str, most: float = math.inf) -> None:
    """Say which number of the link its box does not take; what the box takes is judged with the rest."""
    asked, default = st.query_params.get(key), Assumptions.model_fields[name].default
    if asked is not None and not _is_within(asked, most):
        shown = "the study's own" if default is None else f"{quantity(default)} {ASSUMED[name].unit}"
        refused(key, refusal(Assumptions, name, asked), shown)


def _is_within(asked: str, most: float) -> bool:
    try:
        return 0 <= float(asked) <= most
    except ValueError:
        return False


def _assumed(name: str, step: float, row: dict[str, Any]) -> float | None:
    about, default = ASSUMED[name], Assumptions.model_fields[name].default
    known = f"{row['energy_mj']:.3g}, {row['energy_source']}" if name == "energy_mj" and row.get("energy_mj") else ""
    value: float | None = st.number_input(
        f"{about.label} ({about.unit})", 0.0, None, default, step, format="%g", key=f"present_{name}",
        bind="query-params", width=240, placeholder=known, help=f"Source of the default: {about.source}.",
    )  # fmt: skip
    return value


def choose_cover() -> Cover:
    """The presenter's title, name, logo and colour; what is wrong with one is said, and it is left out."""
    with st.expander("Title, author, logo, colour", icon=":material/badge:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            title = st.text_input("Title", max_chars=LONGEST, key="present_title", bind="query-params",
                                  placeholder="What the audience came for", help="Over the headline.")  # fmt: skip
            author = st.text_input("Author", max_chars=LONGEST, key="present_author", bind="query-params",
                                   help="Under the headline, with today's date.")  # fmt: skip
            accent = st.color_picker("Accent", Cover().accent, key="present_accent", bind="query-params",
                                     help="Of lines and bars; words stay dark, which can be read.")  # fmt: skip
        logo = st.file_uploader("Logo", [kind.lower() for kind in LOGOS], key="present_logo", max_upload_size=2,
                                help="An image of at most 2 MB; it is not in the link.")  # fmt: skip
    made = f"{date.today():%-d %B %Y}"
    try:
        return cover(title, author, accent, logo.getvalue() if logo else b"", made)
    except UserError as fault:
        st.error(str(fault), icon=":material/error:")
        return cover(date=made)
