"""When weights go: schedules from the progress of a training to a sparsity.

Every schedule is a function of the progress p in [0, 1] and the final sparsity S; ``renewals``
turns it into the moments at which masks are made anew.
"""

from __future__ import annotations

import math

from compression.recipe import Gradual
from compression.registry import Method, pick

STEEPNESS, OFFSET = 14.0, 5.0
"""Of the one-cycle schedule, as its paper sets them."""


def one_shot(progress: float, final: float) -> float:
    """The whole sparsity at once, then training alone."""
    return final


def linear(progress: float, final: float) -> float:
    """S·p: the same number of weights each time."""
    return final * progress


def geometric(progress: float, final: float) -> float:
    """1 - (1 - S)^p: each time the same fraction of the weights that are left."""
    return 1.0 - float((1 - final) ** progress)


def cubic(progress: float, final: float) -> float:
    """S·(1 - (1 - p)³): fast while there is much to spare, slow towards the end."""
    return final * (1 - (1 - progress) ** 3)


def one_cycle(progress: float, final: float) -> float:
    """S·(1 + e^(-α+β)) / (1 + e^(-αp+β)): slow, fast, slow, along a logistic curve."""
    return final * (1 + math.exp(OFFSET - STEEPNESS)) / (1 + math.exp(OFFSET - STEEPNESS * progress))


def dense_sparse_dense(progress: float, final: float) -> float:
    """S in the middle third alone: what was pruned comes back, from zero, and learns again."""
    return final if 1 / 3 < progress <= 2 / 3 else 0.0


SCHEDULES: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "one_shot",
            "One shot",
            "Everything goes at once; the training afterwards has to heal it.",
            r"s(p) = S",
            "Li et al. 2017, Pruning filters for efficient ConvNets, arXiv 1608.08710",
            one_shot,
        ),
        Method(
            "linear",
            "Iterative, equal steps",
            "Prune a little, fine-tune, and again: each round takes the same number of weights.",
            r"s(p) = S \, p",
            "Han et al. 2015, Learning both weights and connections, arXiv 1506.02626",
            linear,
        ),
        Method(
            "geometric",
            "Iterative, equal fractions",
            "Prune a little, fine-tune, and again: each round takes the same fraction of what is left.",
            r"s(p) = 1 - (1 - S)^p",
            "Frankle and Carbin 2019, The lottery ticket hypothesis, arXiv 1803.03635",
            geometric,
        ),
        Method(
            "cubic",
            "Gradual (AGP)",
            "Sparsity rises while training goes on: fast while there is much to spare, slow towards the end.",
            r"s(p) = S \left(1 - (1 - p)^3\right)",
            "Zhu and Gupta 2017, To prune, or not to prune, equation 1, arXiv 1710.01878",
            cubic,
        ),
        Method(
            "one_cycle",
            "One cycle",
            "Sparsity follows one smooth rise through the whole training: slow, fast, slow.",
            r"s(p) = S \, \frac{1 + e^{-\alpha + \beta}}{1 + e^{-\alpha p + \beta}},\; \alpha = 14,\; \beta = 5",
            "Hubens et al. 2022, One-cycle pruning, arXiv 2107.02086",
            one_cycle,
        ),
        Method(
            "dense_sparse_dense",
            "Dense, sparse, dense",
            "A sparse middle regularises; in the end all weights are back, and accuracy is the aim, not size.",
            r"s(p) = S \; [\tfrac13 < p \le \tfrac23]",
            "Han et al. 2017, DSD: dense-sparse-dense training, arXiv 1607.04381",
            dense_sparse_dense,
        ),
    )
}
"""When weights go: ``call`` takes progress and final sparsity to a sparsity."""


def sparsity_at_progress(schedule: str, progress: float, final: float) -> float:
    """The sparsity that a schedule asks at a progress in [0, 1]. Raises UserError for an unknown schedule."""
    return float(pick(SCHEDULES, schedule, "schedule").call(progress, final))


def renewals(stage: Gradual) -> tuple[tuple[float, float], ...]:
    """When masks are renewed and to which sparsity: pairs of a fraction of the training and a sparsity.

    Part i of n begins at ``end · (i - 1) / n`` with the schedule's value at i / n.
    """
    n = stage.rounds
    return tuple(
        (stage.end * i / n, sparsity_at_progress(stage.schedule, (i + 1) / n, stage.sparsity or 0.0)) for i in range(n)
    )
