"""A sketch where a chart will be, for as long as the browser fetches what draws charts."""

import time

from streamlit.delta_generator import DeltaGenerator

from compression.report.drawing import Chart
from compression.report.sketch import sketch

STYLE = """<style>
.st-key-sketched { min-height: %dpx }
.sketch { position: absolute; width: 100%%; z-index: 1; background: %s; pointer-events: none }
.st-key-sketched:has(.js-plotly-plot .main-svg) .sketch { display: none }
</style>"""
HEAD_START = 0.3
"""Seconds: what comes later the browser would draw first, or all of it at once."""


def sketched(place: DeltaGenerator, chart: Chart) -> None:
    """Draw the sketch at a place in the container ``sketched``, before the chart is drawn in it; it goes by itself."""
    layout = chart.figure.layout
    style = STYLE % (layout.height, layout.paper_bgcolor)
    place.html(f'{style}<div class="sketch" aria-hidden="true">{sketch(chart)}</div>')
    time.sleep(HEAD_START)
