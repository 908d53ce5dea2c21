"""Overview: what this is, the chosen model's baseline, and a first trade-off."""

import streamlit as st

from pages._frame import bare_frame

st.title("Espalier")
st.markdown(
    "Prune and distil a trained network, and **see what each choice costs and buys**: "
    "accuracy against size, work and measured speed."
)
numbers, place = st.container(), st.empty()
if "overview_seen" not in st.session_state:
    bare_frame(place, 420)

from pages._first import baseline_numbers, first_chart  # noqa: E402
from pages._workbench import choose_subject  # noqa: E402

chosen = choose_subject()
with numbers:
    baseline_numbers(chosen)
first_chart(chosen, place)
st.divider()
ways = {
    ("learn", "Learn", "lightbulb"): "Twelve lessons that ask for a guess first, and pictures to move.",
    ("prune", "Prune", "content_cut"): "Move a slider and watch what falls: weights, layers, classes, single images.",
    ("sensitivity", "Sensitivity", "tune"): "Cut each layer alone, then spend a budget where it hurts least.",
    ("distill", "Distill", "school"): "A teacher's answers soften with the temperature; students alone and taught.",
    ("pipeline", "Pipeline", "route"): "Prune, train, heal and distil in stages, beside honest controls.",
    ("tradeoffs", "Trade-offs", "show_chart"): "Studies of many settings: accuracy against size, MACs or speed.",
    ("present", "Present", "slideshow"): "A study as a story for those who decide, to show, print or send.",
    ("library", "Library", "inventory_2"): "The models and data sets that are here; bring your own.",
}
with st.container(horizontal=True):
    for (page, label, icon), about in ways.items():
        place = st.container(width=200)
        place.page_link(f"pages/{page}.py", label=f"**{label}**", icon=f":material/{icon}:")
        place.caption(about)
