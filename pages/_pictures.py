"""Pictures to play with: a softmax with logits to drag, penalties on two weights, a network that loses its edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
import torch

from compression.distillation.softening import entropy, instructive, softened
from compression.pipeline import run
from compression.pruning import threshold_of, weight_index
from compression.pruning.masks import prunable
from compression.recipe import Distill, Prune, Recipe
from compression.report import charts
from compression.report.contours import contour_chart
from compression.report.distill_tables import softening_table
from compression.report.network_chart import edges_table, network_chart
from compression.report.text import percent
from compression.subject import Subject, baseline, load_subject, preview, prune_subject, subject_of
from pages._draw import draw
from pages._handles import handles
from pages._workbench import theme

TEACHER, LOW, HIGH = "digits-cnn", -10.0, 15.0


@dataclass(frozen=True)
class Picture:
    """An interactive picture: its title, one sentence on what to do, and what draws it."""

    title: str
    sentence: str
    call: Callable[[], None]


@st.fragment
def softmax() -> None:
    """The logits of one answer, to be dragged, and what a temperature makes of them."""
    subject = load_subject(TEACHER)
    logits = baseline(subject)[0]
    image = int(instructive(logits, 4.0, 1))
    label = int(subject.dataset.val.labels[image])
    at = st.slider(
        "Temperature of the picture", 0.5, 20.0, 4.0, 0.5, key="learn_softmax_temperature", bind="query-params",
        help="At 1 the softmax as it is; above, softer; below, harder.",
    )  # fmt: skip
    classes = subject.dataset.classes
    start = [round(z, 1) for z in logits[image].tolist()]
    values = handles("Logit", classes, start, "learn_logits", low=LOW, high=HIGH, step=0.1)
    moved = torch.tensor(values)
    bits, most = float(entropy(moved, at)), float(entropy(torch.zeros(len(values)), at))
    st.caption(
        f"What {TEACHER} says of an image of class {classes[label]}, its logits rounded to 0.1. "
        "Drag a logit, or focus it and use the arrow keys. "
        f"The entropy at this temperature is {bits:.2f} bits, of at most {most:.2f}."
    )
    cold, soft = (softened(moved, t).tolist() for t in (1.0, at))
    table = softening_table(classes, cold, soft, label)
    draw(charts.softening_chart(table, theme(), temperature=at, width=charts.WIDE), "learn_softmax")


@st.fragment
def contours() -> None:
    """L1 and L2 on two weights, with a strength that moves."""
    strength = st.slider(
        "Strength of the penalty, λ", 0.0, 2.0, 0.6, 0.05, key="learn_strength", bind="query-params",
        help="At 0 both minima are that of the loss.",
    )  # fmt: skip
    draw(contour_chart(strength, theme()), "learn_contours")


@st.fragment
def network() -> None:
    """A small trained network whose edges vanish as the threshold rises."""
    subject = _small()
    index = weight_index(subject.model)
    at = st.slider(
        "Threshold of the picture", 0.0, round(threshold_of(index, 0.99), 2), 0.0, 0.02, format="%.2f",
        key="learn_edges", bind="query-params", help="Edges whose weight is smaller vanish.",
    )  # fmt: skip
    layers = [layer.weight.detach().numpy() for layer in prunable(subject.model).values()]
    draw(network_chart(edges_table(layers, at), theme(), threshold=at), "learn_network")
    model = prune_subject(subject, Prune(threshold=at)) if at else None
    left = preview(subject, model).measurement if model else baseline(subject)[1]
    st.caption(
        f"64 pixels on the left, the ten digits on the right: a perceptron trained just now. "
        f"It is right on {percent(left.accuracy)} of {left.n:,} validation images."
    )


@st.cache_resource(show_spinner="Training a small network")
def _small() -> Subject:
    student = Distill(student="mlp", hidden=(8,), alpha=0, epochs=30)
    return subject_of(run(Recipe(model="digits-mlp", stages=(student,)), split="val").model(), "digits")


PICTURES = {
    "softmax": Picture("Softmax and temperature", "Drag the logits and move T: what is large stays largest.", softmax),
    "contours": Picture("L1 against L2", "Raise λ: L1 arrives on an axis, L2 never does.", contours),
    "network": Picture("A network loses its edges", "Raise the threshold: which inputs go silent first?", network),
}
"""What a lesson's ``picture`` may name; all are on the Learn page under Pictures."""
