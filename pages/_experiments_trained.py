"""Experiments of lessons that train: ways of making a model side by side, and penalties."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compression.recipe import Recipe, Sparsify
from compression.report import charts
from compression.report.drift_charts import drift_table, free_table
from compression.report.seeds_chart import advantage, seeds_chart, seeds_table
from compression.report.text import percent, points
from compression.results import StageResult
from compression.subject import baseline, load_subject
from pages._cache import live_runs
from pages._draw import draw, pairs
from pages._lessons import Answer
from pages._workbench import theme

MOST_SEEDS = 1000


def compare(
    model: str, ways: dict[str, list[dict[str, Any]]], seeds: int, better: str, than: str, of: str | None = None
) -> Answer:
    """Train a model in several ways, from the same seeds, and compare two of them."""
    first = _seed()
    recipes = [
        Recipe.from_mapping({"model": model, "seed": first + turn, "stages": stages})
        for stages in ways.values()
        for turn in range(seeds)
    ]
    found = [stage.measurement for stage in live_runs(recipes)]
    table = seeds_table({way: found[turn * seeds : (turn + 1) * seeds] for turn, way in enumerate(ways)}, of)
    part = f"the validation images of class {of}" if of else f"{found[0].n:,} validation images"
    draw(seeds_chart(table, theme(), better=better, than=than, what=part, width=charts.WIDE), "learn_compare")
    middle, _ = advantage(table, better, than)
    means = table.groupby("way")["accuracy"].mean()
    return Answer(
        100 * middle, f"{points(middle)}: {percent(means[better])} with {better}, {percent(means[than])} with {than}"
    )


def penalties(model: str, strength: float, epochs: int, lr: float, threshold: float) -> Answer:
    """Train with L1 and with L2 from the same weights, and count what each brings below a threshold."""
    first = _seed()
    stages = {kind: Sparsify(penalty=kind, strength=strength, epochs=epochs, lr=lr) for kind in ("l1", "l2")}
    found = live_runs([Recipe(model=model, seed=first, stages=(stage,)) for stage in stages.values()])
    before = percent(baseline(load_subject(model))[1].accuracy)
    below = {kind: _below(stage, threshold) for kind, stage in zip(stages, found, strict=True)}
    for place, (kind, stage) in zip(pairs(2), zip(stages, found, strict=True), strict=True):
        with place:
            st.markdown(
                f"**{kind.upper()}**: {percent(stage.measurement.accuracy)} of validation images right, {before} before"
            )
            free = charts.free_chart(free_table(stage.drift), theme(), penalty=kind, threshold=threshold)
            draw(free, f"learn_free_{kind}")
            drift = charts.drift_chart(drift_table(stage.drift), theme(), penalty=kind, bars=1, width=300)
            draw(drift, f"learn_drift_{kind}")
    return Answer(
        below["l1"], f"{percent(below['l1'])} with L1, {percent(below['l2'])} with L2, lie below {threshold:g}"
    )


def _below(stage: StageResult, threshold: float) -> float:
    return dict(stage.drift[-1].below)[threshold]


def _seed() -> int:
    """The first seed: another one shows what is chance."""
    return min(MOST_SEEDS, max(0, st.number_input(
        "Seed", 0, MOST_SEEDS, 0, key="learn_seed", bind="query-params", width=140,
        help="Fixes the first weights and the order of the images. Try another: what changes is chance.",
    )))  # fmt: skip
