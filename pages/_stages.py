"""The stages of the pipeline being built: kept in the link, added, moved, copied and removed."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from compression.presets import PRESETS
from compression.pruning.penalties import drawn
from compression.recipe import STAGES, Cut, Recipe, Sparsify, Stage
from compression.registry import UserError
from compression.report.stage_words import stage_words
from compression.report.text import capital
from compression.subject import Subject, criteria, granularities
from pages._stage_fields import KINDS, NEW, Body
from pages._stage_form import stage_form

LIST = "pipeline_stages"
LINK = "stages"
MOST = 12
"""Stages of a pipeline: more would not be read."""


def build(subject: Subject) -> Recipe:
    """The list of stages with its buttons, as a recipe. Raises UserError where what is set makes none."""
    items = _items(subject)
    for place, item in enumerate(items):
        with st.container(border=True):
            title = _head(items, place)
            item["body"] = stage_form(subject, item["uid"], item["body"])
            title.markdown(f"**{place + 1}. {_words(item['body'])}**")
    if not items:
        st.info("No stages yet: choose a preset, or add a stage.", icon=":material/playlist_add:")
    _adding(items)
    bodies = [item["body"] for item in items]
    st.query_params[LINK] = packed(bodies)
    return Recipe.from_mapping({"model": subject.name, "data": subject.dataset.name, "stages": bodies})


def replace_stages(stages: list[Body]) -> None:
    """Take other stages in the place of all; to be called from a button or another page."""
    st.session_state[LIST] = [_item(body) for body in stages]


def add_stage(stage: Stage) -> None:
    """Put a stage at the end; for pages that hand over."""
    bodies = [item["body"] for item in st.session_state.get(LIST, [])]
    replace_stages([*bodies, plain(stage)])


def check_stages(subject: Subject, stages: Sequence[Stage]) -> None:
    """Raise UserError for a style, criterion or penalty that this model has nothing for; a form would change it."""
    for place, stage in enumerate(stages, start=1):
        if isinstance(stage, Cut):
            if stage.granularity not in granularities(subject):
                raise UserError(_misfit(place, "granularity", stage.granularity, granularities(subject), subject))
            if stage.criterion not in (found := criteria(subject, stage.granularity)):
                raise UserError(_misfit(place, "criterion", stage.criterion, found, subject))
        if isinstance(stage, Sparsify):
            drawn(subject.model, subject.groups, stage.penalty)


def _misfit(place: int, field: str, given: str, allowed: Sequence[str], subject: Subject) -> str:
    return f"Stage {place}: {field} {given} does not fit {subject.name}, which has {', '.join(allowed)}"


def plain(stage: Stage) -> Body:
    """A stage as the form takes it."""
    return {"kind": stage.kind, **stage.model_dump(mode="json", exclude_defaults=True)}


def packed(bodies: list[Body]) -> str:
    """Stages as one short word of a link."""
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(bodies).encode(), 9)).decode().rstrip("=")


def unpacked(text: str) -> list[Body] | None:
    """The stages in a link; None where it holds none that can be read."""
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), 100_000)
        recipe = Recipe.from_mapping({"model": "", "stages": json.loads(raw)})
    except (ValueError, zlib.error, UserError):
        return None
    return [plain(stage) for stage in recipe.stages[:MOST]]


def _items(subject: Subject) -> list[dict[str, Any]]:
    if LIST not in st.session_state:
        linked = st.query_params.get(LINK)
        found = unpacked(linked) if linked else None
        if linked and found is None:
            st.warning("The link's stages cannot be read; this is the first preset.", icon=":material/link_off:")
        replace_stages(found if found is not None else _preset(subject, "prune_distil"))
    items: list[dict[str, Any]] = st.session_state[LIST]
    return items


def _item(body: Body) -> dict[str, Any]:
    """A stage with a number of its own, by which its widgets are known wherever it moves."""
    st.session_state["pipeline_uid"] = uid = st.session_state.get("pipeline_uid", 0) + 1
    return {"uid": uid, "body": dict(body)}


def _preset(subject: Subject, key: str) -> list[Body]:
    try:
        return [plain(stage) for stage in PRESETS[key].build(subject)]
    except UserError:
        return [{"kind": "prune", "sparsity": 0.5}]


def presets(subject: Subject) -> None:
    """The presets that fit this model; those that do not are named with the reason."""
    fitting, unfit = [], []
    for key, preset in PRESETS.items():
        try:
            preset.build(subject)
            fitting.append(key)
        except UserError as fault:
            unfit.append(str(fault))
    about = [f"- **{PRESETS[key].label}**: {PRESETS[key].sentence} {PRESETS[key].paper}." for key in fitting]
    key = st.selectbox(
        "Start from", fitting, fitting.index("prune_distil") if "prune_distil" in fitting else 0, width=300,
        format_func=lambda key: PRESETS[key].label, key="pipeline_preset", help="\n".join(about + unfit),
    )  # fmt: skip
    if st.button("Load preset", icon=":material/download:", key="pipeline_load"):
        replace_stages(_preset(subject, key))
        st.rerun()


def _head(items: list[dict[str, Any]], place: int) -> DeltaGenerator:
    """A stage's four buttons, and beside them the place for its title, which its form decides."""
    item = items[place]
    with st.container(horizontal=True, vertical_alignment="center"):
        title = st.container().empty()
        for action, icon, about, off in (
            ("up", "arrow_upward", "Move up", place == 0),
            ("down", "arrow_downward", "Move down", place == len(items) - 1),
            ("copy", "content_copy", "Duplicate", len(items) >= MOST),
            ("drop", "delete", "Remove", False),
        ):
            st.button(
                "", icon=f":material/{icon}:", help=about, disabled=off, type="tertiary",
                key=f"stage{item['uid']}_{action}", on_click=_changed, args=(action, place),
            )  # fmt: skip
    return title


def _words(body: Body) -> str:
    try:
        return capital(stage_words(STAGES[body["kind"]].model_validate(body)))
    except ValueError:
        return KINDS[body["kind"]]


def _changed(action: str, place: int) -> None:
    items = st.session_state[LIST]
    if action == "drop":
        items.pop(place)
    elif action == "copy":
        items.insert(place + 1, _item(items[place]["body"]))
    else:
        other = place + (1 if action == "down" else -1)
        items[place], items[other] = items[other], items[place]


def _adding(items: list[dict[str, Any]]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Next stage", tuple(KINDS), format_func=KINDS.__getitem__, key="pipeline_kind", width=300)
        if st.button("Add stage", icon=":material/add:", key="pipeline_add", disabled=len(items) >= MOST):
            items.append(_item({"kind": kind, **NEW.get(kind, {})}))
            st.rerun()
