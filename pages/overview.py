"""Overview: what this is, the chosen model's baseline, and a first trade-off."""

import streamlit as st

from compression.recipe import STRUCTURED
from compression.report import charts
from compression.report.tables import tradeoff_table
from compression.report.text import count, interval, percent, size
from compression.subject import Subject, granularities
from pages._cache import live_plan, live_rows
from pages._draw import draw
from pages._workbench import before, choose_subject, theme


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


def first_chart(subject: Subject) -> None:
    """Single weights against whole units, one-shot: the first trade-off, without a click."""
    styles = ("weights", *(kind for kind in granularities(subject) if kind in STRUCTURED))
    place = st.empty()
    plan = live_plan(subject.name, subject.dataset.name, granularities=styles)
    seen = st.session_state.setdefault("overview_seen", set())
    # At first a few points, so that the browser fetches what draws charts while the rest are measured.
    for every in (1,) if plan in seen else (4, 1):
        rows = live_rows(plan, every)
        with place:
            draw(charts.tradeoff_chart(tradeoff_table(rows), theme()), f"first_{every}")
    seen.add(plan)
    st.caption(
        "Measured just now on this machine: pruned once by magnitude, compared over all layers, "
        "no fine-tuning. Size is the best of dense, bitmask and CSR encodings."
    )


chosen = choose_subject()
st.title("Espalier")
st.markdown(
    "Prune and distil a trained network, and **see what each choice costs and buys**: "
    "accuracy against size, work and measured speed."
)
baseline_numbers(chosen)
first_chart(chosen)
st.divider()
ways = st.columns(2)
with ways[0]:
    st.page_link("pages/prune.py", label="**Prune**: move a slider and watch what falls", icon=":material/content_cut:")
    st.caption("The weight histogram with the cut in it, layer by layer, class by class, image by image.")
with ways[1]:
    st.page_link("pages/tradeoffs.py", label="**Trade-offs**: many settings in one chart", icon=":material/show_chart:")
    st.caption("Accuracy against size, MACs or measured speed-up, with intervals, fine-tuning and seeds.")
