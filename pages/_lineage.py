"""What a pipeline came to: how far it is, its lineage beside the controls, and the way to take it along."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from compression.recipe import Recipe, Sparsify
from compression.report import charts, drift_charts, lineage_charts
from compression.report.script import script
from compression.report.tables import history_table
from compression.report.text import capital, duration
from compression.results import Drift, Epoch
from compression.studies import jobs
from compression.studies.lineage import RUNS, Lineage
from pages._draw import draw, pairs
from pages._take_away import take_away
from pages._workbench import theme

Row = dict[str, Any]
COUNTED = {"params": "parameters", "nonzero": "non-zero", "macs": "MACs"}


@st.fragment(run_every=1.0)
def progress(name: str) -> None:
    """How far the pipeline and its controls are, with the newest curves; nothing here trains."""
    present, plan = jobs.state(name), jobs.plan(name)
    if present.state not in jobs.UNDER_WAY:
        st.rerun()
    epochs, done = jobs.epochs(name), len(jobs.rows(name))
    total = sum(point.recipe.epochs for point in plan.points())
    share = min(1.0, len(epochs) / total) if total else done / max(1, len(plan.points()))
    left = f", about {duration(_left(present, share))} left" if share > 0.02 else ""
    timing = present.done > len(plan.points()) - 1
    words = "timing every stage, alone on the machine" if timing else f"{len(epochs)} of {total} epochs{left}"
    words = words if done or epochs else "loading model and data in a process of its own"
    st.progress(share, f"{done} of {len(plan.points())} runs, {words}")
    st.button("Cancel", icon=":material/stop:", on_click=jobs.cancel, args=(name,), key="pipeline_cancel")
    own = [Epoch.model_validate(row) for row in epochs if row.pop("point") == 0]
    if own:
        draw(charts.history_chart(history_table(own), theme(), width=640), "pipeline_live")


def ended(name: str) -> None:
    """Say how it ended, where that is not simply well."""
    present = jobs.state(name)
    if present.state == "failed":
        st.error(f"The pipeline failed: {present.message}", icon=":material/error:")
    if present.state == "cancelled":
        st.warning("Cancelled; what was done is below.", icon=":material/stop_circle:")
    for line in present.failures:
        st.warning(line, icon=":material/warning:")
    for line in jobs.plan(name).left_out():
        st.caption(f"{capital(line)}.")


def lineage(name: str) -> None:
    """The model after every stage, its controls, its curves, and what a penalty drew."""
    plan, rows, result = jobs.plan(name), jobs.rows(name), jobs.result(name, 0)
    if result is None:
        return
    assert isinstance(plan, Lineage)
    controls = [row for row in rows if row["run"] != "pipeline" and row["seed"] == plan.recipe.seed]
    table = lineage_charts.lineage_table(result, controls)
    n = result.baseline.n
    look = theme()
    stopped = bool(result.stopped)
    draw(charts.lineage_chart(table, look, split=plan.split, n=n, stopped=stopped, width=640), "lineage")
    for line in dict.fromkeys(note for stage in result.stages for note in stage.notes):
        st.caption(line)
    _compared(rows)
    for number, stage in enumerate(result.stages):
        if isinstance(stage.stage, Sparsify) and stage.drift:
            _drift(stage.stage, stage.drift, number)
    if result.history:
        places = pairs(2)
        with places[0]:
            draw(charts.history_chart(history_table(result.history), theme()), "pipeline_accuracy")
        with places[1]:
            draw(charts.history_chart(history_table(result.history), theme(), measure="loss"), "pipeline_loss")


def take_along(recipe: Recipe, name: str | None) -> None:
    """The recipe as YAML and as Python, and the final model with the recipe that made it."""
    if name and jobs.result(name, 0):
        take_away(jobs.plan(name).recipe, jobs.weights(name, 0), f"pipeline-{name}", "pipeline")
    with st.expander("YAML, Python, model file"):
        st.download_button("recipe.yaml", recipe.to_yaml(), "recipe.yaml", icon=":material/download:")
        st.code(recipe.to_yaml(), language="yaml")
        st.code(script(recipe), language="python")
        if name and jobs.result(name, 0):
            path = jobs.weights(name, 0)  # here, since a click is served by a thread that knows of no owner
            st.download_button("model.safetensors", path.read_bytes, "model.safetensors", icon=":material/download:")


def _drift(stage: Sparsify, drift: Sequence[Drift], number: int) -> None:
    table, free, what = drift_charts.drift_table(drift), drift_charts.free_table(drift), stage.penalty
    draw(charts.drift_chart(table, theme(), penalty=what, width=640), f"drift{number}")
    draw(charts.free_chart(free, theme(), penalty=what, width=640), f"free{number}")


def _compared(rows: list[Row]) -> None:
    """Every run's end; over several seeds mean and standard deviation."""
    frame = pd.DataFrame(rows).assign(run=lambda table: table["run"].map(RUNS))
    keys = [key for key in ("accuracy", "packed_bytes", "params", "nonzero", "macs", "speedup") if key in frame]
    table = frame.groupby("run", sort=False)[keys].mean()
    if frame["seed"].nunique() > 1:
        table.insert(1, "accuracy sd", frame.groupby("run", sort=False)["accuracy"].std())
    config = st.column_config
    st.dataframe(
        table, key="pipeline_runs",
        column_config={
            "accuracy": config.NumberColumn("accuracy", format="percent"),
            "accuracy sd": config.NumberColumn("± sd", format="percent"),
            "packed_bytes": config.NumberColumn("packed size", format="bytes"),
            "speedup": config.NumberColumn("speed-up", format="%.2f×"),
            **{key: config.NumberColumn(words, format="compact") for key, words in COUNTED.items()},
        },
    )  # fmt: skip


def _left(present: jobs.State, share: float) -> float:
    return (time.time() - present.started) / share * (1 - share)
