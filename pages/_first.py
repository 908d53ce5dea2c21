"""What the first page shows: the baseline's numbers, and a first trade-off."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from compression.recipe import STRUCTURED
from compression.report import charts
from compression.report.tables import tradeoff_table
from compression.report.text import count, interval, percent, size
from compression.subject import Subject, granularities
from pages._cache import live_plan, live_rows
from pages._draw import draw
from pages._workbench import before, theme


def baseline_numbers(subject: Subject) -> None:
    """Four numbers of the model as it is."""
    now = before(subject)
    columns = st.columns(4)
    columns[0].metric(
        "Accuracy",
        percent(now.accuracy),
        help=f"Measured on {now.n:,} validation images; 95 % interval {interval(now.accuracy_low, now.accuracy_high)}.",
    )
    columns[1].metric("Parameters", count(now.params), help="All numbers that training found.")
    columns[2].metric("File", size(now.file_bytes), help="A plain safetensors file in fp32.")
    columns[3].metric("MACs an image", count(now.macs), help="Multiply-accumulates of one forward pass.")


def first_chart(subject: Subject, place: DeltaGenerator) -> None:
    """Single weights against whole units, one-shot: the first trade-off, without a click."""
    styles = ("weights", *(kind for kind in granularities(subject) if kind in STRUCTURED))
    plan = live_plan(subject.name, subject.dataset.name, granularities=styles)
    seen = st.session_state.setdefault("overview_seen", set())
    # At first a few points, so that the browser fetches what draws charts while the rest are measured.
    for every in (1,) if plan in seen else (4, 1):
        rows = live_rows(plan, every)
        with place.container():
            draw(charts.tradeoff_chart(tradeoff_table(rows), theme()), f"first_{every}")
    seen.add(plan)
    st.caption(
        "Measured just now on this machine: pruned once by magnitude, compared over all layers, "
        "no fine-tuning. Size is the best of dense, bitmask and CSR encodings."
    )
