"""A sketch where a session's first chart will be, for as long as the browser fetches what draws charts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from compression.report.drawing import Chart
from compression.report.sketch import sketch

FIRST = "first_chart"
"""When a session was given its first chart: where it has one already, its browser needs no sketch."""
HEAD_START, LONGEST = 0.3, 5.0
"""Seconds by which the chart is sent later, or the browser would fetch what draws it before it paints the sketch;
and for which the page is drawn with a sketch, should it be drawn again before the chart is there."""
STYLE = """<style>
.st-key-sketched { min-height: %dpx }
.sketch { position: absolute; width: 100%%; z-index: 1; background: %s; overflow: hidden; pointer-events: none }
.st-key-sketched:has(.js-plotly-plot .main-svg) .sketch { display: none }
</style>"""


@contextmanager
def sketched(chart: Chart) -> Iterator[None]:
    """Where to draw a chart; its sketch stands there first, and goes when the chart is there."""
    first = FIRST not in st.session_state
    began = st.session_state.setdefault(FIRST, time.monotonic())
    with st.container(key="sketched", gap=None):
        place = st.empty()
        if time.monotonic() - began < LONGEST:
            style = STYLE % (chart.figure.layout.height, chart.figure.layout.paper_bgcolor)
            place.html(f'{style}<div class="sketch" aria-hidden="true">{sketch(chart)}</div>')
        if first:
            time.sleep(HEAD_START)
        yield
