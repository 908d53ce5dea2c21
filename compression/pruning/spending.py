"""Spending a budget where it hurts least, by what a scan has read of every layer alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from compression.measure import macs, params
from compression.pruning.costs import units_of
from compression.pruning.ground import Family, Ground, Sparsities
from compression.pruning.sensitivity import Reading
from compression.recipe import STRUCTURED
from compression.registry import UserError

Point = tuple[float, float, float]
"""Of one layer: what a cut saves, the harm that it does, and the sparsity."""
Cost = Callable[[Mapping[str, float], float], float]
"""What an allocation costs, given the turn of the dial that sets the price."""


def by_sensitivity(ground: Ground) -> Family:
    r"""Spend the budget where it hurts least.

    .. math:: \min_s \sum_l D_l(s_l) - \lambda \sum_l V_l(s_l)

    D is how far a layer cut alone moves the answers, the mean KL divergence (the loss would be
    lost in the noise of few images); V is what the cut saves of what the budget counts and of
    the MACs, as shares of the model's, in balance. Each layer's curve is replaced by its
    envelope, the straight ways under it; pieces of all layers are taken in the order of their
    slope, which is the multiplier λ, and pieces of equal slope together. No layer goes beyond
    what was scanned.

    Source: Cai et al. 2020, "ZeroQ", section 3.3, arXiv 2001.00281 (divergence and frontier, there
    for bits); Shoham and Gersho 1988, "Efficient bit allocation", doi 10.1109/29.90373 (envelope).

    Raises:
        UserError: no readings of one of the layers.
    """
    order = _order(_points(ground))

    def family(dial: float) -> Sparsities:
        done = order.done(dial)
        found = dict.fromkeys(ground.most, 0.0)
        for piece, level in zip(order.pieces, order.level, strict=True):
            found[piece.layer] += float(done[level]) * piece.sparsity
        return ground.within(found)

    return family


def cost_by_sensitivity(ground: Ground) -> Cost:
    """What ``by_sensitivity`` makes small, by the readings themselves instead of their envelopes."""
    points = _points(ground)
    order = _order(points)
    curves = {layer: tuple(np.array(own).T) for layer, own in points.items()}

    def cost(sparsities: Mapping[str, float], dial: float) -> float:
        price = order.price(dial)
        return sum(
            float(np.interp(sparsities[layer], at, harm - price * saved)) for layer, (saved, harm, at) in curves.items()
        )

    return cost


@dataclass(frozen=True)
class _Piece:
    """A straight part of a layer's envelope: what it adds to its sparsity, saves and costs."""

    layer: str
    sparsity: float
    saved: float
    harm: float


@dataclass(frozen=True, eq=False)
class _Order:
    """The pieces of all layers, and by rising slope what the pieces of each slope save together."""

    pieces: list[_Piece]
    level: NDArray[np.int64]
    slopes: NDArray[np.float64]
    saved: NDArray[np.float64]

    def done(self, dial: float) -> NDArray[np.float64]:
        """How much of the pieces of each slope is taken."""
        ends = np.cumsum(self.saved)
        part: NDArray[np.float64] = np.clip((dial * ends[-1] - (ends - self.saved)) / self.saved, 0, 1)
        return part

    def price(self, dial: float) -> float:
        """The slope of the piece that is being taken: λ."""
        taken = int(np.count_nonzero(self.done(dial) >= 1))
        return float(self.slopes[min(taken, len(self.slopes) - 1)])


def _order(points: Mapping[str, Sequence[Point]]) -> _Order:
    pieces = [
        _Piece(layer, b[2] - a[2], b[0] - a[0], b[1] - a[1])
        for layer, own in points.items()
        for a, b in pairwise(_envelope(own))
    ]
    slopes = np.array([piece.harm / piece.saved for piece in pieces])
    slopes, level = np.unique(slopes.round(12), return_inverse=True)
    saved = np.zeros(len(slopes))
    for at, piece in zip(level, pieces, strict=True):
        saved[at] += piece.saved
    return _Order(pieces, level, slopes, saved)


def _points(ground: Ground) -> dict[str, list[Point]]:
    """Of each layer that may lose something the readings by rising saving, harm never less than before."""
    value = _value(ground)
    found: dict[str, list[Point]] = {}
    for layer in (name for name, most in ground.most.items() if most):
        own = sorted((r for r in ground.readings if r.layer == layer), key=lambda reading: reading.achieved)
        if not own:
            raise UserError(f"The sensitivity of layer '{layer}' has not been scanned; scan it, or lock the layer")
        points = found.setdefault(layer, [(0.0, 0.0, 0.0)])
        for reading in own:
            saved, harm = value(reading), max(points[-1][1], reading.divergence)
            if saved > points[-1][0]:
                points.append((saved, harm, reading.achieved))
    return found


def _value(ground: Ground) -> Callable[[Reading], float]:
    """What a cut saves, as a share of the model; zeros save no MACs, so that there is nothing to balance."""
    units = units_of(ground.model, ground.granularity, ground.groups)
    numbers, work = params(ground.model), macs(ground.model, ground.groups.input_shape)
    balance = ground.balance if ground.granularity in STRUCTURED else 0.0

    def value(reading: Reading) -> float:
        shares = {
            "units": reading.achieved * units[reading.layer] / sum(units.values()),
            "params": reading.params_saved / numbers,
            "macs": reading.macs_saved / work,
        }
        return (1 - balance) * shares[ground.currency] + balance * shares["macs"]

    return value


def _envelope(points: Sequence[Point]) -> list[Point]:
    """The points on the lower convex hull: left out is what lies on or above the way between two others."""
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull


def _turn(a: Point, b: Point, c: Point) -> float:
    """Greater than 0 where the way from a over b to c turns upwards."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
