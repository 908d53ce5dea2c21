"""The sidebar that all pages share: model, data and the baseline's facts."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from compression.data.sets import sources
from compression.library import fitting_data
from compression.models.own import home_data
from compression.models.zoo import available, blueprint_of, model_card
from compression.registry import UserError
from compression.report.text import count, interval, percent, size
from compression.report.themes import THEMES, Theme
from compression.results import Measurement
from compression.subject import Subject, at_chance, baseline, live_limit, load_subject
from compression.training import prepare_process
from pages._classroom import leave_stage
from pages._link import lost


def choose_subject() -> Subject:
    """Draw the sidebar and return the chosen model with its data; on a fault, say it and stop."""
    name, data = choose()
    if data is None:
        st.title(name)
        st.info(
            f"No data set here fits {name}: it takes {_wanted(name)}. Add or fetch one on the Library page, "
            "or choose another model in the sidebar.",
            icon=":material/image_search:",
        )
        st.page_link("pages/library.py", label="To the library", icon=":material/inventory_2:")
        st.stop()
    try:
        with st.spinner(f"Loading {name} and {sources()[data].label}"):
            subject = load_subject(name, data)
    except UserError as fault:
        st.title(name)
        st.error(str(fault), icon=":material/error:")
        st.info("Choose **digits-cnn** in the sidebar: it needs no download.", icon=":material/lightbulb:")
        st.stop()
    measured = before(subject)
    with st.sidebar:
        _facts(subject, measured)
    if at_chance(subject, measured):
        _untrained(subject, measured)
    return subject


def subject_fragment(drawn: Callable[..., None]) -> Callable[..., None]:
    """``st.fragment`` for what is drawn of a model and its data.

    Where one of the two was deleted since, the whole page is drawn anew: it says so, and goes on with another.
    """

    @st.fragment
    @wraps(drawn)
    def here(subject: Subject, *given: Any) -> None:
        if subject.name not in available() or subject.dataset.name not in sources():
            st.rerun()
        drawn(subject, *given)

    return here


def begin() -> None:
    """What every page begins with."""
    leave_stage()
    _enter_by_app()
    prepare_process()


def choose() -> tuple[str, str | None]:
    """Draw the sidebar's two menus and return the model and the data chosen; None where no data fits the model."""
    begin()
    names = available()
    lost("model", names, "model")
    _say_again("model")
    with st.sidebar:
        name = st.selectbox(
            "Model",
            names,
            key="model",
            bind="query-params",
            help="The sample models, and after them your own. The Library page has a card of each.",
        )
        name = name if name in names else names[0]  # a link can hold anything
        known, fitting = sources(), fitting_data(name)
        _say_again(data_key(name))
        data = st.selectbox(
            "Data",
            fitting,
            format_func=lambda key: known[key].label,
            key=data_key(name),
            placeholder="none here fits",
            help="Data sets whose images and classes fit this model, the one that it was made for first.",
        )
    return name, data


def _say_again(menu: str) -> None:
    """Keep what a menu of every page holds: on the next page after a link's, Streamlit shows its first choice else."""
    if menu in st.session_state:
        st.session_state[menu] = st.session_state[menu]


def _wanted(name: str) -> str:
    """The images and classes that a model takes, in words."""
    blueprint = blueprint_of(name)
    return f"images of {'×'.join(map(str, blueprint.input_shape))} in {blueprint.classes} classes"


def _enter_by_app() -> None:
    """Come back through app.py where a fresh server was entered by a link to one page.

    Until app.py has run once, Streamlit takes the folder pages/ for its older way of making a
    menu, and would show every file in it.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def before(subject: Subject) -> Measurement:
    """The baseline on the validation images that live pages use."""
    return baseline(subject, "val", live_limit(subject))[1]


def theme() -> Theme:
    """The palette for the theme that the browser shows."""
    return THEMES["dark" if st.context.theme.type == "dark" else "light"]


def data_key(model: str) -> str:
    """What the choice of data is called that a model shares with those of its kind."""
    return f"data_{home_data(model) or model}"


def offered(model: str, data: str | None) -> bool:
    """Whether the sidebar has this model, with this data or its own."""
    return model in available() and (data is None or data in fitting_data(model))


def _untrained(subject: Subject, measured: Measurement) -> None:
    """Say that a model only guesses, which nothing on a page can make worse."""
    classes = len(subject.dataset.classes)
    st.warning(
        f"This model is right on {percent(measured.accuracy)} of {measured.n:,} images, no better than guessing among "
        f"{classes} classes. Whatever pruning seems to cost it means nothing before it is trained.",
        icon=":material/casino:",
    )
    st.page_link("pages/pipeline.py", label="Train it on the Pipeline page", icon=":material/route:")


def _facts(subject: Subject, measured: Measurement) -> None:
    card = model_card(subject.name)
    st.caption(card["sentence"])
    trained = "accuracy" in card and subject.dataset.name == card["data"]
    facts = {
        "Test accuracy": f"{percent(card['accuracy'], 2)}, {interval(card['accuracy_low'], card['accuracy_high'])}"
        if trained
        else "not measured on these images",
        "Validation": f"{percent(measured.accuracy, 2)} of {measured.n:,} images",
        "Parameters": count(measured.params),
        "File": size(measured.file_bytes),
        "MACs an image": count(measured.macs),
    }
    st.markdown("**Baseline**")
    st.markdown("\n".join(f"- {key}: {value}" for key, value in facts.items()))
    if subject.dataset.note:
        st.caption(f"Data: {subject.dataset.note}.")
