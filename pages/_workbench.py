"""The sidebar that all pages share: model, data and the baseline's facts."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from compression.data.sets import DATASETS
from compression.models.zoo import SAMPLES, available, model_card
from compression.registry import UserError
from compression.report.text import count, interval, percent, size
from compression.report.themes import THEMES, Theme
from compression.results import Measurement
from compression.subject import Subject, baseline, live_limit, load_subject
from compression.training import prepare_process
from pages._link import foreign


def choose_subject() -> Subject:
    """Draw the sidebar and return the chosen model with its data; on a fault, say it and stop."""
    begin()
    linked = st.query_params.get("model")
    with st.sidebar:
        name = st.selectbox(
            "Model",
            available(),
            key="model",
            bind="query-params",
            help="Trained sample models. Each has a card with its data, accuracy and the command that rebuilds it.",
        )
        if name not in available():  # a link can hold anything
            name = available()[0]
        sample = SAMPLES[name]
        fitting = [s.name for s in DATASETS.values() if _fits(s.name, name)]
        data = st.selectbox(
            "Data",
            fitting,
            format_func=lambda key: DATASETS[key].label,
            key=data_key(name),
            help=f"Data sets whose images fit this model. It was trained on {DATASETS[sample.data].label}.",
        )
    if linked and linked not in available():
        st.warning(f"The link's model {foreign(linked)} is not here; this is {name}.", icon=":material/link_off:")
    try:
        with st.spinner(f"Loading {name} and {DATASETS[data].label}"):
            subject = load_subject(name, data)
    except UserError as fault:
        st.title(name)
        st.error(str(fault), icon=":material/error:")
        st.info("Choose **digits-cnn** in the sidebar: it needs no download.", icon=":material/lightbulb:")
        st.stop()
    with st.sidebar:
        _facts(subject, before(subject))
    return subject


def begin() -> None:
    """What every page begins with."""
    _enter_by_app()
    prepare_process()


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
    return f"data_{SAMPLES[model].data}"


def offered(model: str, data: str | None) -> bool:
    """Whether the sidebar has this model, with this data or its own."""
    return model in SAMPLES and (data is None or (data in DATASETS and _fits(data, model)))


def _fits(data: str, model: str) -> bool:
    own = DATASETS[SAMPLES[model].data]
    return data == own.name or (own.name, data) in {("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")}


def _facts(subject: Subject, measured: Measurement) -> None:
    card = model_card(subject.name)
    st.caption(card["sentence"])
    trained = "accuracy" in card and subject.dataset.name == card["data"]
    facts = {
        "Test accuracy": f"{percent(card['accuracy'], 2)}, {interval(card['accuracy_low'], card['accuracy_high'])}"
        if trained
        else "not measured: random weights or other data",
        "Validation": f"{percent(measured.accuracy, 2)} of {measured.n:,} images",
        "Parameters": count(measured.params),
        "File": size(measured.file_bytes),
        "MACs an image": count(measured.macs),
    }
    st.markdown("**Baseline**")
    st.markdown("\n".join(f"- {key}: {value}" for key, value in facts.items()))
    if subject.dataset.note:
        st.caption(f"Data: {subject.dataset.note}.")
