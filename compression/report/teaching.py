"""What distillations came to: one line for each way of teaching, over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

Row = dict[str, Any]
KEYS = ("student", "method", "temperature", "alpha")


def ways(rows: Iterable[Row]) -> list[Row]:
    """Mean and standard deviation over the seeds of every way, in the order in which ways first appear.

    Args:
        rows: of a study of distillations, one a point.

    Returns:
        for each way its ``student``, ``method``, ``temperature`` and ``alpha``, the number of
        ``seeds``, ``n`` images, ``params``, ``macs`` and ``packed_bytes``, and the means of ``errors``,
        ``accuracy``, ``ece`` and ``agreement``, each with an ``_sd``, None for one seed.
    """
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in KEYS), []).append(row)
    return [_way(members) for members in found.values()]


def _way(members: Sequence[Row]) -> Row:
    first = members[0]
    way = {key: first[key] for key in (*KEYS, "n", "params", "macs", "packed_bytes")} | {"seeds": len(members)}
    for key in ("errors", "accuracy", "ece", "agreement"):
        values = [float(row[key]) for row in members]
        way |= {key: fmean(values), f"{key}_sd": stdev(values) if len(values) > 1 else None}
    return way
