"""Interaction: from a slider's release to the last chart drawn, beside a bare page with as many charts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np

from benchmarks.browsing import Release, browser, chart_sizes, opened, release, streamlit
from benchmarks.report import Row
from compression.data.sets import DATASETS
from compression.models.zoo import SAMPLES

RATIOS = {"digits-cnn": 2.0, "mnist-lenet-300-100": 3.0}
RELEASES, WARM_UP = 35, 3
"""No more than a slider has steps: the temperature, from 1 to 20 by halves, has 38."""
START = 0.3


@dataclass(frozen=True)
class Slider:
    """A slider of a page: where the page is, the link's query that opens it, and the slider's key."""

    page: str
    query: dict[str, float]
    key: str


PRUNE = Slider("prune", {"prune_sparsity": START}, "prune_sparsity")
SOFTEN = Slider("distill", {"distill_temperature": 1.0}, "distill_temperature")


def rows(quick: bool = False) -> list[Row]:
    """For each model the 95th percentile of its Prune page over that of the bare page, and both."""
    return _measured(PRUNE, RATIOS, quick)


def softening(quick: bool = False) -> list[Row]:
    """The same for the temperature on the Distill page."""
    return _measured(SOFTEN, {"digits-cnn": 2.0, "mnist-mlp-1200": 2.0}, quick)


def _measured(slider: Slider, bars: dict[str, float], quick: bool) -> list[Row]:
    found = []
    for model, bar in bars.items():
        data = SAMPLES[model].data
        if DATASETS[data].here():
            found += _compared(slider, model, bar, 3 if quick else RELEASES)
        else:
            found.append(Row(model, "–", f"≤ {bar:g}×", None, f"the data set {data} is not on this machine"))
    return found


def _compared(slider: Slider, model: str, bar: float, releases: int) -> list[Row]:
    with ExitStack() as stack:
        ours, peer = (stack.enter_context(streamlit(script)) for script in ("app.py", "benchmarks/bare_app.py"))
        chromium = stack.enter_context(browser())
        page = opened(chromium, ours, f"{slider.page}?{urlencode({'model': model, **slider.query})}")
        sizes = chart_sizes(page)
        bare = opened(chromium, peer, f"?sizes={','.join(map(str, sizes))}")
        pages = ((page, slider.key), (bare, "level"))
        # One of each in turn, so that a busy moment of the machine falls on both.
        pairs = [[release(*page) for page in pages] for _ in range(WARM_UP + releases)][WARM_UP:]
        what = (
            f"{len(sizes)} charts, {sum(sizes) / 1000:.0f} kB of JSON in all; "
            f"the bare page has {len(chart_sizes(bare))} line charts of {sum(chart_sizes(bare)) / 1000:.0f} kB"
        )
    return _rows(f"{model}, {slider.page}", bar, *map(list, zip(*pairs, strict=True)), what)


def _rows(name: str, bar: float, ours: list[Release], peer: list[Release], what: str) -> list[Row]:
    slow, base = (float(np.percentile([one.seconds for one in side], 95)) for side in (ours, peer))
    how = (
        f"{what}. {len(ours)} releases on each page in turn, by the keyboard, from the key to the last "
        f"`plotly_afterplot` of any chart; "
        f"{_drawn(ours)} charts changed at a release, {_drawn(peer)} on the bare page."
    )
    return [
        Row(f"{name}: p95 against the bare page", f"{slow / base:.2f}×", f"≤ {bar:g}×", slow <= bar * base, how),
        Row(f"{name}: our page", _spread(ours)),
        Row(f"{name}: bare page", _spread(peer)),
    ]


def _spread(releases: Sequence[Release]) -> str:
    low, high = np.percentile([one.seconds * 1000 for one in releases], (50, 95))
    return f"p50 {low:.0f} ms, p95 {high:.0f} ms"


def _drawn(releases: Sequence[Release]) -> str:
    low, high = min(one.charts for one in releases), max(one.charts for one in releases)
    return f"{low}" if low == high else f"{low} to {high}"
