"""The softened teacher: one answer at T = 1 and at the chosen T, and what all its answers say of the classes."""

from __future__ import annotations

import streamlit as st
import torch
from torch import Tensor

from compression.data.sets import thumbnail
from compression.distillation import softening
from compression.report import charts, distill_tables
from compression.report.text import percent
from compression.subject import Subject, baseline, live_limit
from pages._draw import beside, draw, pairs
from pages._link import inert
from pages._workbench import subject_fragment, theme

HIGHEST, STEP = 20.0, 0.5
CURVE = (*(2 ** (k / 4) for k in range(-4, 17)), HIGHEST)
"""Temperatures at which curves are drawn, evenly apart on their logarithmic axis."""
TOLD = 12


@subject_fragment
def softened_teacher(subject: Subject) -> None:
    """Controls on the left; everything moves with the temperature."""
    logits = baseline(subject, "val", live_limit(subject))[0]
    left, right = beside()
    with left:
        temperature = st.slider(
            "Temperature", STEP, HIGHEST, 4.0, STEP, key="distill_temperature", bind="query-params",
            help="The teacher's logits are divided by T before the softmax: the higher, the softer.",
        )  # fmt: skip
        index = _image(subject, logits, temperature)
        log = st.toggle("Log axis", key="distill_log", bind="query-params", help="Shows small probabilities.")
    with right:
        _pictures(subject, logits, temperature, index, log)


def _image(subject: Subject, logits_NK: Tensor, temperature: float) -> int:
    """Which validation image: one of the most instructive at this temperature, or any by its number."""
    data = subject.dataset
    part = data.val
    way = st.segmented_control(
        "Image", ("instructive", "number"), default="instructive", required=True, key="distill_way",
        bind="query-params", format_func={"instructive": "Instructive", "number": "By number"}.__getitem__,
        help="Instructive: where the softened teacher is least sure.",
    )  # fmt: skip
    if way == "number":
        index = int(st.number_input("Number", 0, len(logits_NK) - 1, 0, key="distill_number", bind="query-params"))
    else:
        best = softening.instructive(logits_NK, temperature, min(TOLD, len(logits_NK))).tolist()
        # By its rank: which image that is depends on T, and the link holds both.
        rank = st.slider(
            "Least sure at this T, by rank", 1, len(best), 1, key="distill_rank", bind="query-params",
            help="1 is the image on which the softened teacher is least sure.",
        )  # fmt: skip
        index = best[rank - 1]
    said, true = data.classes[int(logits_NK[index].argmax())], data.classes[int(part.labels[index])]
    st.image(thumbnail(part, index), width=96, alt=f"Validation image {index}, class {true}")
    verdict = f"and the teacher says {inert(said)}" if said == true else f"which the teacher takes for {inert(said)}"
    st.caption(f"No. {index}: class {inert(true)}, {verdict}.")
    return index


def _pictures(subject: Subject, logits_NK: Tensor, temperature: float, index: int, log: bool) -> None:
    look, classes = theme(), subject.dataset.classes
    part = subject.dataset.val.head(len(logits_NK))
    one, label = logits_NK[index], int(part.labels[index])
    at_one, soft = (softening.softened(one, t).tolist() for t in (1.0, temperature))
    places = pairs(5)
    with places[0]:
        table = distill_tables.softening_table(classes, at_one, soft, label)
        draw(charts.softening_chart(table, look, temperature=temperature, log=log), "softening")
    with places[1]:
        ranking = softening.wrong_ranking(one, label, temperature)
        table = distill_tables.dark_table(classes, ranking)
        draw(charts.dark_chart(table, look, true=classes[label], temperature=temperature, log=log), "dark")
    with places[2]:
        table = distill_tables.entropy_table(CURVE, softening.entropy_curve(one, CURVE))
        now = (temperature, float(softening.entropy(one, temperature)))
        draw(charts.entropy_chart(table, look, classes=len(classes), present=now), "entropy")
    with places[3]:
        matrix = softening.class_similarity(logits_NK, part.labels, temperature).numpy()
        draw(charts.similarity_chart(matrix, look, classes=classes, temperature=temperature), "similarity")
    with places[4]:
        sizes = softening.gradient_size(torch.zeros_like(logits_NK), logits_NK, CURVE)
        draw(charts.gradient_chart(distill_tables.gradient_table(sizes), look, temperature=temperature), "gradient")
        right = percent(float((logits_NK.argmax(1) == part.labels).float().mean()))
        st.caption(
            f"For a student that knows nothing yet, to which all classes are alike. "
            f"The teacher is right on {right} of these {len(part):,} validation images."
        )
