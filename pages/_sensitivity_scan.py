"""Scans that run beside the pages: one at a time, in a thread that talks to no page.

Every reader of the same settings watches the same scan, and finds it done when coming back.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from compression.measure import macs
from compression.owner import owner
from compression.pruning.sensitivity import Reading, probes
from compression.registry import UserError
from compression.subject import LIVE_MACS, Subject, layer_names, scan_subject
from compression.training import prepare_process

KEPT = 32
"""Scans that are remembered."""
QUICK = 5 * LIVE_MACS
"""A scan of no more multiply-accumulates starts without being asked."""
WAIT = 1.0
"""Seconds in which a page waits for a quick scan, so that it need not draw twice."""


@dataclass(frozen=True)
class Settings:
    """What is scanned, and on how many validation images; ``own`` tells one's own from others of these names."""

    model: str
    data: str
    granularity: str
    criterion: str
    images: int
    own: str


@dataclass(eq=False)
class Scan:
    """A scan, whose it is and how far it is; ``readings`` are the last of each layer and sparsity."""

    settings: Settings
    probes: int
    owner: str = field(default_factory=owner)
    state: str = "waiting"
    message: str = ""
    began: float = 0.0
    readings: dict[tuple[str, float], Reading] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_own(self) -> bool:
        """Whether the present user has started it, who alone may stop it: others watch it too."""
        return self.owner == owner()

    @property
    def under_way(self) -> bool:
        """Whether more readings may come."""
        return self.state in ("waiting", "running")

    @property
    def rows(self) -> list[Reading]:
        """The readings so far."""
        return list(self.readings.values())

    @property
    def part(self) -> float:
        """How much of the work is done, in [0, 1]."""
        return sum(reading.n for reading in self.rows) / (self.probes * self.settings.images)

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None before the first reading."""
        if not self.readings or not self.under_way:
            return None
        return (time.monotonic() - self.began) * (1 / self.part - 1)


_scans: dict[Settings, Scan] = {}
_turn = threading.Lock()


def present(settings: Settings) -> Scan | None:
    """The scan of these settings, under way or ended; None where there is none."""
    return _scans.get(settings)


def quick(subject: Subject, settings: Settings) -> bool:
    """Whether a scan takes so little that nobody need ask for it."""
    work = macs(subject.model, subject.blueprint.input_shape) * settings.images
    return work * len(_probes(subject, settings)) <= QUICK


def start(subject: Subject, settings: Settings) -> Scan:
    """Start a scan anew; it waits for its turn."""
    while len(_scans) >= KEPT:
        _scans.pop(next(iter(_scans)))
    made = Scan(settings, len(_probes(subject, settings)))
    _scans[settings] = made
    threading.Thread(target=_work, args=(subject, made), daemon=True).start()
    return made


def cancel(settings: Settings) -> None:
    """Stop a scan of one's own; its readings stay."""
    if (found := _scans.get(settings)) and found.under_way and found.is_own:
        found.stop.set()
        found.state = "cancelled"


def _probes(subject: Subject, settings: Settings) -> list:
    layers = layer_names(subject, settings.granularity)
    return probes(layers, settings.granularity, settings.criterion)


def _work(subject: Subject, found: Scan) -> None:
    try:
        with _turn:
            prepare_process()
            found.began = time.monotonic()
            _read(subject, found)
    except UserError as fault:
        found.state, found.message = "failed", str(fault)
    except Exception as fault:  # a thread has nobody to raise to: the page says it
        found.state, found.message = "failed", f"{type(fault).__name__}: {fault}"
    finally:
        found.ended.set()


def _read(subject: Subject, found: Scan) -> None:
    if found.stop.is_set():
        return
    found.state = "running"
    for reading in scan_subject(subject, _probes(subject, found.settings), found.settings.images):
        if found.stop.is_set():
            return
        found.readings[reading.layer, reading.sparsity] = reading
    found.state = "done"
