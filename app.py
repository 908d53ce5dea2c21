"""Espalier's dashboard: navigation and nothing else. Start it with ``make run``."""

import streamlit as st

st.set_page_config(page_title="Espalier", page_icon="🌿", layout="wide", initial_sidebar_state=250)

st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/prune.py", title="Prune", icon=":material/content_cut:"),
        st.Page("pages/tradeoffs.py", title="Trade-offs", icon=":material/show_chart:"),
    ]
).run()
