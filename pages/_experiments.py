"""The experiments of lessons: each measures something on a real model, draws it, and returns the answer.

Their arguments are a lesson's settings. What they draw with is what the other pages draw with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from compression.data.sets import thumbnail
from compression.distillation.softening import instructive, softened
from compression.measure import changed
from compression.pruning import sparsity_at, threshold_of
from compression.recipe import Prune
from compression.report import charts, distill_tables
from compression.report.compare import headline, records
from compression.report.curve import mean_gap
from compression.report.sensitivity_charts import sensitivity_chart
from compression.report.sensitivity_tables import sensitivity_table
from compression.report.tables import class_table, curve_table, speed_table, tradeoff_table
from compression.report.text import capital, interval, named, percent, points, size, times
from compression.report.titles import furthest, hit_hardest
from compression.subject import Preview, Subject, baseline, load_subject
from pages._cache import fallen, layer_readings, live_plan, live_rows, timed_styles, tried, weights_of
from pages._draw import draw, gallery, pairs
from pages._experiments_trained import compare, penalties
from pages._lessons import Answer
from pages._prune_charts import histogram
from pages._workbench import theme

KEY = "learn_"
Points = Sequence[tuple[float, float]]


def curve(model: str, granularity: str, drawn: Points = ()) -> Answer:
    """How far one-shot pruning goes without training: accuracy against sparsity, beside the curve that was drawn."""
    subject = load_subject(model)
    plan = live_plan(model, subject.dataset.name, granularities=(granularity,))
    table = curve_table(live_rows(plan))
    draw(charts.curve_chart(table, theme(), drawn=drawn, width=charts.WIDE), f"{KEY}curve")
    reach = furthest(table[table["granularity"] == granularity].to_dict("records"))
    off = points(mean_gap(drawn, table)).removeprefix("+") if drawn else ""
    gap = f"; your curve lies {off} from it on average" if drawn else ""
    return Answer(reach, f"within 1 point of the whole model up to {percent(reach, 0)} of the weights{gap}")


def threshold(model: str, threshold: float) -> Answer:
    """What falls below a threshold on |w|: the histogram with the cut, and what is left of the accuracy."""
    subject = load_subject(model)
    index = weights_of(model, subject.dataset.name)
    at = st.slider(
        "Threshold on |w|", 0.005, threshold_of(index, 0.98), threshold, 0.005, format="%.3f", key=f"{KEY}threshold",
        bind="query-params", help="Every weight that is smaller becomes zero.",
    )  # fmt: skip
    stage = Prune(threshold=at)
    key = stage.model_dump_json()
    found = tried(model, subject.dataset.name, key)
    histogram(subject, stage, fallen(model, subject.dataset.name, key), theme())
    before, after = baseline(subject)[1], found.measurement
    st.markdown(f"**{percent(found.pruned.achieved)} of the weights fall** at {at:.3f}: "
                f"{headline(before.row(), after.row())}.")  # fmt: skip
    reached = sparsity_at(index, threshold)
    return Answer(reached, f"{percent(reached)} of the weights are smaller than {threshold:g}")


def timing(model: str, granularities: list[str], sparsity: float) -> Answer:
    """Zeros against units that are gone, at the same sparsity: size, and paired timing."""
    with st.spinner("Timing both models against the whole one, in pairs: about 15 s. Back stops it.", show_time=True):
        rows = timed_styles(model, load_subject(model).dataset.name, tuple(granularities), sparsity)
    draw(charts.speed_chart(speed_table(rows), theme(), at=sparsity), f"{KEY}speed")
    start, *others = rows
    told = {row["granularity"]: times(row["speedup"]) for row in others}
    for row in others:
        spread = f"{times(row['speedup_low'])} to {times(row['speedup_high'])}"
        st.markdown(
            f"- **{capital(named(row['granularity']))}**: {times(row['speedup'])} the speed ({spread}), "
            f"{size(row['packed_bytes'])} packed against {size(start['packed_bytes'])}, "
            f"{percent(row['accuracy'])} of validation images right against {percent(start['accuracy'])}"
        )
    return Answer(
        others[0]["speedup"], ", ".join(f"{speed} the speed with {named(kind)} gone" for kind, speed in told.items())
    )


def layers(model: str, granularity: str, sparsity: float) -> Answer:
    """Each layer cut alone: which one the model can least do without."""
    with st.spinner("Cutting each layer alone", show_time=True):
        table = sensitivity_table(layer_readings(model, load_subject(model).dataset.name, granularity))
    draw(sensitivity_chart(table, theme()), f"{KEY}layers")
    worst = table[table["sparsity"] == sparsity].sort_values("accuracy").iloc[0]
    lost = points(worst["change"])
    return Answer(worst["layer"], f"{worst['layer']} ({lost} when {percent(sparsity, 0)} of it alone goes)")


def temperature(model: str, temperature: float) -> Answer:
    """One image's answer at T = 1 and at a temperature that moves."""
    subject = load_subject(model)
    logits = baseline(subject)[0]
    index = int(instructive(logits, temperature, 1))
    at = st.slider(
        "Temperature", 0.5, 20.0, temperature, 0.5, key=f"{KEY}temperature", bind="query-params",
        help="The logits are divided by T before the softmax.",
    )  # fmt: skip
    classes, label = subject.dataset.classes, int(subject.dataset.val.labels[index])
    one = logits[index]
    first, second = pairs(2)
    with first:
        st.image(thumbnail(subject.dataset.val, index), width=96, alt=f"A validation image of class {classes[label]}")
        st.caption(f"Class {classes[label]}: the image of which this teacher is least sure at T = {temperature:g}.")
    with second:
        cold, soft = (softened(one, t).tolist() for t in (1.0, at))
        table = distill_tables.softening_table(classes, cold, soft, label)
        draw(charts.softening_chart(table, theme(), temperature=at), f"{KEY}softening")
    top = float(softened(one, temperature).max())
    return Answer(top, f"the teacher's first choice has {percent(top)} at T = {temperature:g}, "
                       f"{percent(float(softened(one, 1.0).max()))} at T = 1")  # fmt: skip


def harm(model: str, granularity: str, sparsity: float) -> Answer:
    """Who pays for the mean: every class before and after, and images that were right."""
    subject = load_subject(model)
    at = st.slider(
        "Sparsity", 0.05, 0.95, sparsity, 0.05, format="percent", key=f"{KEY}sparsity", bind="query-params",
        help=f"The share of {named(granularity)} removed, in every layer alike.",
    )  # fmt: skip
    chosen, asked = (_cut(subject, granularity, amount) for amount in (at, sparsity))
    before_NK, before = baseline(subject)
    after = chosen.measurement
    first, second = pairs(2)
    with first:
        table = class_table(before.class_accuracy, after.class_accuracy)
        draw(charts.class_chart(table, theme(), split="validation", n=after.n), f"{KEY}classes")
    part = subject.dataset.val
    with second:
        gallery(subject.dataset, part, before_NK, chosen.logits, changed(before_NK, chosen.logits, part.labels))
    classes = class_table(before.class_accuracy, asked.measurement.class_accuracy)
    worst, mean = classes["change"].min(), asked.measurement.accuracy - before.accuracy
    who, ratio = hit_hardest(records(classes)), worst / mean
    images = [int((part.labels == subject.dataset.classes.index(name)).sum()) for name in who]
    told = " and ".join(f"{name} ({round(-worst * n)} of {n} images)" for name, n in zip(who, images, strict=True))
    word = "class" if len(who) == 1 else "classes"
    return Answer(ratio, f"{word} {told} {points(worst)}, the whole {points(mean)}: {times(ratio)} as much")


def _cut(subject: Subject, granularity: str, sparsity: float) -> Preview:
    stage = Prune(granularity=granularity, scope="layer", sparsity=sparsity)
    return tried(subject.name, subject.dataset.name, stage.model_dump_json())


def tradeoff(model: str, granularities: list[str]) -> Answer:
    """A trade-off chart with its intervals, and a budget that moves."""
    subject = load_subject(model)
    before = baseline(subject)[1]
    budget = st.slider(
        "Budget for the packed size", 10, 100, 60, 5, format="%d %%", key=f"{KEY}budget", bind="query-params",
        help="As a share of the whole model's; what lies beyond it is shaded.",
    )  # fmt: skip
    plan = live_plan(model, subject.dataset.name, granularities=tuple(granularities))
    table = tradeoff_table(live_rows(plan))
    limit = before.packed_bytes * budget / 100
    draw(charts.tradeoff_chart(table, theme(), budget=limit, show_knee=True), f"{KEY}tradeoff")
    width = before.accuracy_high - before.accuracy_low
    ends = interval(before.accuracy_low, before.accuracy_high)
    return Answer(100 * width, f"{100 * width:.1f} points, {ends}, on {before.n:,} images")


EXPERIMENTS: dict[str, Callable[..., Answer]] = {
    "curve": curve,
    "threshold": threshold,
    "timing": timing,
    "compare": compare,
    "penalties": penalties,
    "layers": layers,
    "temperature": temperature,
    "harm": harm,
    "tradeoff": tradeoff,
}
"""What a lesson's ``experiment`` may name."""
