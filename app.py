"""Espalier's dashboard: navigation and nothing else. Start it with ``make run``."""

import os

import streamlit as st

from pages._access import navigation

# Functions that the command line may run to build a model: a page never does, nor what it starts.
os.environ.pop("ESPALIER_CODE", None)
st.set_page_config(page_title="Espalier", page_icon="🌿", layout="wide", initial_sidebar_state=250)
# Room for charts: a projector is 1024 pixels wide, of which Streamlit's margins would take 160. Where charts stand
# in rows, those of a row share its width; where they stand beside controls, they fold under them in a narrow window.
# A sentence that is a page's heading is no larger than can be read at a glance.
STYLE = (
    ".stMainBlockContainer{padding-inline:2rem}[class*=st-key-row_]>div{flex:1 1 0;min-width:300px}"
    ".st-key-folding>div:last-child{flex:1 1 0;min-width:420px}.st-key-headline h1{font-size:1.35rem}"
    ".katex-display{padding:0 3px 3px}"  # else some formulas scroll by a pixel or two
    "[data-testid^=stBaseButton-primary]:enabled kbd{color:inherit;opacity:1}"  # else its shortcut is too faint
    # White words on the dark theme's primary colour are too faint; not on this, as tests/test_ground.py computes.
    "[data-testid^=stBaseButton-primary]:enabled:not(:hover),span[data-tag]{background:light-dark(#12436D,#2F78BE)}"
)
# A dialog stands beside the page, which alone knows its theme.
DARK = ".stDialog{color-scheme:dark}" if st.context.theme.type == "dark" else ""
st.html(f"<style>{STYLE}{DARK}</style>")

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
