"""Library: the models and data sets that are here, and your own brought in without a line of code."""

import streamlit as st

from compression.registry import UserError
from pages._library_data import data_sets
from pages._library_models import models
from pages._workbench import choose

VIEWS = {"models": ("Models", models), "data": ("Data sets", data_sets)}

st.title("Library")
view = st.segmented_control(
    "View", tuple(VIEWS), default="models", required=True, key="library_view", bind="query-params",
    format_func=lambda key: VIEWS[key][0], label_visibility="collapsed",
)  # fmt: skip
try:
    VIEWS[view][1]()
    choose()
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
