"""What the ways of spreading a budget over layers go by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from compression.pruning.costs import units_of
from compression.pruning.sensitivity import Reading
from compression.pruning.surgery import Groups
from compression.registry import UserError, unknown

Sparsities = dict[str, float]
Family = Callable[[float], Sparsities]
"""Allocations, one for each turn of a dial from 0, nothing goes, to 1, all goes that may."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What the methods go by.

    Attributes:
        model: as it is.
        granularity: what goes.
        groups: of the model.
        most: by layer, the greatest sparsity that it may take; 0 for a locked one.
        readings: of a scan with this granularity.
        balance: between accuracy and speed, in [0, 1]: what a saved MAC counts beside what the
            budget counts; 0 nothing, 1 alone.
        currency: what the budget counts: ``units``, ``params`` or ``macs``.
    """

    model: nn.Module
    granularity: str
    groups: Groups
    most: Mapping[str, float]
    readings: Sequence[Reading] = ()
    balance: float = 0.0
    currency: str = "params"

    def within(self, sparsities: Mapping[str, float]) -> Sparsities:
        """The sparsities, none above what its layer may take."""
        return {name: min(most, max(0.0, sparsities.get(name, 0.0))) for name, most in self.most.items()}


def ground_of(
    model: nn.Module,
    granularity: str,
    groups: Groups,
    readings: Sequence[Reading] = (),
    locks: Collection[str] = (),
    floors: Mapping[str, float] | None = None,
    balance: float = 0.0,
) -> Ground:
    """What the methods go by, checked.

    Args:
        model: as it is.
        granularity: weights, kernels, or whole units other than blocks.
        groups: of the model.
        readings: of a scan with this granularity.
        locks: layers that are kept whole.
        floors: by layer, the least fraction of its units that stays; one unit always does.
        balance: what a saved MAC counts beside what the budget counts, in [0, 1].

    Raises:
        UserError: a granularity that takes no amounts, unknown layers, a floor or a balance outside
            [0, 1], or every layer is locked.
    """
    if granularity == "blocks" or ":" in granularity:
        raise UserError(f"granularity is {granularity}, which takes no amounts by layer; choose weights or whole units")
    units, floors = units_of(model, granularity, groups), floors or {}
    for name in (*locks, *floors):
        if name not in units:
            raise UserError(unknown("layer in locks or floors", name, tuple(units)))
    for name, floor in floors.items():
        if not 0 <= floor <= 1:
            raise UserError(f"floors[{name!r}] is {floor:g}; it must lie in [0, 1]")
    if not 0 <= balance <= 1:
        raise UserError(f"balance is {balance:g}; it must lie in [0, 1]")
    most = {
        name: 0.0 if name in locks else min(1 - floors.get(name, 0.0), 1 - 1 / count) for name, count in units.items()
    }
    if not any(most.values()):
        raise UserError(f"Nothing is left to prune: locks and floors keep all {len(units)} layers whole; free one")
    return Ground(model, granularity, groups, most, tuple(readings), balance)
