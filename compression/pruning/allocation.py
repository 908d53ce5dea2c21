"""Allocation: how much of each layer goes, so that a budget for the whole model is met.

Every method is a family of allocations with one dial from 0, nothing goes, to 1, all goes that may;
the dial is turned until the budget is met.
"""

from __future__ import annotations

import numpy as np

from compression.pruning.ground import Family, Ground, Sparsities
from compression.pruning.oneshot import scores_of
from compression.pruning.spending import by_sensitivity
from compression.recipe import STRUCTURED, Prune, validated
from compression.registry import Method


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


ALLOCATIONS: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "sensitivity",
            "Sensitivity",
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
