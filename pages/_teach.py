"""The form of a lesson: who learns, from what, in which ways; Train starts it."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st

from compression.distillation.losses import DISTILLATIONS
from compression.recipe import Augment, Distill, Prune, validated
from compression.registry import UserError
from compression.studies import jobs
from compression.studies.teaching import Teaching
from compression.subject import Subject
from pages._pairs import choose_pairs
from pages._student import KEY, choose_before, choose_student

TEMPERATURES = (1.0, 2.0, 2.5, 4.0, 8.0, 20.0)
ALPHAS = (0.5, 0.7, 0.9, 1.0)


def teach(subject: Subject) -> None:
    """The settings, all drawn whatever was typed, and the button that starts the lesson and names it in the link."""
    before = choose_before(subject)
    stage = choose_student(subject, before)
    ways, training, seeds = _ways(), *_training()
    plan = _plan(subject, before, stage, ways | {"seeds": seeds}, training) if stage else None
    if st.button("Train", icon=":material/school:", key=f"{KEY}go", disabled=plan is None) and plan:
        st.query_params["lesson"] = jobs.start(plan)
    if plan:
        judged = "judged on the test images" if plan.split == "test" else "compared on the validation images"
        each = f"{seeds} seed{'s' if seeds > 1 else ''} each"
        st.caption(f"{plan.trainings()} trainings: the student alone and taught, {each}, {judged}.")


def _plan(
    subject: Subject, before: tuple[Prune, ...], stage: Distill, ways: dict[str, Any], training: dict[str, Any]
) -> Teaching | None:
    """The plan of all settings; None, with the reason said, where they make none."""
    # Pruned first, it is taught by the model that it was: just after a cut the present one knows little.
    stage = stage.model_copy(update=training | ({"teacher": "original"} if before else {}))
    try:
        stage = stage.model_copy(update={"pairs": choose_pairs(subject, before, stage, ways["methods"])})
        fields = {"model": subject.name, "data": subject.dataset.name, "before": before, "stage": stage}
        plan: Teaching = validated(Teaching, fields | ways)
    except UserError as fault:
        st.error(str(fault), icon=":material/error:")
        return None
    return plan.model_copy(update={"split": "test" if plan.ways() == 1 else "val"})


def _ways() -> dict[str, Any]:
    def several(
        key: str, label: str, options: tuple[Any, ...], default: Any, about: str, words: Any
    ) -> tuple[Any, ...]:
        return tuple(st.pills(
            label, options, selection_mode="multi", default=[default], key=f"{KEY}{key}", format_func=words,
            help=about, wrap=True, bind="query-params",
        ))  # fmt: skip

    about = "\n".join(f"- **{card.label}**: {card.sentence}" for card in DISTILLATIONS.values())
    methods = several(
        "methods", "Methods", tuple(DISTILLATIONS), "soft_targets", about, lambda key: DISTILLATIONS[key].label
    )
    with st.popover("How they work", icon=":material/menu_book:"):
        for method in methods:
            card = DISTILLATIONS[method]
            st.markdown(f"**{card.label}.** {card.sentence}")
            st.latex(card.formula)
            st.caption(card.paper)
    first, second = st.columns([1.4, 1])
    with first:
        chosen = several(
            "temperatures", "Temperatures", TEMPERATURES, 4.0, "Choose several to ask which is best.", "{:g}".format
        )
    with second:
        weights = several("alphas", "Teacher's weight α", ALPHAS, 0.9, "The labels weigh 1 - α.", "{:g}".format)
    return {"methods": methods, "temperatures": chosen, "alphas": weights}


def _training() -> tuple[dict[str, Any], int]:
    """How each student is trained, and how often."""
    first, second, third, fourth = st.columns(4)
    settings = {
        "epochs": first.number_input("Epochs", 1, 200, 10, key=f"{KEY}epochs", bind="query-params"),
        "lr": second.number_input(
            "Learning rate", 0.0001, 1.0, 0.05, format="%.4g", key=f"{KEY}lr", bind="query-params",
            help="The highest; it rises for a fifth of the steps, then falls to zero.",
        ),
        "augment": third.selectbox(
            "Augmentation", get_args(Augment), key=f"{KEY}augment", bind="query-params",
            help="With it the teacher judges every batch anew, which costs time; without, it runs once.",
        ),
    }  # fmt: skip
    return settings, fourth.select_slider("Seeds", (1, 2, 3, 5, 10), 1, key=f"{KEY}seeds", bind="query-params")
