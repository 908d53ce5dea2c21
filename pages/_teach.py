"""The form of a distillation: who learns, from what, in which ways."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compression.distillation.features import Stage, stages
from compression.distillation.lesson import pairing
from compression.distillation.losses import DISTILLATIONS
from compression.distillation.students import STUDENTS
from compression.models.zoo import SAMPLES
from compression.recipe import STRUCTURED, Distill, Prune, validated
from compression.registry import UserError
from compression.report.text import count
from compression.studies import jobs
from compression.studies.teaching import Teaching
from compression.subject import Subject, granularities
from pages._cache import student_facts, student_module

TEMPERATURES = (1.0, 2.0, 2.5, 4.0, 8.0, 20.0)
ALPHAS = (0.5, 0.7, 0.9, 1.0)
KEY = "teach_"


def start(subject: Subject) -> str | None:
    """The settings; the job that the button starts, or else the present one."""
    before = _before(subject)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        stage = _student(subject, before)
    _size(subject, before, stage)
    ways = _ways()
    # Pruned first, it is taught by the model that it was: just after a cut the present one knows little.
    stage = stage.model_copy(update=_training() | ({"teacher": "original"} if before else {}))
    if any("features" in DISTILLATIONS[method].needs for method in ways["methods"]):
        stage = stage.model_copy(update={"pairs": _pairs(subject, before, stage, ways["methods"])})
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.button("Train", icon=":material/school:", key=f"{KEY}go")
        seeds = st.select_slider("Seeds", (1, 2, 3, 5, 10), 1, key=f"{KEY}seeds", bind="query-params", width=160)
    fields = {"model": subject.name, "data": subject.dataset.name, "before": before, "stage": stage, "seeds": seeds}
    plan: Teaching = validated(Teaching, fields | ways)
    plan = plan.model_copy(update={"split": "test" if plan.ways() == 1 else "val"})
    judged = "judged on the test images" if plan.split == "test" else "compared on the validation images"
    each = f"{seeds} seed{'s' if seeds > 1 else ''} each"
    st.caption(f"{len(plan.points()) - 1} trainings: the student alone and taught, {each}, {judged}.")
    if asked:
        st.query_params["lesson"] = jobs.start(plan)
    return present_job(subject)


def present_job(subject: Subject) -> str | None:
    """The distillation that the link names, or the last one of this teacher."""
    named = st.query_params.get("lesson")
    if named and jobs.exists(named) and (jobs.plan(named).kind, jobs.plan(named).model) == ("distill", subject.name):
        return named
    if named:
        st.caption(
            "The link names a lesson that is not on this machine, or not this model's; this is the last one here."
        )
    return jobs.latest("distill", subject.name, subject.dataset.name)


def _before(subject: Subject) -> tuple[Prune, ...]:
    styles = [style for style in granularities(subject) if style in (*STRUCTURED, "weights")]
    with st.expander("Prune the teacher first"):
        style = st.segmented_control(
            "Remove", ("nothing", *styles), default="nothing", required=True, key=f"{KEY}prune", bind="query-params",
            help="With the present model as student, it is distilled back from the teacher that it was.",
        )  # fmt: skip
        if style not in styles:
            return ()
        sparsity = st.slider(
            "Sparsity", 0.05, 0.95, 0.5, 0.05, format="percent", key=f"{KEY}sparsity", bind="query-params"
        )
        return (Prune(granularity=style, scope="layer" if style in STRUCTURED else "global", sparsity=sparsity),)


def _student(subject: Subject, before: tuple[Prune, ...]) -> Distill:
    fitting = [
        name for name, sample in SAMPLES.items()
        if tuple(sample.input_shape) == subject.dataset.shape and sample.architecture != "torchvision"
    ]  # fmt: skip
    facts = {name: _facts(subject, before, _now(name)) for name in (*STUDENTS, *fitting)}
    options = [name for name in facts if facts[name]]

    def label(name: str) -> str:
        return STUDENTS[name].label if name in STUDENTS else name

    default = options.index("narrower") if "narrower" in options else 0
    student = st.selectbox(
        "Student", options, default, format_func=label, key=f"{KEY}student", bind="query-params", width=380,
        help="\n".join(f"- **{card.label}**: {card.sentence}" for card in STUDENTS.values()),
    )  # fmt: skip
    st.caption(" · ".join(f"{label(name)}: {facts[name]}" for name in options))
    student = student if student in options else options[default]
    fields: dict[str, Any] = {"student": student}
    if student == "narrower":
        fields["width"] = st.slider("Width", 0.05, 1.0, 0.5, 0.05, key=f"{KEY}width", bind="query-params", width=180)
    if student == "shallower":
        fields["depth"] = st.slider("Depth", 0.1, 1.0, 0.5, 0.1, key=f"{KEY}depth", bind="query-params", width=180)
    if student == "mlp":
        text = st.text_input("Units of each layer", "30", key=f"{KEY}hidden", bind="query-params", width=180)
        fields["hidden"] = _units(text)
    stage: Distill = validated(Distill, fields)
    return stage


def _now(student: str) -> Distill:
    """A student at the amounts that its own controls show, or open with."""
    units = _units(st.session_state.get(f"{KEY}hidden", "30"))
    width, depth = (st.session_state.get(f"{KEY}{name}", 0.5) for name in ("width", "depth"))
    hidden = units if all(unit.isdigit() and 0 < int(unit) <= 65536 for unit in units) else ["30"]
    stage: Distill = validated(Distill, {"student": student, "width": width, "depth": depth, "hidden": hidden})
    return stage


def _units(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _facts(subject: Subject, before: tuple[Prune, ...], stage: Distill) -> str:
    """Parameters and MACs of a student in words; empty where it cannot be."""
    try:
        params, work = student_facts(subject.name, subject.dataset.name, _json(before), stage.model_dump_json())
    except UserError:
        return ""
    return f"{count(params)} parameters, {count(work)} MACs"


def _size(subject: Subject, before: tuple[Prune, ...], stage: Distill) -> None:
    facts = _facts(subject, before, stage)
    params, _ = student_facts(subject.name, subject.dataset.name, _json(before), stage.model_dump_json())
    whole = sum(p.numel() for p in subject.model.parameters())
    st.caption(f"The student has {facts}; {subject.name} has {count(whole)}.")
    if params > whole:
        st.warning("The student is larger than its teacher.", icon=":material/warning:")


def _json(before: tuple[Prune, ...]) -> str:
    return before[0].model_dump_json() if before else ""


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


def _training() -> dict[str, Any]:
    first, second, third = st.columns(3)
    return {
        "epochs": first.number_input("Epochs", 1, 200, 10, key=f"{KEY}epochs", bind="query-params"),
        "lr": second.number_input(
            "Learning rate", 0.0001, 1.0, 0.05, format="%.4g", key=f"{KEY}lr", bind="query-params",
            help="The highest; it rises for a fifth of the steps, then falls to zero.",
        ),
        "augment": third.selectbox(
            "Augmentation", ("none", "jitter", "crop_flip"), key=f"{KEY}augment", bind="query-params",
            help="With it the teacher judges every batch anew, which costs time; without, it runs once.",
        ),
    }  # fmt: skip


def _pairs(
    subject: Subject, before: tuple[Prune, ...], stage: Distill, methods: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Which stages are compared: matched by depth and resolution, unless a person says otherwise."""
    student = student_module(subject.name, subject.dataset.name, _json(before), stage.model_dump_json())
    shape = subject.dataset.shape
    mine, theirs = stages(student, shape), stages(subject.model, shape)
    compared = next(method for method in methods if "features" in DISTILLATIONS[method].needs)
    try:
        own = {
            s.name: t.name
            for s, t in pairing(stage.model_copy(update={"method": compared}), student, subject.model, shape)
        }
    except UserError as fault:
        st.warning(str(fault), icon=":material/warning:")
        return ()
    with st.expander(f"Matched stages: {', '.join(f'{s} ↔ {t}' for s, t in own.items())}"):
        places = {t.name: t for t in theirs}
        chosen = []
        for place in mine:
            options = ["none", *places]
            now = own.get(place.name, "none")
            found = st.selectbox(
                f"{_at(place)} of the student", options, options.index(now),
                key=f"{KEY}pair_{subject.name}_{stage.student}_{place.name}",
                format_func=lambda name: _at(places[name]) if name in places else "not compared",
            )  # fmt: skip
            chosen += [(place.name, found)] if found in places else []
    if not chosen:
        raise UserError("No stage of the student is compared with one of the teacher; match one at least")
    return () if dict(chosen) == own else tuple(chosen)


def _at(stage: Stage) -> str:
    return f"{stage.name}, {'×'.join(map(str, stage.shape))}"
