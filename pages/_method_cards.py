"""Cards of all methods, from the tables that the menus read, and the glossary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import streamlit as st
import yaml

from compression.distillation.losses import DISTILLATIONS
from compression.distillation.students import STUDENTS
from compression.pruning import CRITERIA, GRANULARITIES, SCOPES, allowed
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.penalties import PENALTIES
from compression.pruning.schedules import SCHEDULES, renewals
from compression.quantization.modes import MODES
from compression.recipe import Gradual, Prune, fixed_sparsity
from compression.registry import Method
from compression.report import charts
from compression.report.charts import schedule_chart
from compression.report.contours import contour_chart
from compression.report.tables import layer_table
from compression.report.text import named, percent
from compression.subject import load_subject
from pages._cache import fallen
from pages._draw import draw
from pages._lessons import FOLDER, lessons
from pages._prune_charts import filters
from pages._workbench import theme


@dataclass(frozen=True)
class Table:
    """A table of methods: what it decides, its entries, and what draws one of them, where something can."""

    label: str
    methods: Mapping[str, Method]
    picture: Callable[[str], None] | None = None


def _granularity(key: str) -> None:
    """What half of it takes from the layers of a network that has it."""
    model = {"rows": "digits-mlp", "heads": "digits-vit"}.get(key, "digits-cnn")
    stage = Prune(granularity=key, sparsity=fixed_sparsity(key) or 0.5, scope="layer")
    _pruned(model, stage, by_layer=key in ("heads", "blocks"))


def _criterion(key: str) -> None:
    """Which half of the first layer's weights it takes, or of the channels where it ranks no weights."""
    granularity = "weights" if key in allowed("weights") else "channels"
    model = "digits-mlp" if granularity == "weights" else "digits-cnn"
    _pruned(model, Prune(granularity=granularity, criterion=key, sparsity=0.5, scope="layer"))


def _scope(key: str) -> None:
    """What it takes from every layer."""
    _pruned("digits-cnn", Prune(sparsity=0.5, scope=key), by_layer=True)


def _pruned(model: str, stage: Prune, by_layer: bool = False) -> None:
    """What goes: from every layer, or weight by weight from the first."""
    subject = load_subject(model)
    with st.spinner("Pruning a sample model"):
        made = fallen(model, subject.dataset.name, stage.model_dump_json())
    if by_layer:
        draw(charts.layer_chart(layer_table(made.layers), theme(), unit=named(stage.granularity)), "card_layers")
    else:
        filters(subject, made, theme())
    st.caption(f"{model}, {percent(stage.sparsity, 0)} of it pruned in this way.")


def _schedule(key: str) -> None:
    steps = renewals(Gradual(schedule=key, sparsity=0.9, rounds=10))
    draw(schedule_chart(steps, theme(), width=560), "card_schedule")


def _penalty(key: str) -> None:
    """On two weights; a penalty on whole units or scales acts on their sizes as L1 does on weights."""
    draw(contour_chart(0.6, theme()), "card_penalty")


TABLES = {
    "granularities": Table("What is removed", GRANULARITIES, _granularity),
    "criteria": Table("What is unimportant", CRITERIA, _criterion),
    "scopes": Table("Compared within what", SCOPES, _scope),
    "schedules": Table("When it is removed", SCHEDULES, _schedule),
    "penalties": Table("Training for sparsity", PENALTIES, _penalty),
    "allocations": Table("Spending a budget", ALLOCATIONS),
    "distillations": Table("What a student learns", DISTILLATIONS),
    "students": Table("Who learns", STUDENTS),
    "modes": Table("Quantizing to int8", MODES),
}


@cache
def advice() -> dict[str, dict[str, dict[str, str]]]:
    """When each method is the right one, and what it costs, by table and key."""
    found: dict[str, dict[str, dict[str, str]]] = yaml.safe_load((FOLDER / "methods.yaml").read_text())
    return found


@cache
def words() -> dict[str, dict[str, Any]]:
    """The glossary: what each word means, and the lesson that shows it."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "glossary.yaml").read_text())
    return found


def method_cards() -> None:
    """One table, one method, its card."""
    table_key = st.selectbox(
        "Table", tuple(TABLES), key="learn_table", bind="query-params", format_func=lambda key: TABLES[key].label,
        help="Each is a menu on the other pages and a field of a recipe.", width=320,
    )  # fmt: skip
    table = TABLES[table_key]
    key = st.pills(
        "Method", tuple(table.methods), default=next(iter(table.methods)), required=True, wrap=True,
        key=f"learn_card_{table_key}", bind="query-params", format_func=lambda key: table.methods[key].label,
        help="One card each.",
    )  # fmt: skip
    card, told = table.methods[key], advice()[table_key][key]
    with st.container(border=True):
        st.header(card.label, anchor=False)
        st.markdown(card.sentence)
        st.latex(card.formula)
        st.markdown(f"- **When to use it**: {told['when']}\n- **What it costs**: {told['costs']}")
        if table.picture:
            table.picture(key)
        st.caption(f"{card.paper}. In recipes: `{card.key}`.")


def glossary() -> None:
    """All words, or those that hold what is looked for."""
    asked = st.text_input(
        "Find a word", key="learn_find", bind="query-params", placeholder="temperature",
        help="In the words and in what they mean.",
    )  # fmt: skip
    titles = list(lessons())
    rows = [
        {"word": word, "what it means": told["means"], "lesson": f"{told['lesson']} {titles[told['lesson'] - 1]}"}
        for word, told in sorted(words().items())
        if asked.strip().casefold() in f"{word} {told['means']}".casefold()
    ]
    if rows:
        st.table(pd.DataFrame(rows).set_index("word"))
    else:
        st.info("No word here holds that; try a shorter one.", icon=":material/search:")
