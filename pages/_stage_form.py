"""One stage of a pipeline as a small form, drawn from the registries."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st
from pydantic import ValidationError

from compression.pruning import allowed
from compression.pruning.evidence import kind_of
from compression.pruning.schedules import renewals
from compression.quantization import MODES
from compression.recipe import ROUNDED, STAGES, Gradual, fixed_sparsity
from compression.report.charts import schedule_chart
from compression.subject import Subject, granularities
from pages._draw import draw
from pages._stage_fields import CHOICES, FIELDS, HELP, LABELS, NUMBERS, OPENING, TABLES, WIDTH, Body
from pages._student import units_of
from pages._workbench import theme


def stage_form(subject: Subject, uid: int, body: Body) -> Body:
    """The widgets of one stage, and what they say now."""
    shown, more = FIELDS[body["kind"]]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        changed = _widgets(subject, uid, body, shown)
        with st.popover("More", icon=":material/tune:"):
            changed |= _widgets(subject, uid, body | changed, more)
            _explained(body | changed)
    if body["kind"] == "gradual":
        _scheduled(uid, body | changed)
    body = body | changed
    if body.pop("amount", None) or fixed_sparsity(body.get("granularity", "weights")) is not None:
        for unused in {"sparsity", "threshold"} - changed.keys():
            body.pop(unused, None)
    return body


def _amount(body: Body) -> str:
    """Whether a stage says a sparsity or a threshold."""
    return body.get("amount") or ("threshold" if body.get("threshold") is not None else "sparsity")


def _scheduled(uid: int, body: Body) -> None:
    """The sparsity that a gradual stage asks as its training goes on."""
    with suppress(ValidationError):  # a stage that cannot be is named by the page
        draw(schedule_chart(renewals(Gradual.model_validate(body)), theme()), f"stage{uid}_steps")


def _widgets(subject: Subject, uid: int, body: Body, fields: tuple[str, ...]) -> Body:
    changed: Body = {}
    for field in fields:
        if _wanted(field, body | changed):
            changed[field] = _widget(subject, f"stage{uid}_{field}", field, body | changed)
    return changed


def _wanted(field: str, body: Body) -> bool:
    """Whether a field means anything beside the others."""
    if field in ("width", "depth"):
        return body.get("student") == {"width": "narrower", "depth": "shallower"}[field]
    if field == "hidden":
        return body.get("student") == "mlp"
    if field in ("amount", "sparsity", "threshold"):
        if fixed_sparsity(body.get("granularity", "weights")) is not None:
            return False
        return field == "amount" or (field == "threshold") == (_amount(body) == "threshold")
    if field == "round_to":
        return body.get("granularity") in ROUNDED
    if field == "scope":
        return body.get("granularity") != "blocks"
    if field == "images" and body["kind"] == "quantize":
        return "images" in MODES[body.get("mode", "static")].needs
    if field == "images" and body["kind"] != "recalibrate":
        return bool(kind_of(body.get("criterion", "magnitude")))
    return True


def _widget(subject: Subject, key: str, field: str, body: Body) -> Any:
    label, about = LABELS[field], HELP.get(field)
    if field == "amount":
        return st.selectbox(label, ("sparsity", "threshold"), int(_amount(body) == "threshold"), key=key, width=WIDTH)
    if field == "hidden":
        units = ",".join(map(str, body.get(field, (800, 800))))
        return units_of(st.text_input(label, units, key=key, width=WIDTH))
    value = body.get(field, STAGES[body["kind"]].model_fields[field].default)
    if field in NUMBERS:
        low, high, step, written = NUMBERS[field]
        whole = written == "%d"
        number = int if whole else float
        value = OPENING.get(field, low) if value is None else value
        low, high = min(low, value), max(high, value)  # what a link or a file asks is not changed unsaid
        return st.number_input(
            label,
            number(low),
            number(high),
            number(value),
            number(step),
            format=written,
            key=key,
            help=about,
            width=WIDTH,
        )
    if isinstance(value, bool):
        return st.toggle(label, value, key=key, help=about)
    options = _options(subject, field, body, value)
    cards = TABLES.get(field, {})
    return st.selectbox(
        label, options, options.index(value) if value in options else 0, key=key, width=WIDTH,
        format_func=lambda option: cards[option].label if option in cards else option,
        help=about or "\n".join(f"- **{cards[one].label}**: {cards[one].sentence}" for one in options if one in cards),
    )  # fmt: skip


def _options(subject: Subject, field: str, body: Body, value: Any) -> tuple[str, ...]:
    if field == "granularity":
        found = granularities(subject)
        if body["kind"] == "gradual":
            found = tuple(style for style in found if fixed_sparsity(style) is None)
    elif field == "criterion":
        found = allowed(body["granularity"])
    else:
        found = CHOICES.get(field) or tuple(TABLES[field])
    return found if value in found or field in TABLES else (*found, value)


def _explained(body: Body) -> None:
    """The method cards of what is chosen."""
    for field, cards in TABLES.items():
        if body.get(field) in cards:
            card = cards[body[field]]
            st.markdown(f"**{card.label}.** {card.sentence}")
            st.latex(card.formula)
            st.caption(card.paper)
