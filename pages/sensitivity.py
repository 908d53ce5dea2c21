"""Sensitivity: what each layer alone can lose, and where a budget is best spent."""

import streamlit as st

from compression.registry import UserError
from compression.subject import Subject
from pages._draw import beside
from pages._sensitivity_budget import allocation
from pages._sensitivity_curves import curves, ended, progress, scanned
from pages._sensitivity_form import settings_of
from pages._workbench import choose_subject


def workbench(subject: Subject) -> None:
    """Controls on the left, the scan on the right, and below what to do with it."""
    left, right = beside(folding=True)
    with left:
        settings = settings_of(subject)
        asked = st.button("Scan", icon=":material/search:", key="sensitivity_go", width="stretch")
    with right:
        found = scanned(subject, settings, asked)
        if found is None:
            st.info(
                "Press **Scan**: each layer is cut alone, at nine sparsities, and judged on the validation images.",
                icon=":material/search:",
            )
        elif found.under_way:
            progress(settings)
        else:
            ended(found)
            if found.rows:
                curves(subject, found)
    if found is not None and found.state == "done" and settings.granularity != "blocks":
        allocation(subject, found)


if left := st.session_state.pop("sensitivity_leave", None):
    page, query = left
    st.switch_page(page, query_params=query)
subject = choose_subject()
st.title("Sensitivity")
try:
    workbench(subject)
except UserError as fault:
    st.error(str(fault), icon=":material/error:")
