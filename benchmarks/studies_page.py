"""The Trade-offs page with 2,000 trials: its first chart, a filter, and what it sends, in a real browser."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from urllib.parse import urlencode

import numpy as np
from playwright.sync_api import Browser, Page, WebSocket

from benchmarks.browsing import (
    CHART,
    DRAWN,
    PATIENCE_MS,
    Server,
    browser,
    free_port,
    opened,
    serving,
    streamlit,
    wait_for,
)
from benchmarks.filled import filled
from benchmarks.report import Row
from benchmarks.studies import own_store
from tests.e2e.browser import settle

TRIALS, STARTS, FILTERS, WARM_UP = 2_000, 3, 20, 2
FIRST, FILTERED, SENT = 2.0, 0.5, 1_000_000
SKETCH, CLOUD = ".sketch img", f".st-key-study_cloud {CHART} .main-svg"
SEEN = """(() => {
  const seen = window.benchmarkSeen = {};
  const look = () => {
    for (const selector of %s) {
      const found = document.querySelector(selector);
      if (selector in seen || !found || found.complete === false) continue;
      requestAnimationFrame(() => { seen[selector] = performance.timeOrigin + performance.now(); });
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
"""When each of some elements was painted, by the clock that Python has too."""
RELEASED = """addEventListener('pointerup', () => {
  benchmarkClock.released = performance.now();
  benchmarkClock.changes.clear();
}, true)"""
"""A filter changes when the pointer that dragged a brush lets go."""


def rows(quick: bool = False) -> list[Row]:
    """First chart, filter and bytes against their bars."""
    firsts, whole, bare, sent, filters = list[float](), list[float](), list[float](), 0, list[float]()
    with own_store(), browser() as chromium:
        study = filled("many", 200 if quick else TRIALS)
        path = f"tradeoffs?{urlencode({'model': study.model, 'study': study.name})}"
        for _ in range(1 if quick else STARTS):
            with product() as server:
                _visit_home(chromium, server)
                (sketch, chart), sent = _first(chromium, f"{server.url}/{path}", SKETCH, CLOUD)
                firsts.append(sketch)
                whole.append(chart)
                if not filters:
                    filters = _filtered(opened(chromium, server, path), 3 if quick else FILTERS)
            with streamlit("benchmarks/bare_app.py") as server:
                _visit_home(chromium, server)
                bare += _first(chromium, server.url, DRAWN)[0]
    return page_rows(study.trials or 0, firsts, whole, bare, sent, filters)


@contextmanager
def product() -> Iterator[Server]:
    """The dashboard as ``make run`` starts it, once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "pages._serve", f"--server.port={port}"]
    with serving(command, port) as server:
        wait_for(server)
        yield server


def page_rows(
    trials: int, firsts: list[float], whole: list[float], bare: list[float], sent: int, filters: list[float]
) -> list[Row]:
    """What was timed, against the bars."""
    first = median(firsts)
    middle, slow = (float(one) for one in np.percentile(filters, (50, 95)))
    how = (
        f"{trials:,} trials with made-up numbers, since only the page is timed. From the call of the address until "
        f"the cloud is painted, in an empty profile; the server is up and has shown its first page once, this one "
        f"never. Median of {len(firsts)} servers, the slowest {max(firsts):.2f} s. It is a picture of the chart, "
        "with all its points, scales and words, and goes when the chart itself is there."
    )
    later = (
        f"the chart that hovers, zooms and is clicked, median; the slowest {max(whole):.2f} s. It waits for Plotly: "
        f"a bare Streamlit page with one line, timed in turn in the same way, takes {median(bare):.2f} s."
    )
    brush = (
        f"{len(filters)} brushes along an axis, from letting go to the last `plotly_afterplot`; "
        f"p50 {middle * 1000:.0f} ms."
    )
    frames = "all that came over the page's websocket until it was settled; the app's own scripts are not in."
    return [
        Row("First chart, as a picture", f"{first:.2f} s", f"< {FIRST:g} s", first < FIRST, how),
        Row("Until it answers the pointer", f"{median(whole):.2f} s", how=later),
        Row(
            "A filter changed, p95",
            f"{slow * 1000:.0f} ms",
            f"< {FILTERED * 1000:.0f} ms",
            slow < FILTERED,
            brush,
        ),
        Row("Sent", f"{sent / 1000:.0f} kB", f"< {SENT / 1e6:.0f} MB", sent < SENT, frames),
    ]


def _visit_home(chromium: Browser, server: Server) -> None:
    """Show the first page once: until then a server does not know its other pages."""
    page = chromium.new_context().new_page()
    page.goto(server.url)
    settle(page, PATIENCE_MS)
    page.context.close()


def _first(chromium: Browser, url: str, *charts: str) -> tuple[list[float], int]:
    """Seconds until each of some elements is painted, and the bytes that came until the page was settled."""
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    sizes: list[int] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: sizes.append(len(frame)))

    page.on("websocket", listen)
    page.add_init_script(SEEN % json.dumps(charts))
    began = time.time()
    page.goto(url)
    page.wait_for_function(f"Object.keys(benchmarkSeen).length === {len(charts)}", timeout=PATIENCE_MS)
    seen = page.evaluate("benchmarkSeen")
    settle(page, PATIENCE_MS)
    page.wait_for_timeout(500)
    page.context.close()
    return [seen[chart] / 1000 - began for chart in charts], sum(sizes)


def _filtered(page: Page, filters: int) -> list[float]:
    """Seconds of each filter, set by dragging along the first axis that is numbers throughout."""
    page.evaluate(RELEASED)
    axis = page.get_by_role("group", name=re.compile("accuracy: drag to filter", re.IGNORECASE)).first
    axis.scroll_into_view_if_needed()
    times = []
    for number in range(WARM_UP + filters):
        box = axis.bounding_box()
        if box is None:
            raise RuntimeError("the axis to brush is not on the page")
        across, top = box["x"] + box["width"] / 2, box["y"] + 45
        page.mouse.move(across, top)
        page.mouse.down()
        page.mouse.move(across, top + 60 + 5 * number, steps=3)
        page.mouse.up()
        page.wait_for_function("benchmarkClock.done()")
        times.append(page.evaluate("benchmarkClock.last() - benchmarkClock.released") / 1000)
        if page.get_by_test_id("stException").count():
            raise RuntimeError("the page shows an error")
    return times[WARM_UP:]
