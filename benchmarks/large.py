"""A 25-million-parameter model on the Prune page: its histogram, what is sent, and the server's memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import numpy as np
import psutil
from playwright.sync_api import Page, WebSocket

from benchmarks.browsing import browser, opened, release, streamlit
from benchmarks.report import Row
from compression.data.sets import DATASETS
from compression.models.zoo import SAMPLES

MODEL, CHART = "resnet50-random", "histogram"
RELEASES, WARM_UP = 20, 2
START = 0.3
SECONDS, KILOBYTES, GIGABYTES = 1.0, 200, 2.5
SAMPLE_SECONDS = 0.1


@dataclass
class Traffic:
    """Bytes that arrived over websockets since they were last counted."""

    received: int = 0

    def watch(self, socket: WebSocket) -> None:
        """Count what a socket receives, as it is before the socket compresses it."""
        socket.on("framereceived", self._count)

    def _count(self, payload: str | bytes) -> None:
        self.received += len(payload.encode() if isinstance(payload, str) else payload)


@dataclass
class Peak:
    """The most memory that a process and its children held at once."""

    bytes: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


def rows(quick: bool = False) -> list[Row]:
    """The time to the histogram, the bytes of a release, and the server's peak memory."""
    data = SAMPLES[MODEL].data
    if not DATASETS[data].here():
        return [Row(MODEL, "–", "< 1 s, < 200 KB, < 2.5 GB", None, f"the data set {data} is not on this machine")]
    times, whole, sent = [], [], []
    with streamlit("app.py") as server, peak_memory(server.process.pid) as peak, browser() as chromium:
        traffic = Traffic()
        page = opened(chromium, server, f"prune?{urlencode({'model': MODEL, 'prune_sparsity': START})}", traffic.watch)
        for each in range(WARM_UP + (3 if quick else RELEASES)):
            traffic.received = 0
            done = release(page, "prune_sparsity")
            if each >= WARM_UP:
                times.append(_histogram_seconds(page))
                whole.append(done.seconds)
                sent.append(traffic.received)
    return _rows(times, whole, sent, peak.bytes)


def _rows(times: list[float], whole: list[float], sent: list[int], peak: int) -> list[Row]:
    p50, p95 = np.percentile(times, (50, 95))
    how = (
        f"{MODEL}, {len(times)} releases by the keyboard, from the key to the histogram's `plotly_afterplot`, "
        f"p95; the median is {p50:.2f} s, and the last chart follows at {np.median(whole):.2f} s (median)."
    )
    most = (
        "The most of any release: all that came over the websocket until every chart was drawn, before compression; "
        f"the median is {np.median(sent) / 1000:.0f} KB."
    )
    memory = "Resident memory of the server and its children from its start to the last release, sampled each 0.1 s."
    quick, light, small = p95 < SECONDS, max(sent) < KILOBYTES * 1e3, peak < GIGABYTES * 1e9
    return [
        Row("Histogram after a release", f"{p95:.2f} s", f"< {SECONDS:g} s", bool(quick), how),
        Row("Sent after a release", f"{max(sent) / 1000:.0f} KB", f"< {KILOBYTES} KB", light, most),
        Row("Server's memory", f"{peak / 1e9:.2f} GB", f"< {GIGABYTES} GB", small, memory),
    ]


def _histogram_seconds(page: Page) -> float:
    milliseconds = page.evaluate(f"benchmarkClock.of('.st-key-{CHART}')")
    if milliseconds is None:
        raise RuntimeError("the histogram was not drawn anew after a release")
    return float(milliseconds) / 1000


@contextmanager
def peak_memory(pid: int) -> Iterator[Peak]:
    """Sample the resident memory of a process and its children until the block ends."""
    peak = Peak()
    sampler = threading.Thread(target=_sample, args=(psutil.Process(pid), peak), daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        peak.stop.set()
        sampler.join()


def _sample(process: psutil.Process, peak: Peak) -> None:
    while not peak.stop.wait(SAMPLE_SECONDS):
        held = 0
        try:
            for each in (process, *process.children(recursive=True)):
                held += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # a child that ended meanwhile
        peak.bytes = max(peak.bytes, held)
