"""Which of two points is better, when the difference may be noise; the Pareto front and its knee."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd

from compression.report.measures import AXES
from compression.report.text import capital, points, times

Row = dict[str, Any]
Rows = Sequence[Row]


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[float, float, float]:
    r"""The accuracy of ``b`` minus that of ``a``, with the interval of the difference.

    .. math:: d - \sqrt{(p_b - l_b)^2 + (u_a - p_a)^2},\quad d + \sqrt{(u_b - p_b)^2 + (p_a - l_a)^2}

    Both need ``accuracy``, ``accuracy_low`` and ``accuracy_high``. The formula is for two
    independent samples; two models scored on the same images agree more than that, so the
    interval errs on the wide side.

    Source: Newcombe 1998, Statistics in Medicine 17:873-890, method 10.
    """
    change = b["accuracy"] - a["accuracy"]
    below = math.hypot(b["accuracy"] - b["accuracy_low"], a["accuracy_high"] - a["accuracy"])
    above = math.hypot(b["accuracy_high"] - b["accuracy"], a["accuracy"] - a["accuracy_low"])
    return change, change - below, change + above


def answers_change(lost: int, won: int, n: int, z: float = 1.959964) -> tuple[float, float, float]:
    r"""The change of accuracy between two models that answered the same images, with its interval.

    .. math:: \frac{w - l}{n + 2} \pm z \sqrt{\frac{\tilde w + \tilde l - (\tilde w - \tilde l)^2}{n + 2}},
              \quad \tilde w = \frac{w + 1}{n + 2},\ \tilde l = \frac{l + 1}{n + 2}

    Args:
        lost: how many were right before and are wrong now.
        won: how many were wrong before and are right now.
        n: all images.
        z: the quantile of the normal distribution; by default that of a 95 % interval.

    Source: Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37:479-488.
    """
    gained, gone = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * math.sqrt((gained + gone - (gained - gone) ** 2) / (n + 2))
    return (won - lost) / n, max(-1.0, gained - gone - half), min(1.0, gained - gone + half)


def within_noise(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """True when the interval of the difference of two accuracies holds zero."""
    _, low, high = difference(a, b)
    return low <= 0 <= high


def against(a: Mapping[str, Any], b: Mapping[str, Any], name: str) -> str:
    """How the accuracy of ``b`` stands to that of ``a``, which is called ``name``, with interval and noise."""
    change, low, high = difference(a, b)
    noise = ", within noise" if within_noise(a, b) else ""
    return f"{points(change)} against {name} as it is ({points(low)} to {points(high)}{noise})"


def paired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float] | None:
    r"""The mean of ``b`` − ``a`` over seeds that start both alike, with its 95 % interval.

    .. math:: \bar d \pm t_{0.975,\,n-1} \, s_d / \sqrt{n}

    None for fewer than two pairs, of which no spread is known.

    Source: Student 1908, Biometrika 6:1-25.
    """
    apart = [after - before for before, after in zip(a, b, strict=True)]
    if len(apart) < 2:
        return None
    middle, half = fmean(apart), T975[min(len(apart) - 1, len(T975)) - 1] * stdev(apart) / math.sqrt(len(apart))
    return middle, middle - half, middle + half


T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""The 97.5 % quantile of Student's t for 1, 2, … degrees of freedom; the last serves for more, on the wide side."""


def headline(baseline: Mapping[str, Any], candidate: Mapping[str, Any]) -> str:
    """One line for two flat rows: "2.1× smaller, 1.9× faster, −0.4 points (within noise)".

    The size is the packed one. The speed is there when it was measured, and says "same speed"
    when its interval holds 1.
    """
    ratio = baseline["packed_bytes"] / candidate["packed_bytes"]
    parts = [ratio_words(ratio, "smaller", "larger", "same size")]
    speedup = candidate.get("speedup")
    if speedup is not None and speedup == speedup:
        low, high = candidate.get("speedup_low", speedup), candidate.get("speedup_high", speedup)
        known = not low <= 1 <= high
        parts.append(ratio_words(speedup, "faster", "slower", "same speed") if known else "same speed")
    change = candidate["accuracy"] - baseline["accuracy"]
    noise = " (within noise)" if within_noise(baseline, candidate) else ""
    parts.append(points(change) + noise if change else "same accuracy")
    return capital(", ".join(parts))


def ratio_words(ratio: float, more: str, less: str, same: str) -> str:
    """A ratio in words: "2.1× smaller", below 1 "1.3× larger", and the same where it rounds to 1."""
    if times(ratio) == times(1) or times(1 / ratio) == times(1):
        return same
    return f"{times(ratio)} {more}" if ratio > 1 else f"{times(1 / ratio)} {less}"


def pareto(table: pd.DataFrame) -> pd.DataFrame:
    """Mark the points that no other point beats: a copy with ``front`` and ``near``.

    A point is beaten when another has at least its accuracy and a cost that is no worse, one
    of the two strictly better. Costs with an interval (speed-ups) are better or worse only
    where the intervals do not overlap, so a front is never ranked by timing noise; exact costs
    (bytes, MACs) are compared as they are. Points equal in both stay on the front together.

    Accuracies are compared by their means. Since those are noisy too, ``near`` marks beaten
    points whose accuracy is within noise of the best that costs no more: the data do not show
    that they are less accurate, only that they are no cheaper. Points without a cost are neither.
    """
    front, near = standing(records(table))
    return table.assign(front=front, near=near)


def standing(rows: Rows) -> tuple[list[bool], list[bool]]:
    """Which rows are on the front, and which beaten ones are near it; see :func:`pareto`."""
    if not rows:
        return [], []
    costs = ends(rows, "x", AXES[rows[0]["axis"]].more_is_better)
    accuracy = np.array([row["accuracy"] for row in rows])
    front = unbeaten(costs, np.column_stack([accuracy, accuracy]))
    return front.tolist(), near_front(rows, costs, front)


def ends(rows: Rows, name: str, more_is_better: bool) -> Any:
    """The interval of a metric in each row, a line a row, turned so that more is better."""
    sign = 1.0 if more_is_better else -1.0
    pairs = [[sign * row[f"{name}_low"], sign * row[f"{name}_high"]] for row in rows]
    return np.sort(np.array(pairs, float).reshape(-1, 2), axis=1)


def unbeaten(a: Any, b: Any) -> Any:
    """Which rows no other beats, for two metrics of which more is better, each a line (low, high) a row.

    A row beats another that is clearly better than it in neither and clearly worse in one: better
    where the intervals do not overlap. Rows that lack a metric neither beat nor stay.
    """
    known = ~(np.isnan(a).any(axis=1) | np.isnan(b).any(axis=1))
    front = known.copy()
    front[known] = ~(_outdone(a[known], b[known]) | _outdone(b[known], a[known]))
    return front


def _outdone(a: Any, b: Any) -> Any:
    """For which rows another is clearly better in ``a`` and not clearly worse in ``b``."""
    order = np.argsort(a[:, 0])
    rivals = np.searchsorted(a[order, 0], a[:, 1], side="right")  # from here on the others are clearly better
    highest = np.maximum.accumulate(np.append(b[order, 1], -np.inf)[::-1])[::-1]
    return highest[rivals] >= b[:, 0]


def near_front(rows: Rows, costs: Any, front: Any) -> list[bool]:
    """Which rows off the front have an accuracy within noise of the best that costs no more."""
    if not rows:
        return []
    by_accuracy = np.argsort([-row["accuracy"] for row in rows], kind="stable")
    rank = np.empty(len(rows), int)
    rank[by_accuracy] = np.arange(len(rows))
    known = ~np.isnan(costs).any(axis=1)
    cheap = np.argsort(np.where(known, -costs[:, 1], np.inf), kind="stable")  # the cheapest first, the unknown last
    leading = np.minimum.accumulate(rank[cheap])
    no_dearer = np.searchsorted(-costs[cheap[: known.sum()], 1], -costs[:, 0], side="right")
    rivals = by_accuracy[leading[np.maximum(no_dearer, 1) - 1]]
    return [bool(known[p] and not front[p] and within_noise(rows[p], rows[rivals[p]])) for p in range(len(rows))]


def knee(rows: Rows, log: bool = False, y: str = "accuracy", log_y: bool = False, fall: bool = False) -> Row | None:
    """The front row that lies furthest above the chord between the front's ends.

    ``rows`` carry ``front``. Both axes are scaled to [0, 1] first, each after its logarithm when it
    is drawn so. With ``fall`` less of ``y`` is better, and the row furthest below is meant. None where
    the front has fewer than three points or nothing rises above the chord.

    Source: Satopää et al. 2011, "Finding a 'Kneedle' in a Haystack", without the smoothing.
    """
    front = sorted((row for row in rows if row["front"]), key=lambda row: row["x"])
    if len(front) < 3:
        return None
    x, up = np.array([row["x"] for row in front], float), np.array([row[y] for row in front], float)
    x, up = np.log(x) if log else x, np.log(up) if log_y else up
    if x[-1] == x[0] or up[-1] == up[0]:
        return None
    across, up = (x - x[0]) / (x[-1] - x[0]), (up - up.min()) / (up.max() - up.min())
    height = (up - (up[0] + (up[-1] - up[0]) * across)) * (-1 if fall else 1)
    best = int(height.argmax())
    return front[best] if height[best] > 1e-9 else None


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The table's rows as dicts of plain values: many times faster to walk than the frame."""
    names = list(table.columns)
    return [dict(zip(names, values, strict=True)) for values in table.to_numpy(object).tolist()]
