"""Prune: move a slider, see what falls and what it costs."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from compression.measure import changed
from compression.pruning import CRITERIA, kind_of
from compression.recipe import STRUCTURED, Prune, Recalibrate, Recipe, Stage
from compression.registry import UserError
from compression.report import charts
from compression.report.compare import headline
from compression.report.recovery import recovery_table
from compression.report.tables import class_table, layer_table
from compression.report.text import count, delta, named, percent, points, share, size
from compression.subject import Preview, Subject, baseline, evidence_of, live_limit
from pages._attention import attention
from pages._cache import fallen, recalibrated, tried
from pages._carbon import energy
from pages._draw import beside, draw, gallery, latency_table, pairs
from pages._elsewhere import elsewhere
from pages._forms import prune_controls, recalibration
from pages._prune_charts import curve, filters, histogram
from pages._take_away import take_away
from pages._workbench import choose_subject, subject_fragment, theme


@subject_fragment
def workbench(subject: Subject) -> None:
    """Controls on the left; all that follows from them on the right."""
    left, right = beside()
    try:
        with left:
            stage = prune_controls(subject)
            healing = recalibration(subject)
        key = stage.model_dump_json()
        with right:
            numbers, pictures = st.container(), st.container()
        with numbers:
            _looked(subject, stage)
        with pictures:
            places = pairs(6)
        with places[0]:  # first, since it needs no images to be judged
            histogram(subject, stage, fallen(subject.name, subject.dataset.name, key), theme())
        found = tried(subject.name, subject.dataset.name, key)
        with numbers:
            grid = _numbers(subject, found)
            if healing:
                _healed(subject, key, found, healing)
        with left:
            _speed(subject, key)
            _recipe(subject, (stage, healing) if healing else (stage,))
        _pictures(subject, stage, found, grid, places)
        with right:
            attention(subject, stage, found, theme())
    except UserError as fault:
        right.error(str(fault), icon=":material/error:")


def _looked(subject: Subject, stage: Prune) -> None:
    """How many images the criterion has seen; the first look takes a moment."""
    if not kind_of(stage.criterion):
        return
    with st.spinner(f"Looking at {stage.images:,} training images"):
        seen = evidence_of(subject, stage)
    label, whole = CRITERIA[stage.criterion].label, len(subject.dataset.train)
    st.caption(f"{label} looked at {seen.images:,} of {whole:,} training images.")


def _numbers(subject: Subject, found: Preview) -> float:
    """What the model does and costs now; gives the grid that CO₂ is estimated for."""
    before, after = baseline(subject, "val", live_limit(subject))[1], found.measurement
    st.container(key="headline").title(headline(before.row(), after.row()), anchor=False)
    columns = st.columns(4)
    columns[0].metric(
        "Accuracy",
        percent(after.accuracy),
        delta(points(after.accuracy - before.accuracy)),
        help=f"Measured on {after.n:,} validation images; 95 % interval "
        f"{percent(after.accuracy_low)} to {percent(after.accuracy_high)}.",
    )
    pairs = (
        (
            "Size packed",
            "packed_bytes",
            size,
            "With the zeros left out: the best of dense, bitmask and CSR encodings, tensor by tensor.",
        ),
        ("Dense file", "file_bytes", size, "What a plain safetensors file takes: zeros cost as much as any number."),
        ("MACs", "macs", count, "Multiply-accumulates for one image that the layers carry out, zeros included."),
    )
    for column, (label, field, written, about) in zip(columns[1:], pairs, strict=True):
        was, now = getattr(before, field), getattr(after, field)
        column.metric(label, written(now), delta(share(now / was - 1)), delta_color="inverse", help=about)
    with st.container(horizontal=True):
        elsewhere(after.row(), before.row(), "prune_elsewhere")
        return energy(after, before)


def _pictures(subject: Subject, stage: Prune, found: Preview, grid: float, places: list[DeltaGenerator]) -> None:
    before_logits, before = baseline(subject, "val", live_limit(subject))
    after, look = found.measurement, theme()
    unit = stage.granularity if stage.granularity in (*STRUCTURED, "kernels") else "weights"
    _, second, third, fourth, fifth, sixth = places
    with third:
        draw(charts.layer_chart(layer_table(found.pruned.layers), look, unit=named(unit)), "layers")
    with fourth:
        table = class_table(before.class_accuracy, after.class_accuracy)
        draw(charts.class_chart(table, look, split="validation", n=after.n), "classes")
    with fifth:
        filters(subject, found.pruned, look)
    with sixth:
        part = subject.dataset.val.head(after.n)
        gallery(subject.dataset, part, before_logits, found.logits, changed(before_logits, found.logits, part.labels))
    with second:
        curve(subject, stage, after, grid, look)


def _speed(subject: Subject, key: str) -> None:
    st.divider()
    asked = st.button(
        "Measure speed",
        icon=":material/speed:",
        width="stretch",
        help="Times the pruned model against the baseline in pairs, in a process of its own; takes some seconds.",
    )
    latency_table(subject, key, asked)


def _healed(subject: Subject, key: str, found: Preview, healing: Recalibrate) -> None:
    """Baseline, pruned and recalibrated accuracy as bars."""
    before = baseline(subject, "val", live_limit(subject))[1]
    after = recalibrated(subject.name, subject.dataset.name, key, healing.model_dump_json())
    table = recovery_table({"baseline": before, "pruned": found.measurement, "recalibrated": after})
    draw(charts.recovery_chart(table, theme(), n=after.n), "recovery")


def _recipe(subject: Subject, stages: tuple[Stage, ...]) -> None:
    recipe, granularity = Recipe(model=subject.name, data=subject.dataset.name, stages=stages), stages[0].granularity
    st.download_button(
        "Recipe (YAML)",
        recipe.to_yaml,
        f"{subject.name}-{granularity.replace(':', 'of')}.yaml",
        icon=":material/download:",
        width="stretch",
        help="Run it in a terminal with: espalier run FILE",
    )
    take_away(recipe, None, granularity, "prune", width="stretch")


workbench(choose_subject())
