"""One trial: what it is, what it measured, on unseen images too, its recipe and its model to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from compression.data.root import own_root
from compression.models.own import home_data
from compression.recipe import Recipe
from compression.registry import UserError
from compression.report import charts
from compression.report.compare import against, headline
from compression.report.measures import MEASURES
from compression.report.setting_words import setting_labels, short_names, value_words
from compression.report.study_tables import differing, settings_of
from compression.report.tables import history_table
from compression.report.text import amount, count, delta, interval, percent, points, size, times
from compression.results import Epoch
from compression.studies import records, store
from pages._cache import tested
from pages._draw import draw
from pages._elsewhere import elsewhere
from pages._present_controls import POINTS, STUDY
from pages._stages import plain, replace_stages
from pages._take_away import take_away
from pages._workbench import data_key, offered, theme

Row = dict[str, Any]
LEAVE = "study_leave"
"""Set where the page is to be left for the Pipeline."""


def point(row: Row, start: Row | None, how: str) -> DeltaGenerator | None:
    """Metrics of a trial, and what can be done with it; the place for its ``evidence``, if there can be some."""
    st.header(_label(row), anchor=False)
    try:
        kept = records.trial(row["study"], row["trial"])
    except UserError as fault:
        st.warning(str(fault), icon=":material/link_off:")
        return None
    said = f"{headline(start, row)} · " if start else ""
    seeds = f", mean of {row['seeds']} seeds; its model is that of seed {row['seed']}" if row["seeds"] > 1 else ""
    st.caption(
        f"{said}trial {row['trial']} of {row['study']}, {how} · measured on {row['n']:,} {row['split']} images{seeds}"
    )
    _numbers(row, start)
    place = st.container() if row["split"] != "test" and _weights(kept).is_file() else None
    _actions(row, start, kept)
    if kept.get("epochs"):
        folded = st.expander("Epoch by epoch", key="study_epochs_open", on_change="rerun")
        if folded.open:
            epochs = [Epoch.model_validate(epoch) for epoch in kept["epochs"]]
            with folded:
                draw(charts.history_chart(history_table(epochs), theme(), width=charts.WIDE), "study_epochs")
    return place


def _weights(kept: Row) -> Path:
    return own_root() / str(kept["weights"])


def _label(row: Row) -> str:
    settings = settings_of([row])
    words = short_names(settings)
    parts = [value_words(name, row[name]) if name == "recipe" else f"{words[name]} {value_words(name, row[name])}"
             for name in settings]  # fmt: skip
    return ", ".join(parts) or setting_labels([row], ())[0]


def _numbers(row: Row, start: Row | None) -> None:
    shown = {
        "Accuracy": (percent(row["accuracy"]), start and delta(points(row["accuracy"] - start["accuracy"])), False),
        "Size packed": (size(row["packed_bytes"]), _ratio(row, start, "packed_bytes"), True),
        "MACs": (count(row["macs"]), _ratio(row, start, "macs"), True),
    }
    if row.get("speedup") is not None:
        low, high = times(row["speedup_low"]), times(row["speedup_high"])
        shown["Speed-up"] = (times(row["speedup"]), f"{low} to {high}", True)
    with st.container(horizontal=True):
        for label, (value, change, plain_delta) in shown.items():
            style = {"delta_color": "off", "delta_arrow": "off"} if plain_delta else {}
            st.metric(label, value, change, **style)  # type: ignore[arg-type]


def _ratio(row: Row, start: Row | None, key: str) -> str | None:
    if not start or not row[key]:
        return None
    ratio = start[key] / row[key]
    return f"{times(ratio)} {MEASURES[key].gain}" if times(ratio) != times(1) else "as before"


def evidence(study: str, number: int, at_once: bool) -> None:
    """Choosing among many flatters whoever is chosen: what images say that no trial has seen.

    Where it is not wanted ``at_once`` it takes a click.
    """
    asked = st.session_state.setdefault("study_tested", set())
    if not at_once and (study, number) not in asked:
        if not st.button("Measure on the test images", icon=":material/fact_check:", key="study_evidence"):
            return
        asked.add((study, number))
    kept, plan = records.trial(study, number), store.plan(study)
    with st.spinner("Measuring on the test images"):
        before, after = (one.row() for one in tested(plan.model, plan.data, kept["weights"]))
    st.markdown(
        f"**On {after['n']:,} test images that no choice has seen: {percent(after['accuracy'])}** "
        f"({interval(after['accuracy_low'], after['accuracy_high'])}), {against(before, after, 'the model')}."
    )


def _actions(row: Row, start: Row | None, kept: Row) -> None:
    recipe = Recipe.from_mapping(kept["recipe"])
    path = _weights(kept)
    stem = f"{row['study']}-{row['trial']}".replace(" ", "-")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Open in Pipeline", icon=":material/account_tree:", key="study_to_pipeline", on_click=_to_pipeline,
            args=(recipe,), disabled=not offered(recipe.model, recipe.data),
            help="Its stages and seed, with its model and data, as long as these are here by name.",
        ):  # fmt: skip
            st.rerun()
        st.download_button(
            "Model", lambda: path.read_bytes(), f"{stem}.safetensors", icon=":material/download:", key="study_model",
            disabled=not path.is_file(), help="safetensors; `espalier measure FILE` reads it.",
        )  # fmt: skip
        st.download_button(
            "Recipe", recipe.to_yaml(), f"{stem}.yaml", icon=":material/download:", key="study_recipe",
            help="`espalier run FILE` runs it again.",
        )  # fmt: skip
        st.page_link(
            "pages/present.py", label="Present", icon=":material/slideshow:",
            query_params={STUDY: row["study"], POINTS: str(row["trial"])}, help="This point as a report or a deck.",
        )  # fmt: skip
        if path.is_file():
            take_away(recipe, path, f"{row['study']}-{row['trial']}", "study")
        elsewhere(row, start, "study_elsewhere")
        with st.popover("How it was measured", icon=":material/info:"):
            st.code(recipe.to_yaml(), language="yaml")
            reused = ", taken over from an earlier study" if kept.get("reused") else ""
            st.caption(f"Seed {kept['seed']}, {kept['seconds']:.2g} s of one worker{reused}. Its machine and versions:")
            st.json({"hardware": kept["hardware"], "versions": kept["versions"]}, expanded=False)


def _to_pipeline(recipe: Recipe) -> None:
    replace_stages([plain(stage) for stage in recipe.stages])
    st.session_state["model"], st.session_state["pipeline_seed"] = recipe.model, recipe.seed
    st.session_state[data_key(recipe.model)] = recipe.data or home_data(recipe.model)
    st.session_state[LEAVE] = True


def compared(a: Row, b: Row) -> None:
    """What differs between the pinned point, A, and the chosen one, B."""
    table = differing(a, b)
    words = short_names(settings_of([a, b])) | {key: axis.label for key, axis in MEASURES.items()}
    st.markdown(f"**A** {_label(a)} · **B** {_label(b)}")
    if table.empty:
        st.caption("Nothing differs beyond noise.")
        return
    body = [
        (words.get(line["name"], line["name"]), _written(line["name"], line["a"]), _written(line["name"], line["b"]),
         line["kind"])
        for line in table.to_dict("records")
    ]  # fmt: skip
    st.dataframe(pd.DataFrame(body, columns=["", "A", "B", "how"]), hide_index=True, key="study_differing")


def _written(name: str, value: Any) -> str:
    if value is None or value != value:
        return "–"
    return amount(value, MEASURES[name].scale) if name in MEASURES else value_words(name, value)
