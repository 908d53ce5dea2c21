"""Allocation: how much of each layer goes, so that a budget for the whole model is met.

Every method is a family of allocations with one dial from 0, nothing goes, to 1, all goes that may;
the dial is turned until the budget is met.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch import nn

from compression.measure import macs, params
from compression.pruning.costs import units_of
from compression.pruning.oneshot import scores_of
from compression.pruning.sensitivity import Reading
from compression.pruning.surgery import Groups
from compression.recipe import STRUCTURED, Prune, validated
from compression.registry import Method, UserError, unknown

Sparsities = dict[str, float]
Family = Callable[[float], Sparsities]
Point = tuple[float, float, float]
"""Of one layer: what a cut saves, the harm that it does, and the sparsity."""


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


def uniform(ground: Ground) -> Family:
    """The same fraction of every layer."""
    return lambda dial: ground.within(dict.fromkeys(ground.most, dial))


def global_magnitude(ground: Ground) -> Family:
    """All units compete by magnitude: of the whole pool those that score lowest go.

    Source: Han et al. 2015, arXiv 1506.02626.
    """
    return _competing(ground, "magnitude")


def lamp(ground: Ground) -> Family:
    """All units compete by their LAMP score, which no layer can lose entirely.

    Source: Lee et al. 2021, "Layer-adaptive sparsity for the magnitude-based pruning",
    arXiv 2010.07611.
    """
    return _competing(ground, "lamp")


def _competing(ground: Ground, criterion: str) -> Family:
    stage = validated(Prune, {"granularity": ground.granularity, "criterion": criterion, "sparsity": 0.5})
    scores = scores_of(ground.model, stage, ground.groups.input_shape, groups=ground.groups)
    ordered = {name: np.sort(scores[name].numpy()) for name, most in ground.most.items() if most}
    pool = np.sort(np.concatenate(list(ordered.values())))

    def family(dial: float) -> Sparsities:
        count = round(dial * pool.size)
        if not count:
            return ground.within({})
        lowest = {name: np.searchsorted(values, pool[count - 1], "right") for name, values in ordered.items()}
        return ground.within({name: float(lowest[name]) / values.size for name, values in ordered.items()})

    return family


def erk(ground: Ground) -> Family:
    r"""Erdős–Rényi-kernel: a layer's density is proportional to the sum of its sides over their product.

    .. math:: 1 - s_l = \min\left(1, \epsilon\,
        \frac{n_{in} + n_{out} + k_h + k_w}{n_{in} \cdot n_{out} \cdot k_h \cdot k_w}\right)

    Coupled layers, which lose the same units, count as one.

    Source: Evci et al. 2020, "Rigging the lottery", section 3, arXiv 1911.11134.
    """
    groups = ground.groups.cuttable(ground.granularity) if ground.granularity in STRUCTURED else {}
    raw = {}
    for name in ground.most:
        makers = groups[name].layers if name in groups else (name,)
        weights = [ground.model.get_parameter(f"{maker}.weight") for maker in makers]
        raw[name] = sum(sum(weight.shape) for weight in weights) / sum(weight.numel() for weight in weights)
    densest = max(1 / value for value in raw.values())
    return lambda dial: ground.within({name: 1 - (1 - dial) * densest * value for name, value in raw.items()})


def by_sensitivity(ground: Ground) -> Family:
    r"""Spend the budget where it hurts least.

    .. math:: \min_s \sum_l D_l(s_l) - \lambda \sum_l V_l(s_l)

    D is how far a layer cut alone moves the answers, the mean KL divergence (the loss would be
    lost in the noise of few images); V is what the cut saves of what the budget counts and of
    the MACs, as shares of the model's, in balance. Each layer's curve is replaced by its envelope, the straight ways
    under it; pieces of all layers are taken in the order of their slope, which is the
    multiplier λ, and pieces of equal slope together. No layer goes beyond what was scanned.

    Source: Cai et al. 2020, "ZeroQ", section 3.3, arXiv 2001.00281 (divergence and frontier, there
    for bits); Shoham and Gersho 1988, "Efficient bit allocation", doi 10.1109/29.90373 (envelope).

    Raises:
        UserError: no readings of one of the layers.
    """
    value = _value(ground)
    pieces = [piece for name, most in ground.most.items() if most for piece in _pieces(ground, name, value)]
    slopes = np.array([piece.slope for piece in pieces])
    levels, place = np.unique(slopes.round(12), return_inverse=True)
    saved = np.bincount(place, [piece.saved for piece in pieces], len(levels))
    ends = np.cumsum(saved)

    def family(dial: float) -> Sparsities:
        done = np.clip((dial * ends[-1] - (ends - saved)) / saved, 0, 1)
        found = dict.fromkeys(ground.most, 0.0)
        for piece, level in zip(pieces, place, strict=True):
            found[piece.layer] += float(done[level]) * piece.sparsity
        return ground.within(found)

    return family


@dataclass(frozen=True)
class _Piece:
    """A straight part of a layer's envelope: what it adds to its sparsity, saves and costs."""

    layer: str
    sparsity: float
    saved: float
    harm: float

    @property
    def slope(self) -> float:
        return self.harm / self.saved


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


def _pieces(ground: Ground, layer: str, value: Callable[[Reading], float]) -> list[_Piece]:
    """The envelope of one layer's curve of harm, never less than at a lower sparsity, against what is saved."""
    own = sorted((r for r in ground.readings if r.layer == layer), key=lambda reading: reading.achieved)
    if not own:
        raise UserError(f"The sensitivity of layer '{layer}' has not been scanned; scan it first, or lock the layer")
    harm = np.maximum.accumulate([reading.divergence for reading in own])
    points: list[Point] = [(0.0, 0.0, 0.0)]
    for reading, added in zip(own, harm.tolist(), strict=True):
        saved = value(reading)
        if saved > points[-1][0]:
            points.append((saved, added, reading.achieved))
    return [_Piece(layer, b[2] - a[2], b[0] - a[0], b[1] - a[1]) for a, b in pairwise(_envelope(points))]


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


ALLOCATIONS: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "sensitivity",
            "By sensitivity",
            "Spend the budget where the scan says that it hurts least, at one price of harm for all layers.",
            r"\min_{s} \textstyle\sum_l D_l(s_l) - \lambda \sum_l V_l(s_l)",
            "Cai et al. 2020, ZeroQ, arXiv 2001.00281; envelope: Shoham and Gersho 1988, doi 10.1109/29.90373",
            by_sensitivity,
            needs=("a scan",),
        ),
        Method(
            "uniform",
            "Uniform",
            "Every layer loses the same fraction: the simplest thing, and the control.",
            r"s_l = s",
            "Zhu and Gupta 2017, To prune, or not to prune, arXiv 1710.01878",
            uniform,
        ),
        Method(
            "global",
            "Global magnitude",
            "All units of the model compete by magnitude, so that layers with many small ones give more.",
            r"s_l = \tfrac{1}{n_l} |\{i \in l : |w_i| < t\}|",
            "Han et al. 2015, Learning both weights and connections, arXiv 1506.02626",
            global_magnitude,
        ),
        Method(
            "lamp",
            "LAMP",
            "All units compete by magnitude as a share of what their layer would still hold.",
            r"s_l = \tfrac{1}{n_l} |\{i \in l : w_i^2 / \textstyle\sum_{j:\,|w_j| \ge |w_i|} w_j^2 < t\}|",
            "Lee et al. 2021, Layer-adaptive sparsity for magnitude-based pruning, arXiv 2010.07611",
            lamp,
        ),
        Method(
            "erk",
            "Erdős–Rényi-kernel",
            "Layers with many inputs and outputs are made sparser than small ones, whatever their weights are.",
            r"1 - s_l \propto \frac{n_{in} + n_{out} + k_h + k_w}{n_{in} \cdot n_{out} \cdot k_h \cdot k_w}",
            "Evci et al. 2020, Rigging the lottery, arXiv 1911.11134",
            erk,
        ),
    )
}
"""How a budget is spread: ``call`` takes a ``Ground`` to a family of allocations, one for each turn of its dial."""


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
