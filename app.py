"""Espalier's dashboard: navigation and nothing else. Start it with ``make run``."""

import os

import streamlit as st

from pages._access import navigation

# Functions that the command line may run to build a model: a page never does, nor what it starts.
os.environ.pop("ESPALIER_CODE", None)
st.set_page_config(page_title="Espalier", page_icon="🌿", layout="wide", initial_sidebar_state=250)
# Room for charts: a projector is 1024 pixels wide, of which Streamlit's margins would take 160. And where
# charts stand in rows, those of a row share its width.
st.html("<style>.stMainBlockContainer{padding-inline:2rem}[class*=st-key-row_]>div{flex:1 1 0;min-width:300px}</style>")

PAGES = [
    st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
    st.Page("pages/learn.py", title="Learn", icon=":material/lightbulb:"),
    st.Page("pages/prune.py", title="Prune", icon=":material/content_cut:"),
    st.Page("pages/sensitivity.py", title="Sensitivity", icon=":material/tune:"),
    st.Page("pages/distill.py", title="Distill", icon=":material/school:"),
    st.Page("pages/pipeline.py", title="Pipeline", icon=":material/route:"),
    st.Page("pages/tradeoffs.py", title="Trade-offs", icon=":material/show_chart:"),
    st.Page("pages/present.py", title="Present", icon=":material/slideshow:"),
    st.Page("pages/library.py", title="Library", icon=":material/inventory_2:"),
]
navigation(PAGES).run()
