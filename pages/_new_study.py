"""How a study begins: a sweep, a search for one answer, a preset, or a plan in YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from compression.pruning import CRITERIA, GRANULARITIES, SCOPES
from compression.recipe import STRUCTURED, validated
from compression.registry import Method, UserError
from compression.report.text import capital
from compression.studies import control
from compression.studies.plan import Sweep, spaced
from compression.studies.presets import GOALS, STUDY_PRESETS, autotune, sweep_study
from compression.studies.study import Study
from compression.subject import Subject, criteria, granularities

CHOSEN = "study"
WAYS = {"sweep": "Sweep", "tune": "Auto-tune", "preset": "Preset", "yaml": "YAML"}


def new_study(subject: Subject, first: bool) -> None:
    """The forms that start a study; open where there is none yet, and while closed neither made nor sent."""
    place = st.expander(
        "New study", icon=":material/add:", expanded=first, key=f"study_new_{first}", on_change="rerun"
    )  # fmt: skip
    if not place.open:
        return
    with place:
        way = st.segmented_control(
            "Kind of study", tuple(WAYS), default="sweep", required=True, key="study_way", bind="query-params",
            format_func=WAYS.__getitem__, label_visibility="collapsed",
        )  # fmt: skip
        try:
            if plan := FORMS.get(way or "sweep", _sweep)(subject):
                started = control.distinct(plan)
                control.start(started)
                if started.name != plan.name:
                    st.toast(f"'{plan.name}' is taken; this one is '{started.name}'", icon=":material/label:")
                st.session_state["study_next"] = started.name
                st.rerun()
        except UserError as fault:
            st.error(str(fault), icon=":material/error:")


def _sweep(subject: Subject) -> Study | None:
    """A grid of prunings."""
    with st.form("sweep", border=False):
        fields = {"model": subject.name, "data": subject.dataset.name, **_compared(subject)}
        fields |= {"sparsities": _range(), **_conditions()}
        with st.container(horizontal=True, vertical_alignment="center"):
            asked = st.form_submit_button("Run sweep", icon=":material/play_arrow:")
            fields["latency"] = st.toggle(
                "Measure speed", key="sweep_latency", bind="query-params",
                help="Afterwards, alone, in shuffled pairs against the baseline: several seconds a shape.",
            )  # fmt: skip
    if not asked:
        return None
    plan: Sweep = validated(Sweep, fields)
    return sweep_study(plan, f"{subject.name} sweep")


def _tune(subject: Subject) -> Study | None:
    """A search for the one model that is best at something and loses little."""
    with st.form("tune", border=False):
        first, second, third = st.columns(3)
        goal = first.selectbox(
            "Find the model that is", tuple(GOALS), key="tune_goal", bind="query-params",
            format_func=lambda key: capital(GOALS[key]),
        )  # fmt: skip
        lose = second.number_input(
            "and loses at most (points)", 0.0, 50.0, 0.5, 0.1, key="tune_lose", bind="query-params",
            help="Of validation accuracy, against the model as it is.",
        )  # fmt: skip
        within = third.number_input(
            "within (KB, 0 for any size)", 0.0, 1e9, 0.0, 10.0, key="tune_within", bind="query-params",
            help="Bound on the file with its zeros packed.",
        )  # fmt: skip
        epochs = first.number_input(
            "Epochs after each pruning", 0, 100, 1, key="tune_epochs", bind="query-params",
            help="0 searches among one-shot recipes, in seconds. From 2 on, trials that fall behind are stopped early.",
        )  # fmt: skip
        trials = second.number_input("Settings to try", 5, 2000, 30, key="tune_trials", bind="query-params")
        seed = third.number_input("Seed", 0, 2**31 - 1, 0, key="tune_seed", bind="query-params")
        rounded = st.toggle(
            "int8 too", key="tune_int8", bind="query-params",
            help="Every recipe is also tried with weights and activations rounded to 8 bits at its end.",
        )  # fmt: skip
        asked = st.form_submit_button("Search", icon=":material/search:")
    if not asked:
        return None
    bound = f"packed_bytes <= {within:g} KB" if within else ""
    with st.spinner("Measuring the baseline"):
        return autotune(subject, goal, lose / 100, bound, epochs, trials, seed, rounded)


def _preset(subject: Subject) -> Study | None:
    """A study to learn from."""
    about = "\n".join(f"- **{preset.label}**: {preset.sentence}" for preset in STUDY_PRESETS.values())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = st.selectbox(
            "Preset", tuple(STUDY_PRESETS), key="study_preset", bind="query-params", help=about, width=300,
            format_func=lambda key: STUDY_PRESETS[key].label,
        )  # fmt: skip
        asked = st.button("Run preset", icon=":material/play_arrow:", key="study_preset_run")
    st.caption(STUDY_PRESETS[key].sentence)
    plan = STUDY_PRESETS[key].build(subject)
    with st.popover("Its plan", icon=":material/description:"):
        st.code(plan.to_yaml(), language="yaml")
    return plan if asked else None


def _yaml(subject: Subject) -> Study | None:
    """A plan as text."""
    text = st.text_area(
        "Plan", key="study_yaml", height=220, placeholder=EXAMPLE.format(model=subject.name),
        help="Every field of a recipe may be left open: {choose: [...]} or {low: …, high: …, step: …}.",
    )  # fmt: skip
    if not st.button("Run plan", icon=":material/play_arrow:", key="study_yaml_run"):
        return None
    if not text.strip():
        st.warning("Paste a plan first; the grey text is one that can be run.", icon=":material/edit:")
        return None
    return Study.from_yaml(text)


EXAMPLE = """name: weights against channels
model: {model}
recipes:
  zeros: [{{kind: prune, sparsity: {{low: 0.5, high: 0.9, step: 0.1}}}}]
  smaller: [{{kind: prune, granularity: channels, sparsity: {{choose: [0.25, 0.5]}}}}, {{kind: train, epochs: 1}}]
constraints: [accuracy >= 97 %]"""
FORMS: dict[str, Callable[[Subject], Study | None]] = {
    "sweep": _sweep,
    "tune": _tune,
    "preset": _preset,
    "yaml": _yaml,
}


def _compared(subject: Subject) -> dict[str, Any]:
    """Which styles and criteria: by default single weights and the largest units, by magnitude."""
    styles = granularities(subject)
    units = [style for style in styles if style in STRUCTURED]
    usable = {key for style in styles for key in criteria(subject, style)}

    def several(label: str, cards: Mapping[str, Method], options: list[str], default: list[str], about: str) -> Any:
        return st.pills(
            label,
            options,
            selection_mode="multi",
            default=default,
            key=f"sweep_{label.lower()}_{subject.name}",
            format_func=lambda key: cards[key].label,
            help=about,
            wrap=True,
        )

    random = "What counts as unimportant. Random is the control that the others must beat."
    return {
        "granularities": several("Styles", GRANULARITIES, list(styles), ["weights", *units[-1:]], "What is removed."),
        "criteria": several("Criteria", CRITERIA, [key for key in CRITERIA if key in usable], ["magnitude"], random),
    }


def _range() -> tuple[float, ...]:
    first, second = st.columns(2)
    low, high = first.slider(
        "Sparsities", 0.05, 0.95, (0.1, 0.9), 0.05, format="percent", key="sweep_range", bind="query-params"
    )
    count = second.slider("How many sparsities", 2, 20, 9, key="sweep_count", bind="query-params")
    return spaced(low, high, count)


def _conditions() -> dict[str, Any]:
    """Under which conditions all points are made."""
    first, second, third = st.columns([1.5, 1, 1])
    return {
        "scope": first.selectbox(
            "Scope", tuple(SCOPES), index=list(SCOPES).index("global"), key="sweep_scope", bind="query-params",
            format_func=lambda key: SCOPES[key].label,
        ),
        "epochs": second.number_input(
            "Fine-tune epochs", 0, 100, 0, key="sweep_epochs", bind="query-params", help="After pruning; 0 is none."
        ),
        "seeds": third.number_input(
            "Seeds", 1, 10, 1, key="sweep_seeds", bind="query-params",
            help="Where nothing is random, without fine-tuning, one seed is enough and one is run.",
        ),
    }  # fmt: skip
