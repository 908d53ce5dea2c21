"""Overview: what this is, the chosen model's baseline, and a first trade-off."""

import streamlit as st

st.title("Espalier")
st.markdown(
    "Prune and distil a trained network, and **see what each choice costs and buys**: "
    "accuracy against size, work and measured speed."
)
numbers, place = st.container(), st.empty()
if "overview_seen" not in st.session_state:
    # An empty frame: the browser fetches what draws charts while the server imports what computes them.
    bare = {"visible": False}
    frame = {"data": [{"type": "scatter"}], "layout": {"height": 420, "xaxis": bare, "yaxis": bare}}
    place.plotly_chart(frame, key="frame")

from pages._first import baseline_numbers, first_chart  # noqa: E402
from pages._workbench import choose_subject  # noqa: E402

chosen = choose_subject()
with numbers:
    baseline_numbers(chosen)
first_chart(chosen, place)
st.divider()
ways = st.columns(3)
with ways[0]:
    st.page_link("pages/prune.py", label="**Prune**", icon=":material/content_cut:")
    st.caption("Move a slider and watch what falls: weights, layers, classes, single images.")
with ways[1]:
    st.page_link("pages/distill.py", label="**Distill**", icon=":material/school:")
    st.caption("A teacher's answers soften with the temperature; students alone and taught, side by side.")
with ways[2]:
    st.page_link("pages/tradeoffs.py", label="**Trade-offs**", icon=":material/show_chart:")
    st.caption("Many settings in one chart: accuracy against size, MACs or measured speed-up, with intervals.")
