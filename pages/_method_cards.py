"""Cards of all methods, from the tables that the menus read, and the glossary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import streamlit as st
import yaml

from compression.data.sets import DATASETS, Source
from compression.devices import DEVICES, Device, estimate
from compression.distillation.losses import DISTILLATIONS
from compression.distillation.students import STUDENTS
from compression.pruning import CRITERIA, GRANULARITIES, SCOPES
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.penalties import PENALTIES
from compression.pruning.schedules import SCHEDULES
from compression.quantization.modes import MODES
from compression.registry import Method
from compression.report.text import DASH, brief, size
from pages import _card_pictures as pictures
from pages._lessons import FOLDER, lessons


@dataclass(frozen=True)
class Table:
    """A table of methods: what it decides, its entries, what draws one of them, and where its keys are written."""

    label: str
    methods: Mapping[str, Method]
    picture: Callable[[str], None]
    where: str = "In recipes: `{}`"


def _data_card(source: Source) -> Method:
    channels, height, width = source.shape
    images = rf"x \in \{{0, \dots, 255\}}^{{{channels} \times {height} \times {width}}}"
    formula = rf"{images}, \quad y \in \{{1, \dots, {len(source.classes)}\}}"
    return Method(source.name, source.label, source.sentence, formula, source.paper, source.load)


def _device_card(key: str, device: Device) -> Method:
    low, high = (f"{brief(end / 1e9)}" for end in device.macs)
    memory = f" and has {size(device.ram)} of memory" if device.ram else ""
    lane = rf", \frac{{\mathrm{{bytes}}}}{{{brief(device.bandwidth[0] / 1e9)} \text{{ to }} " \
           rf"{brief(device.bandwidth[1] / 1e9)} \cdot 10^9}}" if device.bandwidth else ""  # fmt: skip
    work = rf"\frac{{\mathrm{{MACs}}}}{{{low} \text{{ to }} {high} \cdot 10^9}}"
    return Method(
        key,
        device.label,
        f"Reaches {low}{DASH}{high} billion multiply-accumulates a second{memory}; always an estimate.",
        rf"t = \max\left({work}{lane}\right) \text{{ s}}" if lane else rf"t = {work} \text{{ s}}",
        f"{device.source}; roofline: Williams et al. 2009, CACM 52(4)",
        estimate,
    )


TABLES = {
    "granularities": Table("What is removed", GRANULARITIES, pictures.granularity),
    "criteria": Table("What is unimportant", CRITERIA, pictures.criterion),
    "scopes": Table("Compared within what", SCOPES, pictures.scope),
    "schedules": Table("When it is removed", SCHEDULES, pictures.schedule),
    "penalties": Table("Training for sparsity", PENALTIES, pictures.penalty),
    "allocations": Table("Spending a budget", ALLOCATIONS, pictures.allocation),
    "distillations": Table("What a student learns", DISTILLATIONS, pictures.distillation),
    "students": Table("Who learns", STUDENTS, pictures.student),
    "modes": Table("Quantizing to int8", MODES, pictures.mode),
    "datasets": Table("Data sets", {key: _data_card(one) for key, one in DATASETS.items()}, pictures.dataset),
    "devices": Table(
        "Devices that are not here", {key: _device_card(key, one) for key, one in DEVICES.items()}, pictures.device,
        "As an axis and a constraint: `{}_ms`",
    ),
}  # fmt: skip


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
        table.picture(key)
        st.caption(f"{card.paper}. {table.where.format(card.key)}.")


def entries() -> list[dict[str, str]]:
    """All words, what they mean and where there is more: those of the field, and the methods by their cards."""
    titles = list(lessons())
    field = [
        (word, told["means"], f"lesson {told['lesson']}, {titles[told['lesson'] - 1]}")
        for word, told in words().items()
    ]
    cards = [
        (card.label, card.sentence, f"card, {table.label}")
        for table in TABLES.values()
        for card in table.methods.values()
    ]
    ordered = sorted([*field, *cards], key=lambda entry: entry[0].casefold())
    return [{"word": word, "what it means": means, "more in": place} for word, means, place in ordered]


def glossary() -> None:
    """All words, or those that hold what is looked for."""
    asked = st.text_input(
        "Find a word", key="learn_find", bind="query-params", placeholder="temperature",
        help="In the words and in what they mean.",
    )  # fmt: skip
    wanted = asked.strip().casefold()
    rows = [row for row in entries() if wanted in f"{row['word']} {row['what it means']}".casefold()]
    if rows:
        st.table(pd.DataFrame(rows).set_index("word"))
    else:
        st.info("No word here holds that; try a shorter one.", icon=":material/search:")
