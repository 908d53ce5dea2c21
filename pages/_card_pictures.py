"""The pictures on cards of methods: each drawn from what the method does to a sample model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st
import torch
from torch import nn

from compression.data.sets import DATASETS, load_data, thumbnail
from compression.devices import DEVICES, milliseconds
from compression.distillation.compared import COMPARED
from compression.distillation.features import Watch
from compression.distillation.lesson import pairing
from compression.distillation.softening import instructive
from compression.distillation.stages import Stage, stages
from compression.distillation.students import student_blueprint, widths
from compression.distillation.views import View
from compression.pipeline import run
from compression.pruning import allowed
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.budget import Budget, allocate
from compression.pruning.ground import ground_of
from compression.pruning.schedules import renewals
from compression.pruning.sensitivity import Reading
from compression.quantization.levels import levels, rounded
from compression.recipe import Distill, Gradual, Prune, Recipe, fixed_sparsity
from compression.report import charts
from compression.report.card_charts import (
    compared_chart,
    devices_chart,
    levels_chart,
    levels_table,
    widths_chart,
    widths_table,
)
from compression.report.contours import contour_chart
from compression.report.tables import layer_table
from compression.report.text import named, percent
from compression.subject import baseline, load_subject, prune_subject
from compression.training import normalise
from pages._cache import fallen, heed_clicks, layer_readings
from pages._draw import draw
from pages._prune_charts import filters
from pages._workbench import theme

TEACHER, TEMPERATURE, IMAGES = "digits-cnn", 4.0, 12


def granularity(key: str) -> None:
    """What half of it takes from the layers of a network that has it."""
    model = {"rows": "digits-mlp", "heads": "digits-vit", "blocks": "digits-vit"}.get(key, "digits-cnn")
    stage = Prune(granularity=key, sparsity=fixed_sparsity(key) or 0.5, scope="layer")
    _pruned(model, stage, by_layer=key in ("heads", "blocks"))


def criterion(key: str) -> None:
    """Which half of the first layer's weights it takes, or of the channels where it ranks no weights."""
    granularity = "weights" if key in allowed("weights") else "channels"
    model = "digits-mlp" if granularity == "weights" else "digits-cnn"
    _pruned(model, Prune(granularity=granularity, criterion=key, sparsity=0.5, scope="layer"))


def scope(key: str) -> None:
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


def schedule(key: str) -> None:
    """How much is pruned after each epoch."""
    steps = renewals(Gradual(schedule=key, sparsity=0.9, rounds=10))
    draw(charts.schedule_chart(steps, theme(), width=charts.WIDE), "card_schedule")


def penalty(key: str) -> None:
    """On two weights; a penalty on whole units or scales acts on their sizes as L1 does on weights."""
    draw(contour_chart(0.6, theme()), "card_penalty")


def allocation(key: str) -> None:
    """How it spreads half of a network's weights over the layers."""
    subject = load_subject(TEACHER)
    with st.spinner("Spreading a budget over the layers of a sample model"):
        rows = layer_readings(TEACHER, subject.dataset.name, "weights") if ALLOCATIONS[key].needs else []
        ground = ground_of(subject.model, "weights", subject.groups, [Reading(**row) for row in rows])
        _, made = allocate(ground, Budget("sparsity", 0.5), partial(prune_subject, subject), key)
    draw(charts.layer_chart(layer_table(made.layers), theme(), width=charts.WIDE), "card_allocation")
    st.caption(f"{TEACHER}, half of its weights to go.")


def student(key: str) -> None:
    """How wide each of its layers is, beside the teacher's."""
    present = load_subject(TEACHER).blueprint
    stage = Distill(student=key, width=0.5, depth=0.5, hidden=(32,))
    (theirs, params), (mine, fewer) = (widths(one) for one in (present, student_blueprint(stage, present)))
    draw(widths_chart(widths_table(theirs, mine), theme(), params=(params, fewer)), "card_student")
    st.caption(f"The teacher is {TEACHER}; the student has half of its width or depth, or 32 hidden units.")


def distillation(key: str) -> None:
    """What the teacher and a student that has begun to learn show of some images, as the loss compares it."""
    subject, own = load_subject(TEACHER), "same" if key == "born_again" else "narrower"
    pupil, part = _pupil(own), subject.dataset.val
    stage = Distill(method=key, student=own)
    images = instructive(baseline(subject)[0], TEMPERATURE, IMAGES)
    pairs = pairing(stage, pupil, subject.model, subject.dataset.shape)
    x_NCHW, labels_N = normalise(part.images[images], subject.dataset), part.labels[images]
    each = COMPARED[key]
    theirs, mine = (
        each.seen(_view(model, [pair[side] for pair in pairs], x_NCHW), labels_N, TEMPERATURE)
        for side, model in ((1, subject.model), (0, pupil))
    )
    what = each.what.format(T=f"{TEMPERATURE:g}")
    chart = compared_chart(theirs, mine, theme(), what=what, rows=each.rows, columns=each.columns)
    draw(chart, "card_distillation")
    who = "of its own shape" if own == "same" else "of half its width"
    st.caption(
        f"{TEACHER} and a student {who} after two epochs, on validation images of which the teacher is least sure."
    )


def _view(model: nn.Module, places: Sequence[Stage], x_NCHW: torch.Tensor) -> View:
    with torch.inference_mode(), Watch(model, places) as watch:
        return View(model(x_NCHW), watch.features())


@st.cache_resource(show_spinner="Training a student for two epochs", max_entries=2)
def _pupil(student: str) -> nn.Module:
    stage = Distill(student=student, width=0.5, epochs=2)
    return run(Recipe(model=TEACHER, stages=(stage,)), on_event=heed_clicks, split="val").model()


def mode(key: str) -> None:
    """Which levels the activations of one image are rounded to, with the range as this mode finds it."""
    subject = load_subject(TEACHER)
    first, data = stages(subject.model, subject.dataset.shape)[0], subject.dataset
    calibrating, others = (
        _view(subject.model, [first], normalise(images, data)).features[0].flatten(1)
        for images in (data.train.images[:32], data.val.images)
    )
    one = others[others.amax(1).argmax()].sort(descending=True).values  # which a range may be too narrow for
    on = levels(calibrating if key == "static" else one)
    found = "32 training images" if key == "static" else "this image itself"
    table = levels_table(one[::16].numpy(), rounded(one[::16], on).numpy())
    draw(levels_chart(table, theme(), low=on.low, high=on.high, step=on.step, found=found), "card_mode")
    st.caption(
        f"Every sixteenth activation of stage {first.name} of {TEACHER} by size, "
        "for the validation image that excites it most."
    )


def dataset(key: str) -> None:
    """The first image of each class, where the data set is on this machine."""
    if not DATASETS[key].here():
        st.info("It is not on this machine yet; the Library page fetches it.", icon=":material/image_search:")
        st.page_link("pages/library.py", label="To the library", icon=":material/inventory_2:")
        return
    with st.spinner("Reading the data set"):
        loaded = load_data(key)
    with st.container(horizontal=True):
        for label, name in enumerate(loaded.classes):
            index = int((loaded.train.labels == label).nonzero()[0])
            st.image(thumbnail(loaded.train, index, 64), width=64, caption=name, alt=f"Class {name} of {key}")


def device(key: str) -> None:
    """How long an image would take on it and on the others."""
    row = baseline(load_subject(TEACHER))[1].row()
    nan = (float("nan"), float("nan"))
    body = [(each.label, *(milliseconds(each, row) or nan)) for each in DEVICES.values()]
    table = pd.DataFrame(body, columns=["device", "low", "high"])
    draw(devices_chart(table, theme(), device=DEVICES[key].label, what=TEACHER), "card_device")
