"""What is unimportant and what is removed: two of the axes of pruning, as tables of cards.

Everything that can be removed is a *unit* of a layer: one weight, one k×k kernel, one row,
one channel. A layer is then a matrix w_UN, units × weights of each, and a criterion turns it
into U scores; the lowest fall. Sums are divided by N, so that a score is on the scale of a
single weight and layers of different fan-in can be compared.

Shapes: U units, N weights in each, B BatchNorm layers.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from compression.recipe import Prune, fixed_sparsity
from compression.registry import Method, UserError, pick, unknown


@dataclass(frozen=True, eq=False)
class Units:
    """The units of one layer, or of several coupled ones, as a criterion sees them.

    Attributes:
        weights_UN: a row for each unit, on the CPU.
        scales_BU: the γ of each BatchNorm that follows; None where there is none.
        name: the layer's name, which the random control draws from.
        seed: of the random control.
    """

    weights_UN: Tensor
    scales_BU: Tensor | None = None
    name: str = ""
    seed: int = 0


def magnitude(units: Units) -> Tensor:
    r"""Mean absolute weight, :math:`\frac{1}{N}\lVert w_i \rVert_1`: U scores.

    Source: Han et al. 2015, arXiv 1506.02626 (weights); Li et al. 2017, arXiv 1608.08710 (filters).
    """
    return _mean(units.weights_UN.abs())


def l2(units: Units) -> Tensor:
    r"""Root mean square weight, :math:`\lVert w_i \rVert_2 / \sqrt{N}`: U scores; |w| where N = 1.

    Source: He et al. 2018, arXiv 1808.06866.
    """
    w_UN = units.weights_UN
    return w_UN.abs().squeeze(1) if w_UN.shape[1] == 1 else _mean(w_UN.square()).sqrt()


def random(units: Units) -> Tensor:
    """Uniform numbers from the seed and the layer's name: U scores.

    The other layers of the model do not change them, and a higher sparsity removes the same
    units and more.

    Source: Mittal et al. 2018, arXiv 1801.10447.
    """
    key = zlib.crc32(f"{units.seed}:{units.name}".encode())
    return torch.rand(units.weights_UN.shape[0], generator=torch.Generator().manual_seed(key))


def lamp(units: Units) -> Tensor:
    r"""Layer-adaptive magnitude, :math:`s_i^2 / \sum_{j:\, s_j \ge s_i} s_j^2`: U scores in (0, 1].

    The order within a layer is that of the L2 norm. Equal norms count in order of position,
    as in the paper. A layer of zeros scores 0.

    Source: Lee et al. 2021, equation 3, arXiv 2010.07611.
    """
    norm_U = l2(units).float().numpy()
    # The bits of a float that is not negative sort as the float does. With the position below
    # them, one fast sort of integers gives order and values, four times sooner than argsort.
    key_U = norm_U.view(np.int32).astype(np.int64) << 32
    key_U |= np.arange(len(norm_U))
    key_U.sort()
    square_U = (key_U >> 32).astype(np.int32).view(np.float32).astype(np.float64) ** 2
    tail_U = np.cumsum(square_U[::-1])[::-1]
    score_U = np.empty(len(norm_U))
    score_U[key_U & 0xFFFFFFFF] = np.divide(square_U, tail_U, out=np.zeros_like(tail_U), where=tail_U > 0)
    return torch.from_numpy(score_U)


def batchnorm(units: Units) -> Tensor:
    r"""Absolute BatchNorm scale, :math:`|\gamma_i|`, the mean over coupled layers: U scores.

    Source: Liu et al. 2017 (Network Slimming), arXiv 1708.06519.

    Raises:
        UserError: no BatchNorm follows the layer.
    """
    if units.scales_BU is None:
        raise UserError(
            f"criterion 'batchnorm' needs a BatchNorm with a scale after layer '{units.name}', "
            f"which has none; choose one of: {', '.join(key for key in CRITERIA if key != 'batchnorm')}"
        )
    return units.scales_BU.abs().mean(0)


def median(units: Units) -> Tensor:
    r"""Mean distance to the other units: U scores.

    .. math:: \frac{1}{U\sqrt{N}} \sum_j \lVert w_i - w_j \rVert_2

    What lies nearest to the geometric median of its layer is best replaced by the others.

    Source: He et al. 2019 (FPGM), equation 4, arXiv 1811.00250.
    """
    # In float64, since |a|² + |b|² - 2ab loses half its digits where a and b are nearly equal.
    w_UN = units.weights_UN.double()
    square_U = w_UN.square().sum(1)
    distance_UU = (square_U[:, None] + square_U - 2 * w_UN @ w_UN.T).clamp_(min=0).sqrt_()
    scores: Tensor = (distance_UU.mean(1) / math.sqrt(w_UN.shape[1])).float()
    return scores


def _mean(values_UN: Tensor) -> Tensor:
    return values_UN.squeeze(1) if values_UN.shape[1] == 1 else values_UN.mean(1)


def single_weights(weight: Tensor) -> Tensor:
    """Every weight a unit: n×1."""
    return weight.reshape(-1, 1)


def kernels(weight: Tensor) -> Tensor:
    """Every k×k slice of a convolution O×I×k×k a unit: OI×kk."""
    return weight.flatten(0, 1).flatten(1)


def filters(weight: Tensor) -> Tensor:
    """All weights that make one output a unit: O×rest."""
    return weight.flatten(1)


CRITERIA: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "magnitude",
            "Magnitude (L1)",
            "Small weights matter little: rank by absolute value, and units by its mean.",
            r"s_i = \tfrac{1}{N}\lVert w_i \rVert_1",
            "Han et al. 2015, arXiv 1506.02626; filters: Li et al. 2017, arXiv 1608.08710",
            magnitude,
        ),
        Method(
            "l2",
            "L2 norm",
            "Rank units by their root mean square, which a few large weights lift; single weights as above.",
            r"s_i = \tfrac{1}{\sqrt{N}}\lVert w_i \rVert_2",
            "He et al. 2018, Soft filter pruning, arXiv 1808.06866",
            l2,
        ),
        Method(
            "random",
            "Random (control)",
            "Remove blindly: what any criterion has to beat to be worth its name.",
            r"s_i \sim \mathcal{U}(0, 1)",
            "Mittal et al. 2018, Recovering from random pruning, arXiv 1801.10447",
            random,
        ),
        Method(
            "lamp",
            "LAMP",
            "Magnitude as a share of what its layer would still hold, so that no layer is emptied first.",
            r"s_i = \frac{w_i^2}{\sum_{j:\,|w_j| \ge |w_i|} w_j^2}",
            "Lee et al. 2021, Layer-adaptive sparsity for magnitude-based pruning, arXiv 2010.07611",
            lamp,
        ),
        Method(
            "batchnorm",
            "BatchNorm scale",
            "A channel that its BatchNorm multiplies by nearly nothing passes nearly nothing on.",
            r"s_i = |\gamma_i|",
            "Liu et al. 2017, Network slimming, arXiv 1708.06519",
            batchnorm,
            needs=("batchnorm",),
        ),
        Method(
            "median",
            "Geometric median",
            "A filter amid the others of its layer is the one that they can best stand in for.",
            r"s_i = \tfrac{1}{U\sqrt{N}}\sum_{j} \lVert w_i - w_j \rVert_2",
            "He et al. 2019, Filter pruning via geometric median, arXiv 1811.00250",
            median,
        ),
    )
}
"""What is unimportant: ``call`` takes ``Units`` to U scores, and the lowest fall."""

_N_OF_M = (
    r"\lVert w_{Mg \ldots Mg+M-1} \rVert_0 \le N",
    "Mishra et al. 2021, Accelerating sparse deep neural networks, arXiv 2104.08378",
)

GRANULARITIES: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "weights",
            "Single weights",
            "Any weight may go: keeps the most accuracy, and makes files smaller but nothing faster.",
            r"w \leftarrow m \odot w,\; m \in \{0, 1\}^{O \times I \times k \times k}",
            "Han et al. 2015, Learning both weights and connections, arXiv 1506.02626",
            single_weights,
        ),
        Method(
            "2:4",
            "2 of 4 weights",
            "Of every four weights along the inputs two stay: the pattern that GPU tensor cores can skip.",
            *_N_OF_M,
            single_weights,
        ),
        Method(
            "1:4",
            "1 of 4 weights",
            "Of every four weights along the inputs one stays.",
            _N_OF_M[0],
            "Zhou et al. 2021, Learning N:M fine-grained structured sparse networks, arXiv 2102.04010",
            single_weights,
        ),
        Method(
            "4:8",
            "4 of 8 weights",
            "Of every eight weights along the inputs four stay: half, with more freedom than 2:4.",
            _N_OF_M[0],
            "Hubara et al. 2021, Accelerated sparse neural training, arXiv 2102.08124",
            single_weights,
        ),
        Method(
            "rows",
            "Rows (neurons)",
            "Whole hidden units of linear layers are cut out, and the next layer's inputs with them.",
            r"W \in \mathbb{R}^{O \times I} \to \mathbb{R}^{O' \times I}",
            "Srinivas and Babu 2015, Data-free parameter pruning, arXiv 1507.06149",
            filters,
            needs=("hidden linear layers",),
        ),
        Method(
            "kernels",
            "Kernels",
            "Whole k×k slices of convolutions become zero: one filter no longer sees one input.",
            r"W_{oi} \leftarrow m_{oi} W_{oi},\; m \in \{0, 1\}^{O \times I}",
            "Mao et al. 2017, Exploring the regularity of sparse structure, arXiv 1705.08922",
            kernels,
            needs=("convolutions",),
        ),
        Method(
            "channels",
            "Channels (filters)",
            "Whole channels are cut out of convolutions and of all that is coupled to them: really faster.",
            r"W \in \mathbb{R}^{O \times I \times k^2} \to \mathbb{R}^{O' \times I' \times k^2}",
            "Li et al. 2017, arXiv 1608.08710; coupled layers: Fang et al. 2023 (DepGraph), arXiv 2301.12900",
            filters,
            needs=("convolutions",),
        ),
    )
}
"""What is removed: ``call`` takes a weight tensor to its units w_UN."""

_FITTING: dict[str, tuple[str, ...]] = {
    "weights": ("magnitude", "l2", "random", "lamp"),
    "kernels": ("magnitude", "l2", "random", "lamp"),
    "rows": tuple(CRITERIA),
    "channels": tuple(CRITERIA),
}
ABSOLUTE: tuple[str, ...] = ("magnitude", "l2", "batchnorm", "median")
"""The criteria whose scores are sizes of weights, so that a threshold means something."""


def allowed(granularity: str) -> tuple[str, ...]:
    """The criteria that can rank the units of a granularity.

    Within the M weights of an N:M pattern LAMP orders as magnitude does, so it is left out.

    Raises:
        UserError: unknown granularity.
    """
    pick(GRANULARITIES, granularity, "granularity")
    if fixed_sparsity(granularity) is not None:
        return ("magnitude", "l2", "random")
    return _FITTING[granularity]


def check(stage: Prune) -> None:
    """Raise UserError, one line, where the settings of a stage contradict each other."""
    fitting = allowed(stage.granularity)
    if stage.criterion not in fitting:
        raise UserError(
            f"criterion '{stage.criterion}' cannot rank {stage.granularity}; choose one of: {', '.join(fitting)}"
        )
    if stage.threshold is not None and stage.criterion not in ABSOLUTE:
        fitting = tuple(key for key in ABSOLUTE if key in fitting)
        raise UserError(
            f"threshold is {stage.threshold:g}, but the scores of criterion '{stage.criterion}' are not "
            f"sizes of weights; give sparsity, or choose one of: {', '.join(fitting)}"
        )


def check_layers(overrides: dict[str, float], layers: tuple[str, ...]) -> None:
    """Raise UserError when an override names a layer that is not among ``layers``."""
    for name in overrides:
        if name not in layers:
            raise UserError(unknown("layer in overrides", name, layers))
