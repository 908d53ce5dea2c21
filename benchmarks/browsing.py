"""A server of a page, and a real browser that times what its charts do after a slider's release."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

from benchmarks.report import ROOT
from tests.e2e.browser import SWITCHES, settle, system_browser

CHART = ".js-plotly-plot"
DRAWN = f"{CHART} .main-svg"
PATIENCE_MS = 180_000
QUIET_MS = 400
"""So long no chart may change before a release counts as done; it is not part of the time."""

CLOCK = f"""
(() => {{
  const clock = {{ released: 0, changes: new Map() }};
  const seen = new WeakSet();
  const mark = (chart) => clock.changes.set(chart, performance.now());
  const look = () => {{
    for (const chart of document.querySelectorAll('{CHART}')) {{
      if (seen.has(chart) || !chart.on) continue;
      seen.add(chart);
      mark(chart);  // a chart that is new on the page changed by appearing
      chart.on('plotly_afterplot', () => mark(chart));
    }}
    requestAnimationFrame(look);
  }};
  requestAnimationFrame(look);
  addEventListener('keydown', (event) => {{
    if (!event.key.startsWith('Arrow')) return;
    clock.released = performance.now();
    clock.changes.clear();
  }}, true);
  clock.last = () => Math.max(...clock.changes.values());
  clock.done = () => clock.changes.size > 0
    && performance.now() - clock.last() > {QUIET_MS}
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale=true]');
  clock.of = (selector) => {{
    const times = [...clock.changes].filter(([chart]) => chart.closest(selector)).map(([, time]) => time);
    return times.length ? Math.max(...times) - clock.released : null;
  }};
  window.benchmarkClock = clock;
}})();
"""
"""A release is the key that moves the slider; a chart has changed when Plotly says that it was drawn."""


@dataclass(frozen=True)
class Release:
    """What one release of a slider did: when the last chart was drawn, and how many were."""

    seconds: float
    charts: int


@dataclass(frozen=True)
class Server:
    """A running server: its address and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def serving(command: Sequence[str], port: int) -> Iterator[Server]:
    """Run a command that serves Streamlit on a port, in a session of its own, and end it with its children."""
    environment = {**os.environ, "STREAMLIT_SERVER_HEADLESS": "true"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
        try:
            yield Server(f"http://127.0.0.1:{port}", process)
        finally:
            _end(process)


@contextmanager
def streamlit(script: str) -> Iterator[Server]:
    """A Streamlit server of a script of this repository, once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    with serving(command, port) as server:
        wait_for(server)
        yield server


@contextmanager
def browser(*switches: str) -> Iterator[Browser]:
    """The browser of the browser tests, with more switches: the system's Chromium or Playwright's own."""
    with sync_playwright() as playwright:
        # None means Playwright's own.
        chromium = playwright.chromium.launch(executable_path=system_browser(), args=[*SWITCHES, *switches])
        yield chromium
        chromium.close()


def opened(chromium: Browser, server: Server, path: str, on_socket: Callable[[WebSocket], None] | None = None) -> Page:
    """A page with a clock in it, in a profile of its own, settled and with its charts drawn.

    ``on_socket`` hears of every websocket that the page opens.
    """
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(CLOCK)
    if on_socket:
        page.on("websocket", on_socket)
    # The first page before any other: until it was shown once, a server does not know its navigation.
    for url in (server.url, f"{server.url}/{path}"):
        page.goto(url)
        page.wait_for_selector(DRAWN, state="attached")
        settle(page, PATIENCE_MS)
    page.wait_for_function("window.benchmarkClock.done()")
    return page


def release(page: Page, slider: str) -> Release:
    """Move a slider one step by the keyboard and wait until every chart that changes has been drawn."""
    page.bring_to_front()
    page.locator(f".st-key-{slider} input[type=range]").first.press("ArrowRight")
    page.wait_for_function("window.benchmarkClock.done()")
    milliseconds, charts = page.evaluate(
        "[benchmarkClock.last() - benchmarkClock.released, benchmarkClock.changes.size]"
    )
    return Release(milliseconds / 1000, charts)


def chart_sizes(page: Page) -> list[int]:
    """Characters of JSON in each chart on the page."""
    sizes: list[int] = page.evaluate(
        f"[...document.querySelectorAll('{CHART}')].map(c => JSON.stringify([c.data, c.layout]).length)"
    )
    return sizes


def wait_for(server: Server, seconds: float = 90, log: Path | None = None) -> None:
    """Wait until the server answers. Raises RuntimeError, with what is in its log, when it ends or does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.02)
    written = f":\n{log.read_text()}" if log else ""
    raise RuntimeError(f"no server answered at {server.url} in {seconds:.0f} s{written}")


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            process.wait()
            return
