"""Paired timing: the loop, and the statistics as a pure function."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from compression.results import Latency

Run = Callable[[], object]
RESAMPLES = 2000
SAMPLE_SECONDS = 1e-3


@dataclass(frozen=True)
class Samples:
    """Seconds of one run, pair by pair."""

    baseline_s: tuple[float, ...]
    candidate_s: tuple[float, ...]


def shuffled_pairs(seed: int = 0) -> Iterator[bool]:
    """Endless answers to "does the baseline go first?": random, and even over every four pairs.

    Timing in blocks, all of one and then all of the other, takes a drift of the machine for a
    difference of the models.
    """
    generator = random.Random(seed)
    while True:
        four = [True, True, False, False]
        generator.shuffle(four)
        yield from four


def time_pairs(
    baseline: Run,
    candidate: Run,
    *,
    pairs: int = 30,
    seconds: float = 2.0,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Samples:
    """Time two functions side by side, in shuffled pairs, after a warm-up.

    The warm-up lasts until both have run 10 times and 0.5 s (or a quarter of ``seconds``, if less)
    have passed. A sample is the mean of as many runs in a row as take 1 ms, so a run
    of more than that is a sample of its own. The garbage collector rests meanwhile.

    Args:
        baseline: runs the baseline once.
        candidate: runs the candidate once.
        pairs: at least so many pairs.
        seconds: and at least so long.
        seed: fixes the order within the pairs.
        clock: seconds since some moment.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        fastest = _warm_up((baseline, candidate), min(0.5, seconds / 4), clock)
        repeats = [max(1, math.ceil(SAMPLE_SECONDS / max(run_s, 1e-9))) for run_s in fastest]
        times: tuple[list[float], list[float]] = ([], [])
        began = clock()
        for baseline_first in shuffled_pairs(seed):
            for which in (0, 1) if baseline_first else (1, 0):
                times[which].append(_sample((baseline, candidate)[which], repeats[which], clock))
            if len(times[0]) >= pairs and clock() - began >= seconds:
                break
    finally:
        if collecting:
            gc.enable()
    return Samples(tuple(times[0]), tuple(times[1]))


def paired_stats(
    baseline_s: Sequence[float],
    candidate_s: Sequence[float],
    *,
    runtime: str,
    batch: int,
    threads: int = 1,
    seed: int = 0,
) -> Latency:
    r"""The median paired speed-up with its 95 % percentile bootstrap interval, and milliseconds a batch.

    .. math:: \mathrm{speedup} = \mathrm{median}_i \; b_i / c_i

    Source of the interval: Efron 1979, "Bootstrap methods", Annals of Statistics 7:1-26; 2,000
    resamples of the pairs, drawn by seed.

    Args:
        baseline_s: seconds of a baseline run, one a pair.
        candidate_s: seconds of a candidate run, in the same order.
        runtime: the name of the runtime.
        batch: images a run.
        threads: threads that ran it.
        seed: fixes the resampling.

    Raises:
        ValueError: no pairs, or not as many of one as of the other.
    """
    if not baseline_s or len(baseline_s) != len(candidate_s):
        raise ValueError(f"{len(baseline_s)} baseline and {len(candidate_s)} candidate times do not pair up")
    candidate_ms = 1000 * np.asarray(candidate_s)
    ratios = np.asarray(baseline_s) / np.asarray(candidate_s)
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Latency(
        runtime=runtime,
        batch=batch,
        speedup=float(np.median(ratios)),
        speedup_low=float(low),
        speedup_high=float(high),
        min_ms=float(candidate_ms.min()),
        median_ms=float(np.median(candidate_ms)),
        p90_ms=float(np.percentile(candidate_ms, 90)),
        baseline_median_ms=float(1000 * np.median(baseline_s)),
        pairs=len(ratios),
        threads=threads,
    )


def _warm_up(runs: tuple[Run, Run], seconds: float, clock: Callable[[], float]) -> list[float]:
    """Run both in turn, and return the seconds of the fastest run of each."""
    fastest, began, rounds = [math.inf, math.inf], clock(), 0
    while rounds < 10 or clock() - began < seconds:
        for which, run in enumerate(runs):
            fastest[which] = min(fastest[which], _sample(run, 1, clock))
        rounds += 1
    return fastest


def _sample(run: Run, repeats: int, clock: Callable[[], float]) -> float:
    began = clock()
    for _ in range(repeats):
        run()
    return (clock() - began) / repeats
