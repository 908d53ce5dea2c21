"""The charts of the Prune page that have a control or a wait of their own."""

from __future__ import annotations

import streamlit as st

from compression.pruning import Pruned
from compression.pruning.views import first_layer, unit_scores_of, weight_bins
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError
from compression.report import charts
from compression.report.bins import filter_grid, histogram_table, unit_table
from compression.report.estimates import estimated, measures_of
from compression.report.measures import AXES
from compression.report.tables import curve_table, tradeoff_table
from compression.report.text import named
from compression.report.themes import Theme
from compression.results import Measurement
from compression.subject import Subject, scores
from pages._cache import live_plan, live_rows, weights_of
from pages._draw import draw

ALL, SPARSITY = "all layers", "sparsity"


def histogram(subject: Subject, stage: Prune, pruned: Pruned, look: Theme) -> None:
    """What falls: the weights with the cut in them, or the scores of units."""
    place = st.container()
    layers = [ALL, *(report.layer for report in pruned.layers)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = st.selectbox("Histogram of", layers, key="prune_layer", bind="query-params")
        log = st.toggle("Log counts", key="prune_log", bind="query-params")
    chosen = None if layer not in layers or layer == ALL else layer
    if stage.granularity in STRUCTURED:
        table = unit_table(*unit_scores_of(scores(subject, stage), pruned, chosen))
        words = {"what": named(stage.granularity), "x_title": f"Score ({stage.criterion})"}
        threshold = pruned.threshold
    else:
        bins = weight_bins(subject.model, weights_of(subject.name, subject.dataset.name), pruned, chosen)
        by_size = stage.criterion == "magnitude" and stage.granularity == "weights"
        threshold = _threshold(pruned, chosen) if by_size else None
        table = histogram_table(bins.edges, bins.counts, threshold=threshold, pruned=bins.pruned)
        words = {}
    with place:
        chart = charts.histogram_chart(table, look, threshold=threshold, where=layer, log=log, **words)
        draw(chart, "histogram")


def _threshold(pruned: Pruned, layer: str | None) -> float | None:
    own = {report.layer: report.threshold for report in pruned.layers}
    return pruned.threshold if layer is None else own.get(layer)


def curve(subject: Subject, stage: Prune, now: Measurement, g_per_kwh: float, look: Theme) -> None:
    """Accuracy against sparsity or a cost with the present point; computed once for each way of pruning."""
    plan = live_plan(
        subject.name,
        subject.dataset.name,
        granularities=(stage.granularity,),
        criteria=(stage.criterion,),
        scope=stage.scope,
        round_to=stage.round_to,
        images=stage.images,
    )
    rows, place = live_rows(plan), st.container()
    across = st.selectbox(
        "Accuracy against", (SPARSITY, *(key for key in measures_of(rows) if key in AXES)), key="prune_across",
        bind="query-params", format_func=lambda key: AXES[key].label if key in AXES else key.capitalize(),
        help="A cost, or the estimated time on a device that is not here. Energy and CO₂ are estimates too.",
    )  # fmt: skip
    present = now.model_dump(include={"accuracy", "accuracy_low", "accuracy_high"})
    if across == SPARSITY:
        present["sparsity"] = stage.sparsity if stage.sparsity is not None else now.sparsity
        chart = charts.curve_chart(curve_table(rows), look, present=present)
    else:
        (mine,) = estimated([now.row()], across, g_per_kwh=g_per_kwh)
        table = tradeoff_table(rows, across, g_per_kwh)
        here = None if mine[across] is None else {"x": mine[across], **present}
        chart = charts.tradeoff_chart(table, look, present=here, width=charts.NARROW, height=360)
    with place:
        draw(chart, "curve")


def filters(subject: Subject, pruned: Pruned, look: Theme) -> None:
    """The first layer's filters with their zeros."""
    first = first_layer(subject.model, pruned, subject.blueprint.input_shape)
    if first is None:
        st.caption("The first layer does not read images, so its filters cannot be drawn.")
        return
    try:
        grid = filter_grid(first.weights, first.removed)
    except UserError as fault:
        st.caption(str(fault))
        return
    draw(charts.filter_chart(grid, look), "filters")
