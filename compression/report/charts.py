"""Every chart: ``x_chart(x_table(results), theme) -> Chart``. Tables compute, charts only draw.

The words are ``Chart.title``, ``Chart.subtitle`` and ``Chart.alt``. Draw a chart with
``st.plotly_chart(chart.figure, alt=chart.alt, theme=None, config=CONFIG)``. ``width`` is the
least width in pixels at which it must look right; it stretches to any width above.
"""

from compression.report.attention_charts import attention_chart, head_chart
from compression.report.cloud_chart import cloud_chart
from compression.report.cost_chart import cost_chart
from compression.report.curve import curve_chart
from compression.report.distill_charts import judged_chart, learning_chart
from compression.report.drawing import CONFIG, NARROW, WIDE, Chart, empty_chart
from compression.report.drift_charts import drift_chart, free_chart, schedule_chart
from compression.report.importance import importance_chart
from compression.report.lineage_charts import lineage_chart
from compression.report.model_charts import change_chart, class_chart, history_chart, layer_chart
from compression.report.recovery import recovery_chart
from compression.report.reliability import reliability_chart
from compression.report.similarity import similarity_chart
from compression.report.softening_charts import dark_chart, softening_chart
from compression.report.speed import speed_chart
from compression.report.temperature_charts import entropy_chart, gradient_chart, temperature_chart
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
    "attention_chart",
    "change_chart",
    "class_chart",
    "cloud_chart",
    "cost_chart",
    "curve_chart",
    "dark_chart",
    "drift_chart",
    "empty_chart",
    "entropy_chart",
    "filter_chart",
    "free_chart",
    "gradient_chart",
    "head_chart",
    "histogram_chart",
    "history_chart",
    "importance_chart",
    "judged_chart",
    "layer_chart",
    "learning_chart",
    "lineage_chart",
    "recovery_chart",
    "reliability_chart",
    "schedule_chart",
    "similarity_chart",
    "softening_chart",
    "speed_chart",
    "temperature_chart",
    "tradeoff_chart",
]
