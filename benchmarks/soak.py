"""Twenty people at work on the Prune page for ten minutes: how long they wait, what fails, what the server keeps."""

from __future__ import annotations

import random
import sys
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import psutil

from benchmarks.browsing import free_port, serving, wait_for
from benchmarks.report import Row
from benchmarks.visitor import Visitor, visit

USERS, MINUTES = 20, 10.0
QUICK_USERS, QUICK_MINUTES = 5, 1.0
MODELS = ("digits-cnn", "digits-mlp", "digits-vit")
THINK = (5.0, 15.0)
"""Seconds that a person looks at the charts before the next move."""
SETTLED = 0.3
"""The part of the time after which the server has loaded all there is: memory is compared with that of then."""
GROWTH = 0.1
SPARSITIES = [round(0.05 + 0.01 * step, 2) for step in range(90)]


@dataclass
class Told:
    """What all people met: seconds of each interaction, and faults."""

    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def rows(quick: bool = False) -> list[Row]:
    """The 95th percentile of an interaction, the errors, and what the server's memory grew by."""
    users, minutes = (QUICK_USERS, QUICK_MINUTES) if quick else (USERS, MINUTES)
    port, told = free_port(), Told()
    command = [sys.executable, "-m", "pages._serve", "--server.port", str(port)]
    with serving(command, port) as server:
        wait_for(server)
        begun = time.monotonic()
        end = begun + 60 * minutes
        people = [threading.Thread(target=_work, args=(server.url, seed, end, told)) for seed in range(users)]
        for person in people:
            person.start()
        time.sleep(SETTLED * 60 * minutes)
        early = _memory(server.process.pid)
        for person in people:
            person.join()
        late = _memory(server.process.pid)
    if not told.seconds:
        raise RuntimeError(f"nobody could do anything: {told.faults[:1]}")
    half, most = np.percentile(told.seconds, [50, 95])
    how = (
        f"{users} sessions on {', '.join(MODELS)}, each its own websocket and no browser, for {minutes:g} min: a new "
        f"sparsity after {THINK[0]:g} to {THINK[1]:g} s, from the move to the last message of the page that follows; "
        f"{len(told.seconds)} moves, median {half:.2f} s."
    )
    growth = late / early - 1
    grown = (
        f"Resident memory of the server and its children, {60 * SETTLED * minutes:.0f} s after the start and at the end"
    )
    return [
        Row("An interaction, p95", f"{most:.2f} s", how=how),
        Row("Errors", str(len(told.faults)), "0", not told.faults, "; ".join(sorted(set(told.faults))[:3])),
        Row(
            "Memory kept", f"{early / 1e6:.0f} → {late / 1e6:.0f} MB", f"≤ +{GROWTH:.0%}", growth <= GROWTH, f"{grown}."
        ),
    ]


def _work(url: str, seed: int, end: float, told: Told) -> None:
    """One person: opens the page, moves the slider, looks, and moves it again."""
    chance = random.Random(seed)
    try:
        with visit(url) as person:
            person.open("prune", model=MODELS[seed % len(MODELS)])
            _moves(person, chance, end, told)
            told.faults += person.faults
    except Exception as fault:  # whatever it is, it is what this person met
        told.faults.append(f"{type(fault).__name__}: {fault}")


def _moves(person: Visitor, chance: random.Random, end: float, told: Told) -> None:
    while (pause := chance.uniform(*THINK)) < end - time.monotonic():
        time.sleep(pause)
        told.seconds.append(person.set("prune_sparsity", double_array_value={"data": [chance.choice(SPARSITIES)]}))


def _memory(pid: int) -> int:
    """Bytes that a process and its children hold."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(one.memory_info().rss for one in family)
