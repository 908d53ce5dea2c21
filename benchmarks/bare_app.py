"""The peer of the Prune page: a bare Streamlit page with a slider and Plotly charts of given sizes.

The link says how many charts and how many characters of JSON in each: ``?sizes=9000,4000``. They are
lines, which Plotly draws fastest, so that the peer is not slow for what it draws.
"""

import plotly.graph_objects as go
import streamlit as st

CHARACTERS_A_NUMBER, CHARACTERS_OF_LAYOUT = 9, 300
GOLDEN = 0.6180339887

st.set_page_config(layout="wide")
level = st.slider("Level", 0.01, 0.99, 0.3, 0.01, key="level")
for number, size in enumerate(st.query_params.get("sizes", "4000").split(",")):
    numbers = (int(size) - CHARACTERS_OF_LAYOUT) // CHARACTERS_A_NUMBER
    heights = [round((i * GOLDEN + level) % 1, 6) for i in range(max(1, numbers))]
    figure = go.Figure(go.Scatter(y=heights, mode="lines"), layout={"title": f"Level {level:.2f}", "template": "none"})
    st.plotly_chart(figure, key=f"chart{number}", theme=None)
