"""What a study is after: objectives, each to be made large or small, and constraints that a point must meet."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from compression.recipe import Frozen
from compression.registry import UserError, quoted, unknown

Direction = Literal["maximize", "minimize"]
OBJECTIVES: dict[str, Direction] = {
    "accuracy": "maximize",
    "packed_bytes": "minimize",
    "file_bytes": "minimize",
    "params": "minimize",
    "nonzero": "minimize",
    "macs": "minimize",
    "memory_bytes": "minimize",
    "energy_mj": "minimize",
    "speedup": "maximize",
}
"""By the name that a measurement's row has for it."""
PROXIES: dict[str, tuple[str, Direction]] = {"speedup": ("macs", "minimize")}
"""What a search goes by before the times are taken, which needs an idle machine and so comes last."""
SCALES = {
    "": 1.0,
    "%": 0.01,
    "B": 1.0,
    "K": 1e3,
    "KB": 1e3,
    "M": 1e6,
    "MB": 1e6,
    "G": 1e9,
    "GB": 1e9,
    "×": 1.0,
    "x": 1.0,
}
_CONSTRAINT = re.compile(r"\s*(\w+)\s*(>=|<=|≥|≤)\s*([0-9.eE+-]+)\s*([%×A-Za-z]*)\s*")


class Constraint(Frozen):
    """A bound on one metric: ``accuracy >= 98 %``, ``packed_bytes <= 100 KB``, ``speedup >= 2``."""

    metric: str
    least: float = -math.inf
    most: float = math.inf

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a constraint as it is written.

        Raises:
            UserError: it is not a metric, ``>=`` or ``<=``, a number and perhaps a unit.
        """
        found = _CONSTRAINT.fullmatch(text)
        if not found:
            raise UserError(
                f"constraint is {quoted(text)}; write a metric, >= or <=, and a number: packed_bytes <= 100 KB"
            )
        metric, sign, number, unit = found.groups()
        if metric not in OBJECTIVES:
            raise UserError(unknown("metric in a constraint", metric, OBJECTIVES))
        if unit not in SCALES:
            raise UserError(unknown("unit in a constraint", unit, tuple(filter(None, SCALES))))
        try:
            bound = float(number) * SCALES[unit]
        except ValueError:
            raise UserError(f"constraint is {quoted(text)}; {quoted(number)} is not a number") from None
        if metric == "accuracy" and bound > 1:
            raise UserError(f"constraint is {quoted(text)}; accuracy is at most 100 %, did you mean {number} %?")
        return cls(metric=metric, **({"least": bound} if sign in (">=", "≥") else {"most": bound}))

    def holds(self, row: Mapping[str, Any]) -> bool | None:
        """Whether a measured row meets it; None where the metric was not measured."""
        value = row.get(self.metric)
        return None if value is None or math.isnan(value) else self.least <= value <= self.most

    def excess(self, row: Mapping[str, Any]) -> float | None:
        """By what fraction of its bound a measured row misses it, 0 or less where it is met; None if not measured."""
        if self.holds(row) is None:
            return None
        over = self.least - row[self.metric] if self.least > -math.inf else row[self.metric] - self.most
        return float(over / max(abs(self.least if self.least > -math.inf else self.most), 1e-12))

    def written(self) -> str:
        """As ``read`` takes it."""
        sign, bound = (">=", self.least) if self.least > -math.inf else ("<=", self.most)
        return f"{self.metric} {sign} {bound:g}"


def check_together(constraints: Iterable[Constraint]) -> None:
    """Raise UserError where two constraints leave nothing of a metric."""
    by_metric: dict[str, list[Constraint]] = {}
    for one in constraints:
        by_metric.setdefault(one.metric, []).append(one)
    for own in by_metric.values():
        least, most = max(own, key=lambda one: one.least), min(own, key=lambda one: one.most)
        if least.least > most.most:
            raise UserError(f"the constraints {least.written()} and {most.written()} contradict each other")


def beaten(own: Sequence[float], others: Iterable[Sequence[float]]) -> bool:
    """Whether another point is at least as good in all of its values, each the better the larger, and not the same."""
    return any(other != own and all(a >= b for a, b in zip(other, own, strict=True)) for other in others)


def feasible(row: Mapping[str, Any], constraints: Iterable[Constraint]) -> bool:
    """Whether a row meets all constraints; one that was not measured is not met."""
    return all(one.holds(row) for one in constraints)
