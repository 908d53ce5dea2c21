"""Pieces that pages draw: a chart, a gallery, a table of timings."""

from __future__ import annotations

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from compression.data.sets import Dataset, Split, thumbnail
from compression.measure import Changed
from compression.report.charts import CONFIG, Chart
from compression.report.enlarging import enlarged
from compression.subject import Subject
from pages._cache import timed
from pages._classroom import LARGER, presented
from pages._link import inert
from pages._sketched import FIRST

GALLERY = 6
CONTROLS = 210
"""Pixels of the controls: as wide as their labels ask."""
WIDTH = 300
"""Pixels of a chart in a pair: two fit beside the controls at 1280, one at 1024."""


def draw(chart: Chart, key: str, picture: str = "png") -> None:
    """Draw a chart with its text alternative, in its own colours; ``picture`` is what its camera saves.

    Where a lesson is presented it is as large as the type beside it.
    """
    st.session_state.setdefault(FIRST, time.monotonic())
    chart = enlarged(chart, LARGER) if presented() else chart
    config = CONFIG | {"toImageButtonOptions": CONFIG["toImageButtonOptions"] | {"format": picture}}
    st.plotly_chart(chart.figure, key=key, alt=chart.alt, theme=None, config=config)


def beside(folding: bool = False) -> tuple[DeltaGenerator, DeltaGenerator]:
    """A place for controls, and beside it one for what follows: if ``folding``, below it where room is lacking."""
    halves = st.container(horizontal=True, wrap=folding, key="folding" if folding else None)
    return halves.container(width=CONTROLS), halves.container()


def pairs(number: int, name: str = "") -> list[DeltaGenerator]:
    """Places for so many charts, two in a row where there is room for two, else one; named where a page has several."""
    places = []
    for _ in range(0, number, 2):
        row = st.container(horizontal=True, gap="small", key=f"row_{name}{len(places)}")
        places += [row.container(width=WIDTH), row.container(width=WIDTH)]
    return places[:number]


def gallery(dataset: Dataset, split: Split, before_NK: Tensor, after_NK: Tensor, change: Changed) -> None:
    """Images that were right before and are wrong now, each with both predictions."""
    broken = change.right_to_wrong
    if not len(broken):
        st.markdown("**No image that was right before is wrong now**")
        st.caption(f"Of {len(split):,} validation images; {len(change.wrong_to_right)} became right.")
        return
    plural = "image was" if len(broken) == 1 else "images were"
    st.markdown(f"**{len(broken)} {plural} right before and wrong now**")
    st.caption(f"Of {len(split):,} validation images; {len(change.wrong_to_right)} became right.")
    columns = st.columns(GALLERY // 2)
    for place, index in enumerate(map(int, broken[:GALLERY])):
        was, now = (dataset.classes[int(logits[index].argmax())] for logits in (before_NK, after_NK))
        with columns[place % len(columns)]:
            st.image(thumbnail(split, index), width=96, alt=f"{was}, taken for {now} after pruning")
            st.caption(f"{inert(was)} → **{inert(now)}**")


def latency_table(subject: Subject, stage: str, asked: bool) -> None:
    """Measure when asked, and show the timing for as long as the settings stay."""
    kept = st.session_state.setdefault("prune_timed", {})
    place = (subject.name, subject.dataset.name, stage)
    if asked:
        with st.spinner("Timing pairs in PyTorch and ONNX Runtime"):
            kept[place] = timed(*place)
    if place not in kept:
        return
    for timing in kept[place]:
        st.metric(
            f"Speed-up, {timing.runtime}",
            f"{timing.speedup:.2f}×",
            f"{timing.speedup_low:.2f} to {timing.speedup_high:.2f}",
            delta_color="off",
            delta_arrow="off",
            help=f"Measured on this machine: median of {timing.pairs} shuffled pairs, batch {timing.batch}, "
            f"one thread; {timing.median_ms:.3g} ms against {timing.baseline_median_ms:.3g} ms.",
        )
