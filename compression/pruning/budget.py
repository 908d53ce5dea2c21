"""Budgets: an allocation whose cut, really made and measured, is as large as asked, within 1 %."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.costs import Counter, Left, counter, left_by, units_of
from compression.pruning.ground import Ground, Sparsities
from compression.pruning.oneshot import Pruned
from compression.pruning.search import Search, nearest, turned
from compression.pruning.sensitivity import CarryOut
from compression.pruning.spending import cost_by_sensitivity
from compression.recipe import STRUCTURED, Prune, validated
from compression.registry import UserError, pick, unknown

Kind = Literal["sparsity", "params", "macs", "bytes"]
CURRENCIES = {"sparsity": "units", "params": "params", "macs": "macs", "bytes": "params"}
"""What a saving is counted in beside the MACs, by budget."""
UNITS = {"params": "parameters", "macs": "MACs", "bytes": "bytes"}
TOLERANCE = 0.01
SLACK = 0.9
"""The share of the tolerance that a search may use; the rest is for the header of a file, which is not counted."""


@dataclass(frozen=True)
class Budget:
    """What a pruned model may be.

    ``amount`` is the fraction of all units removed, in (0, 1), or else how much is left: parameters
    (nonzero ones where weights become zero), MACs of an image, or bytes (of the packed file where
    weights become zero, of the plain file where units are cut out).

    Raises:
        UserError: an unknown kind, or an amount out of range.
    """

    kind: Kind
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(unknown("budget", self.kind, get_args(Kind)))
        highest = 1 if self.kind == "sparsity" else math.inf
        if not 0 < self.amount < highest:
            allowed = "lie in (0, 1)" if self.kind == "sparsity" else "be greater than 0"
            raise UserError(f"budget in {self.kind} is {self.amount:g}; it must {allowed}")

    def miss(self, left: Left) -> float:
        """How far off a model is: by points of sparsity, or as a fraction of the budget."""
        off = abs(float(getattr(left, self.kind)) - self.amount)
        return off if self.kind == "sparsity" else off / self.amount

    def size(self, left: Left) -> float:
        """The model in the budget's measure, larger the less is removed."""
        return -left.sparsity if self.kind == "sparsity" else float(getattr(left, self.kind))

    @property
    def aim(self) -> float:
        """The budget on the scale of ``size``."""
        return -self.amount if self.kind == "sparsity" else self.amount

    def written(self, left: Left | None = None) -> str:
        """The budget in words, or what is left in the budget's measure."""
        amount = self.amount if left is None else float(getattr(left, self.kind))
        return f"{amount:.2%} sparsity" if self.kind == "sparsity" else f"{amount:,.0f} {UNITS[self.kind]}"


@dataclass(frozen=True)
class Allocation:
    """How much of every layer goes, and what is then left.

    Attributes:
        method: a key of ALLOCATIONS.
        budget: that it meets.
        stage: does it.
        left: measured on the pruned model.
        predicted: accuracy, if what the layers lose alone adds up; None without a scan.
    """

    method: str
    budget: Budget
    stage: Prune
    left: Left
    predicted: float | None

    @property
    def sparsities(self) -> dict[str, float]:
        """By layer; 0 keeps it whole."""
        return self.stage.overrides


def as_stage(allocation: Allocation) -> Prune:
    """The stage of a recipe that does what an allocation says."""
    return allocation.stage


def allocate(
    ground: Ground,
    budget: Budget,
    carry_out: CarryOut,
    method: str = "sensitivity",
    criterion: str = "magnitude",
    round_to: int = 8,
    images: int = 512,
) -> tuple[Allocation, Pruned]:
    """Meet a budget within 1 %, as measured on the model that is really pruned, which comes with it.

    Weights are met to the last one. Of whole units every layer keeps a width that ``Prune`` allows
    with ``round_to``; where no such widths meet the budget the step is halved until some do.

    Args:
        ground: of ``ground_of``.
        budget: what is asked.
        carry_out: does a stage to a copy of the model.
        method: a key of ALLOCATIONS.
        criterion: which units of a layer go first.
        round_to: the step of widths.
        images: for the criteria that look at data.

    Raises:
        UserError: an unknown method, one that lacks its scan, or a budget that cannot be met; the
            line names the nearest that can.
    """
    card = pick(ALLOCATIONS, method, "allocation")
    if budget.kind == "macs" and ground.granularity not in STRUCTURED:
        raise UserError(
            f"A budget in MACs cannot be met by {ground.granularity}: zeros are multiplied as any number is; "
            "choose whole units, or a budget in params"
        )
    ground = replace(ground, currency=CURRENCIES[budget.kind])
    count = counter(ground.model, ground.granularity, ground.groups)
    search = Search(
        ground=ground,
        family=card.call(ground),
        units=units_of(ground.model, ground.granularity, ground.groups),
        size=lambda sparsities: budget.size(count(sparsities)),
        slack=SLACK * TOLERANCE * (1 if budget.kind == "sparsity" else budget.amount),
        cost=cost_by_sensitivity(ground) if card.needs else None,
        weight=_of_a_weight(ground, budget),
    )
    _check_reach(search, budget, count)
    misses: list[Left] = []
    for made in _tries(search, budget, count, carry_out, (method, criterion, round_to, images)):
        if budget.miss(made[0].left) <= TOLERANCE:
            return made
        misses.append(made[0].left)
    near = budget.written(min(misses, key=budget.miss))
    raise UserError(
        f"A budget of {budget.written()} cannot be met within 1 % by whole {ground.granularity}; the nearest is {near}"
    )


def _tries(
    search: Search, budget: Budget, count: Counter, carry_out: CarryOut, asked: tuple[str, str, int, int]
) -> Iterator[tuple[Allocation, Pruned]]:
    """Allocations really made, in ever finer widths."""
    method, criterion, round_to, images = asked
    ground = search.ground
    for step in _steps(ground.granularity, round_to):
        sparsities = nearest(search, budget.aim, step)
        if not any(sparsities.values()):
            raise UserError(f"A budget of {budget.written()} takes less than one of the {ground.granularity}")
        stage = _stage(ground, sparsities, count(sparsities), criterion, step, images)
        pruned = carry_out(stage)
        left = left_by(pruned, ground.granularity, ground.groups.input_shape)
        yield Allocation(method, budget, stage, left, predicted(ground, sparsities)), pruned


def predicted(ground: Ground, sparsities: Mapping[str, float]) -> float | None:
    """The accuracy, if what every layer loses alone adds up: an estimate, in [0, 1]. None without a scan."""
    if not ground.readings:
        return None
    change = 0.0
    for layer, sparsity in sparsities.items():
        own = sorted((r for r in ground.readings if r.layer == layer), key=lambda reading: reading.achieved)
        heights = [0.0, *(reading.accuracy - reading.whole_accuracy for reading in own)]
        change += float(np.interp(sparsity, [0.0, *(reading.achieved for reading in own)], heights))
    return min(1.0, max(0.0, ground.readings[0].whole_accuracy + change))


def _check_reach(search: Search, budget: Budget, count: Counter) -> None:
    """Raise UserError where the budget lies beyond the whole model, or beyond all that may go."""
    whole, least = (count(turned(search, dial, 1)) for dial in (0.0, 1.0))
    end = "the most that can be reached is" if budget.kind == "sparsity" else "the least that can be left is"
    for left, sign, why in ((whole, -1, "the model as it is has"), (least, 1, end)):
        if sign * (budget.size(left) - budget.aim) > 0 and budget.miss(left) > TOLERANCE:
            raise UserError(f"A budget of {budget.written()} cannot be met: {why} {budget.written(left)}")


def _stage(ground: Ground, sparsities: Sparsities, left: Left, criterion: str, round_to: int, images: int) -> Prune:
    fields = {"granularity": ground.granularity, "criterion": criterion, "scope": "layer", "round_to": round_to}
    amounts = {"sparsity": left.sparsity, "overrides": sparsities, "images": images}
    stage: Prune = validated(Prune, fields | amounts)
    return stage


def _steps(granularity: str, round_to: int) -> tuple[int, ...]:
    """The steps of widths to try, coarse first; heads and weights have none."""
    if granularity not in ("rows", "channels"):
        return (round_to,)
    return tuple(round_to >> halvings for halvings in range(round_to.bit_length()))


def _of_a_weight(ground: Ground, budget: Budget) -> float:
    """By how much one weight changes the model's size in the budget's measure; 0 where that differs."""
    if ground.granularity != "weights" or budget.kind not in ("sparsity", "params"):
        return 0.0
    return 1.0 if budget.kind == "params" else 1 / sum(units_of(ground.model, "weights", ground.groups).values())
