"""How much more accurate one run is than another, and how sure that is, from the seeds of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from compression.report.compare import T975, difference, paired
from compression.results import wilson

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Gain:
    """What is compared, and what came of it.

    Attributes:
        own: mean accuracy of the run, over what is compared.
        start: that of the run it is compared with.
        better: ``own`` - ``start``.
        low: of its 95 % interval.
        high: likewise.
        seeds: how many of each are compared.
        shared: whether only the seeds that both have are.
    """

    own: float
    start: float
    better: float
    low: float
    high: float
    seeds: int
    shared: bool

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.low <= 0 <= self.high


def gain(own: Rows, start: Rows) -> Gain:
    """How much more accurate ``own`` is than ``start``; rows of one run each, with seed, accuracy and n.

    Two or more seeds that both have are compared one by one, and nothing else counts (Student's
    t). Else everything is compared, as unsure as images and seeds make it (Newcombe's interval).
    """
    first, second = ({row["seed"]: row["accuracy"] for row in rows} for rows in (start, own))
    both = sorted(first.keys() & second.keys())
    found = paired([first[seed] for seed in both], [second[seed] for seed in both])
    if found:
        mean, base = (fmean(accuracies[seed] for seed in both) for accuracies in (second, first))
        return Gain(mean, base, *found, len(both), shared=len(both) < max(len(first), len(second)))
    one, other = _expected(own), _expected(start)
    seeds = min(len(first), len(second))
    return Gain(one["accuracy"], other["accuracy"], *difference(other, one), seeds, shared=False)


def _expected(rows: Rows) -> dict[str, float]:
    r"""The mean accuracy, as unsure as n images make it and, of several seeds, the seeds.

    .. math:: \sqrt{w^2 + (t_{0.975,\,k-1} \, s / \sqrt{k})^2}

    on each side, with w the side of the Wilson interval, and s the standard deviation of k seeds.
    """
    values, n = [row["accuracy"] for row in rows], int(rows[0]["n"])
    middle, k = fmean(values), len(values)
    low, high = wilson(round(n * middle), n)
    half = T975[min(k - 1, len(T975)) - 1] * stdev(values) / math.sqrt(k) if k > 1 else 0.0
    return {
        "accuracy": middle,
        "accuracy_low": middle - math.hypot(middle - low, half),
        "accuracy_high": middle + math.hypot(high - middle, half),
    }
