"""One stage of a pipeline as a small form, drawn from the registries."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from compression.distillation.losses import DISTILLATIONS
from compression.distillation.students import STUDENTS
from compression.pruning import CRITERIA, GRANULARITIES, SCOPES, allowed
from compression.pruning.evidence import kind_of
from compression.pruning.penalties import PENALTIES
from compression.pruning.schedules import SCHEDULES, renewals
from compression.recipe import ROUNDED, STAGES, Augment, Gradual, Ramp, Ticket, fixed_sparsity
from compression.registry import Method
from compression.report.charts import schedule_chart
from compression.subject import Subject, granularities
from pages._draw import draw
from pages._student import units_of
from pages._workbench import theme

Body = dict[str, Any]
KINDS = {
    "prune": "Prune",
    "recalibrate": "Recalibrate",
    "train": "Train (fine-tune)",
    "gradual": "Prune gradually",
    "lottery": "Lottery ticket",
    "sparsify": "Sparsify (penalty)",
    "distill": "Distil",
}
NEW: dict[str, Body] = {
    "prune": {"sparsity": 0.5},
    "gradual": {"sparsity": 0.9},
    "train": {"epochs": 3},
}
"""Where a new stage of a kind opens, other than at its defaults."""
TABLES: dict[str, Mapping[str, Method]] = {
    "granularity": GRANULARITIES,
    "criterion": CRITERIA,
    "scope": SCOPES,
    "schedule": SCHEDULES,
    "penalty": PENALTIES,
    "method": DISTILLATIONS,
    "student": STUDENTS,
}
"""Fields whose choices have method cards."""
CHOICES: dict[str, tuple[str, ...]] = {
    "ramp": get_args(Ramp),
    "ticket": get_args(Ticket),
    "augment": get_args(Augment),
    "teacher": ("auto", "original", "present"),
}
LABELS = {
    "granularity": "Style", "criterion": "Criterion", "scope": "Scope", "sparsity": "Sparsity", "schedule": "Schedule",
    "rounds": "Rounds", "end": "Done by", "restart": "Fine-tune in every round", "round_to": "Widths at multiples of",
    "images": "Images looked at", "epochs": "Epochs", "lr": "Learning rate", "augment": "Augmentation",
    "weight_decay": "Weight decay", "batch_size": "Batch", "rewind": "Rewind to epoch", "ticket": "Ticket",
    "penalty": "Penalty", "strength": "Strength", "ramp": "Ramp", "batchnorm": "BatchNorm statistics",
    "biases": "Biases of linear layers", "student": "Student", "width": "Width", "depth": "Depth",
    "hidden": "Units of each layer", "threshold": "Threshold", "amount": "Amount by", "method": "Method",
    "temperature": "Temperature", "alpha": "Teacher's weight α", "teacher": "Teacher",
}  # fmt: skip
HELP = {
    "end": "The fraction of the training after which the sparsity rises no more.",
    "restart": "The learning rate rises and falls in every round: prune a little, heal, and again.",
    "epochs": "Of a lottery ticket: in each round.",
    "rewind": "0: the weights left go back to what they were before training.",
    "ticket": "Reinitialised and shuffled are the controls of the lottery ticket hypothesis.",
    "strength": "What the penalty weighs in the loss.",
    "lr": "The highest; it rises for a fifth of the steps, then falls to zero.",
    "teacher": "Auto: the original where the student is the present model, else the present model.",
    "images": "Training images that a criterion or a recalibration looks at.",
    "weight_decay": "L2 on weights, by the optimiser.",
}
NUMBERS: dict[str, tuple[float, float, float, str]] = {
    "sparsity": (0.01, 0.99, 0.01, "%.3g"),
    "threshold": (1e-6, 10.0, 0.001, "%.4g"),
    "rounds": (1, 100, 1, "%d"),
    "end": (0.05, 1.0, 0.05, "%.2f"),
    "round_to": (1, 64, 1, "%d"),
    "images": (2, 50_000, 64, "%d"),
    "epochs": (1, 200, 1, "%d"),
    "lr": (0.0001, 1.0, 0.01, "%.4g"),
    "weight_decay": (0.0, 0.1, 0.0001, "%.4g"),
    "batch_size": (8, 2048, 8, "%d"),
    "rewind": (0, 199, 1, "%d"),
    "strength": (1e-7, 10.0, 0.0001, "%.4g"),
    "width": (0.05, 1.0, 0.05, "%.2f"),
    "depth": (0.1, 1.0, 0.1, "%.2f"),
    "temperature": (0.5, 100.0, 0.5, "%.4g"),
    "alpha": (0.0, 1.0, 0.05, "%.2f"),
}
"""Of each number: least, most, step, how it is written."""
OPENING = {"sparsity": 0.5, "threshold": 0.01}
"""Where a number opens that a stage can do without."""
TRAINING = ("augment", "weight_decay", "batch_size")
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prune": (("granularity", "criterion", "scope", "amount", "sparsity", "threshold"), ("round_to", "images")),
    "recalibrate": (("batchnorm", "biases"), ("images", "augment")),
    "train": (("epochs", "lr"), TRAINING),
    "gradual": (
        ("granularity", "criterion", "scope", "sparsity", "schedule", "rounds", "epochs", "lr"),
        ("restart", "end", "round_to", "images", *TRAINING),
    ),
    "lottery": (("sparsity", "rounds", "rewind", "ticket", "epochs", "lr"), ("scope", *TRAINING)),
    "sparsify": (("penalty", "strength", "ramp", "epochs", "lr"), TRAINING),
    "distill": (
        ("student", "width", "depth", "hidden", "method", "temperature", "alpha", "epochs", "lr"),
        ("teacher", *TRAINING),
    ),
}
"""Of each kind: the fields that are shown, and those under More. What no form shows stays as it is."""
WIDTH = 190


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
