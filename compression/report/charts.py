"""Every chart: ``x_chart(x_table(results), theme) -> Chart``. Tables compute, charts only draw.

The words are ``Chart.title``, ``Chart.subtitle`` and ``Chart.alt``. Draw a chart with
``st.plotly_chart(chart.figure, alt=chart.alt, theme=None, config=CONFIG)``. ``width`` is the
least width in pixels at which it must look right; it stretches to any width above.
"""

from compression.report.curve import curve_chart
from compression.report.drawing import CONFIG, NARROW, WIDE, Chart, empty_chart
from compression.report.model_charts import change_chart, class_chart, history_chart, layer_chart
from compression.report.speed import speed_chart
from compression.report.themes import DARK, LIGHT, THEMES, Theme
from compression.report.tradeoff import tradeoff_chart
from compression.report.weight_charts import filter_chart, histogram_chart

__all__ = [
    "CONFIG",
    "DARK",
    "LIGHT",
    "NARROW",
    "THEMES",
    "WIDE",
    "Chart",
    "Theme",
    "change_chart",
    "class_chart",
    "curve_chart",
    "empty_chart",
    "filter_chart",
    "histogram_chart",
    "history_chart",
    "layer_chart",
    "speed_chart",
    "tradeoff_chart",
]
