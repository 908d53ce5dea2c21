"""A network as a graph: an edge for each weight that the threshold leaves, and none for the others."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from compression.report.network_chart import edges_table, network_chart
from compression.report.themes import THEMES

LAYERS = [np.array([[0.5, -0.1, 0.0], [0.2, 0.9, -0.7]]), np.array([[0.3, -0.4]])]


def edges(chart) -> int:
    lines = [trace for trace in chart.figure.to_dict()["data"] if trace["mode"] == "lines"]
    return sum(spot is None for trace in lines for spot in trace["x"] if len(trace["x"]) > 1)


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("threshold", [0.0, 0.15, 0.35, 0.65, 2.0])
def test_as_many_edges_are_drawn_as_weights_are_left(threshold, theme) -> None:
    chart = network_chart(edges_table(LAYERS, threshold), theme, threshold=threshold)
    go.Figure(**chart.figure.to_dict())  # Plotly's own validation
    left = sum(int((np.abs(weights) >= threshold).sum()) for weights in LAYERS)
    assert edges(chart) == left


def test_an_edge_leads_from_the_input_that_it_reads() -> None:
    table = edges_table(LAYERS, 0.65)
    kept = table[table["kept"]]
    assert kept[["layer", "source", "target", "weight"]].values.tolist() == [[0, 1, 1, 0.9], [0, 2, 1, -0.7]]
    assert "75 %" in network_chart(table, THEMES["light"], threshold=0.65).title
