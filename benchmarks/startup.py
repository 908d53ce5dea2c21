"""``make run`` on a machine already set up: from the start of the process to the first chart on the screen."""

from __future__ import annotations

import time
from statistics import median

from playwright.sync_api import Browser

from benchmarks.browsing import CHART, PATIENCE_MS, browser, free_port, serving, wait_for
from benchmarks.report import Row

POINTS = f"{CHART} .scatterlayer path.point"
"""A chart with points in it: the frame that the page draws at once does not count."""
STARTS = 7
SECONDS = 5.0


def rows(quick: bool = False) -> list[Row]:
    """The median of several starts, and the slowest."""
    with browser() as chromium:
        starts = [_start(chromium) for _ in range(2 if quick else STARTS)]
    drawn, answered = ([start[i] for start in starts] for i in (1, 0))
    how = (
        f"Median of {len(starts)} starts, each with an empty browser profile; the slowest took {max(drawn):.2f} s. "
        f"The server answers after {median(answered):.2f} s, and the browser, already open, then loads the page. "
        "The files are in the system's cache, as they are after any earlier start."
    )
    found = median(drawn)
    return [Row("First chart", f"{found:.2f} s", f"≤ {SECONDS:g} s", found <= SECONDS, how)]


def _start(chromium: Browser) -> tuple[float, float]:
    """Seconds from the start of ``make run`` until the server answers, and until a chart is drawn."""
    port = free_port()
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    began = time.perf_counter()
    with serving(["make", "--silent", "run", f"PORT={port}"], port) as server:
        wait_for(server)
        answered = time.perf_counter() - began
        page.goto(server.url)
        page.wait_for_selector(POINTS, state="attached", timeout=PATIENCE_MS)
        drawn = time.perf_counter() - began
        page.context.close()
    return answered, drawn
