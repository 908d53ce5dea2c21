"""The search for the one allocation of a family that is as large as a budget wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from compression.pruning.costs import kept_units
from compression.pruning.ground import Family, Ground, Sparsities
from compression.pruning.spending import Cost
from compression.pruning.units import widths
from compression.recipe import STRUCTURED

HALVINGS = 50
PAIRS = 400
"""The most pairs of layers whose widths are tried together."""


@dataclass(frozen=True, eq=False)
class Search:
    """Where to search.

    Attributes:
        ground: what the family went by.
        family: the allocations, one for each turn of the dial.
        units: how many each layer has.
        size: of the model that an allocation leaves, in the measure of the budget.
        slack: how far off a size may be.
        cost: of an allocation, where the family makes that small; None where it is its own aim.
        weight: by how much one weight changes that size, where all weights change it alike; else 0.
    """

    ground: Ground
    family: Family
    units: Mapping[str, int]
    size: Callable[[Sparsities], float]
    slack: float
    cost: Cost | None = None
    weight: float = 0.0


def nearest(search: Search, aim: float, step: int) -> Sparsities:
    """The allocation nearest to the aim in size, with widths in these steps."""
    above, below = 0.0, 1.0
    for _ in range(HALVINGS):
        dial = (above + below) / 2
        if search.size(turned(search, dial, step)) > aim:
            above = dial
        else:
            below = dial
    dial = min(above, below, key=lambda turn: abs(search.size(turned(search, turn, step)) - aim))
    found = turned(search, dial, step)
    if search.ground.granularity in STRUCTURED:
        return _stepped(search, found, dial, aim, step)
    return _exact(search, found, aim) if search.weight else found


def turned(search: Search, dial: float, step: int) -> Sparsities:
    """The family's allocation at a turn of its dial, in whole units, and in widths that pruning allows."""
    wanted = search.family(dial)
    kept = {name: kept_units(wanted[name], units) for name, units in search.units.items()}
    if search.ground.granularity in STRUCTURED:
        kept = {name: min(_widths(search, name, step), key=lambda w: (abs(w - kept[name]), -w)) for name in kept}
    return _sparsities(search, kept)


def _sparsities(search: Search, kept: Mapping[str, int]) -> Sparsities:
    return {name: 1 - count / search.units[name] for name, count in kept.items()}


def _widths(search: Search, layer: str, step: int) -> tuple[int, ...]:
    """The widths that a layer may be cut to, rising; its own is the last."""
    ground, units = search.ground, search.units[layer]
    blocks = ground.groups.cuttable(ground.granularity)[layer].blocks
    possible = widths(units, 1 if ground.granularity == "heads" else step, blocks)
    return tuple(width for width in possible if width >= (1 - ground.most[layer]) * units - 1e-9)


def _exact(search: Search, sparsities: Sparsities, aim: float) -> Sparsities:
    """The few weights that rounding takes too many or too few, put right in the largest layers."""
    kept = {name: kept_units(sparsity, search.units[name]) for name, sparsity in sparsities.items()}
    missing = round((search.size(sparsities) - aim) / search.weight)
    for name in sorted(kept, key=lambda layer: -search.units[layer]):
        units, most = search.units[name], search.ground.most[name]
        least = units - int(most * units + 1e-9)
        change = max(least, min(units if most else least, kept[name] - missing)) - kept[name]
        kept[name] += change
        missing += change
    return _sparsities(search, kept)


def _stepped(search: Search, start: Sparsities, dial: float, aim: float, step: int) -> Sparsities:
    """Widths that keep to the budget and cost least, or else, within a step, are nearest to what the dial says.

    One layer is changed at a time, or two against each other, for as long as that helps.
    """
    wanted = search.family(dial)

    def cost(sparsities: Sparsities) -> float:
        if search.cost:
            return search.cost(sparsities, dial)
        return sum(abs(sparsities[name] - amount) for name, amount in wanted.items())

    def rank(sparsities: Sparsities) -> tuple[float, float]:
        return max(search.slack, abs(search.size(sparsities) - aim)), cost(sparsities)

    choices = {name: _choices(search, name, sparsity, step) for name, sparsity in start.items()}
    found, best = start, rank(start)
    while True:
        moves = _neighbours(found, choices)
        if best[0] == search.slack:  # near enough: only what costs less can be better
            moves = (move for move in moves if cost(move) < best[1])
        ranked = [(rank(move), move) for move in moves]
        least = min(ranked, key=lambda one: one[0], default=(best, found))
        if least[0] >= best:
            return found
        best, found = least


def _choices(search: Search, layer: str, sparsity: float, step: int) -> tuple[float, ...]:
    """The sparsities that a layer may have instead, rising: its neighbours, or all where their cost decides."""
    possible, units = _widths(search, layer, step), search.units[layer]
    at = possible.index(kept_units(sparsity, units))
    near = possible if search.cost else possible[max(0, at - 1) : at + 2]
    return tuple(1 - width / units for width in reversed(near))


def _neighbours(sparsities: Sparsities, choices: Mapping[str, tuple[float, ...]]) -> Iterator[Sparsities]:
    """One layer a step wider or narrower, or where there are few layers one wider and another narrower."""
    down = {name: min(more) for name, at in sparsities.items() if (more := [c for c in choices[name] if c > at])}
    up = {name: max(less) for name, at in sparsities.items() if (less := [c for c in choices[name] if c < at])}
    yield from (sparsities | {name: amount} for moves in (up, down) for name, amount in moves.items())
    if len(up) * len(down) <= PAIRS:
        pairs = ((one, other) for one in up for other in down if one != other)
        yield from (sparsities | {one: up[one], other: down[other]} for one, other in pairs)
