"""Search: how much of a grid's front a sampler finds in a third of its trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks.report import Row
from benchmarks.studies import engine_seconds, own_store
from compression.studies import records, store
from compression.studies.study import Search, Study
from compression.studies.tasks import tasks

SHARE, BAR, SEEDS = 3, 0.95, 5
"""A search has one trial for so many points, and is to find this part of the hypervolume, in the median of seeds."""
SAMPLERS: tuple[Search, ...] = ("nsga2", "tpe", "random")
TIGHT = 0.9
"""A second point of reference: only what is at least this accurate counts."""
TENTHS = {"low": 0.1, "high": 0.9, "step": 0.1}
FINE = {"low": 0.1, "high": 0.95, "step": 0.05}
SCOPES = {"choose": ["layer", "global"]}
SPACES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "digits-cnn": {
        "weights": [
            {"kind": "prune", "granularity": "weights", "scope": SCOPES, "sparsity": FINE,
             "criterion": {"choose": ["magnitude", "lamp", "taylor", "random"]}},
        ],
        "channels": [
            {"kind": "prune", "granularity": "channels", "scope": SCOPES, "sparsity": TENTHS,
             "criterion": {"choose": ["magnitude", "taylor", "batchnorm", "random"]}},
            {"kind": "recalibrate"},
        ],
        "channels then weights": [
            {"kind": "prune", "granularity": "channels", "criterion": {"choose": ["magnitude", "taylor"]},
             "sparsity": {"low": 0.1, "high": 0.5, "step": 0.1}},
            {"kind": "recalibrate"},
            {"kind": "prune", "sparsity": TENTHS},
        ],
    },
    "digits-mlp": {
        "weights": [{"kind": "prune", "scope": SCOPES, "sparsity": FINE,
                     "criterion": {"choose": ["magnitude", "lamp", "wanda"]}}],
        "rows then weights": [
            {"kind": "prune", "granularity": "rows", "criterion": {"choose": ["magnitude", "apoz"]},
             "sparsity": TENTHS},
            {"kind": "prune", "sparsity": TENTHS, "scope": SCOPES},
        ],
    },
}  # fmt: skip
"""By model, the recipes of a space; no number in them was chosen by how a sampler does on it."""
Point = tuple[float, float]


def rows(quick: bool = False) -> list[Row]:
    """For each space and sampler the part of the grid's hypervolume that it finds."""
    return [row for model in SPACES for row in _found(model, 1 if quick else SEEDS)]


def space(model: str, search: Search = "grid", seed: int = 0) -> Study:
    """The space of a model as a grid, or as a search that may have a third of its trials."""
    plan = {"name": f"{search} {seed}", "model": model, "recipes": SPACES[model], "search": search, "seed": seed}
    whole = Study(**{**plan, "search": "grid"})
    return whole if search == "grid" else Study(**{**plan, "trials": int(whole.space.size) // SHARE})


def _found(model: str, seeds: int) -> list[Row]:
    shares: dict[Search, list[float]] = {search: [] for search in SAMPLERS}
    tight: dict[Search, list[float]] = {search: [] for search in SAMPLERS}
    for seed in range(seeds):  # which is that of the trials too, so each seed has a grid of its own
        with own_store():
            grid = space(model, seed=seed)
            store.create(grid)
            engine_seconds(grid)
            baseline = store.about(grid.name)["baseline"]
            whole = front_points(grid.name)
            for search in SAMPLERS:
                points = _searched(space(model, search, seed), baseline)
                shares[search].append(share(points, whole, baseline, 0.0))
                tight[search].append(share(points, whole, baseline, TIGHT))
    return search_rows(grid, len(whole), shares, tight)


def search_rows(
    grid: Study, measured: int, shares: dict[Search, list[float]], tight: dict[Search, list[float]]
) -> list[Row]:
    """What the searches of one space came to; random search is there to compare with and has no bar."""
    trials = int(grid.space.size) // SHARE
    how = (
        f"{measured} one-shot points of {grid.model} in {len(grid.recipes)} recipes, all measured on the validation "
        f"images; then {trials} trials of each sampler on the same points, one after the other. Hypervolume of "
        "accuracy and packed bytes against accuracy 0 at the size of the whole model; in brackets against "
        f"{TIGHT:.0%}, where only what is at least as accurate counts. Median and least of {len(shares['tpe'])} seeds, "
        "of sampler and trials, each against a grid of its own."
    )
    return [
        Row(
            f"{grid.model}: {search}, {trials} of {grid.space.size:.0f} trials",
            f"{median(own):.1%}, least {min(own):.1%} ({median(tight[search]):.1%}, least {min(tight[search]):.1%})",
            "" if search == "random" else f"≥ {BAR:.0%}",
            None if search == "random" else median(own) >= BAR,
            how if place == 0 else "",
        )
        for place, (search, own) in enumerate(shares.items())
    ]


def _searched(study: Study, baseline: dict[str, Any]) -> list[Point]:
    """What a search measures where every point is in the store: nothing needs a worker but the baseline."""
    store.create(study)
    store.keep_baseline(study.name, baseline)
    if any(True for _ in tasks(study)):
        raise RuntimeError(f"a sampler left the grid of {study.model}")
    return front_points(study.name)


def front_points(name: str) -> list[Point]:
    """Accuracy and packed bytes of what a study measured."""
    return [(row["accuracy"], row["packed_bytes"]) for row in records.rows(name)]


def share(points: Sequence[Point], whole: Sequence[Point], baseline: dict[str, Any], least: float) -> float:
    """The part of the whole grid's hypervolume that some of its points have."""
    reference = (least, baseline["packed_bytes"])
    return hypervolume(points, reference) / hypervolume(whole, reference)


def hypervolume(points: Iterable[Point], reference: Point) -> float:
    """The area that points dominate beyond a reference: (value to be large, cost to be small), read cheapest first."""
    area, best = 0.0, reference[0]
    for value, cost in sorted(points, key=lambda point: point[1]):
        if value > best and cost < reference[1]:
            area += (value - best) * (reference[1] - cost)
            best = value
    return area
