r"""How important a unit is, by its weights alone or by what training images show of them.

A layer is a matrix w_UN, units × weights of each, and every function here turns it into U
scores; the lowest fall. Sums are divided by N, so that a score is on the scale of a single
weight and layers of different fan-in can be compared. What estimates a change of the loss
stays a sum, since losses add up.

Shapes: U units, N weights in each, B BatchNorm layers. In formulas :math:`\theta_s` are the
parameters that go with a unit (its weights, its bias, γ and β of its BatchNorm), and
:math:`g_s` is the gradient of the loss for each, the mean over the images.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from compression.registry import UserError


@dataclass(frozen=True, eq=False)
class Units:
    """The units of one layer, or of several coupled ones, as a criterion sees them.

    Attributes:
        weights_UN: a row for each unit, on the CPU; for criteria that go by gradients its bias
            and its BatchNorm's γ and β are among them.
        scales_BU: the γ of each BatchNorm that follows; None where there is none.
        name: the layer's name, which the random control draws from.
        seed: of the random control.
        seen_UN: what training images show of each weight, as the criterion needs it; None where
            it looks at the weights alone.
    """

    weights_UN: Tensor
    scales_BU: Tensor | None = None
    name: str = ""
    seed: int = 0
    seen_UN: Tensor | None = None


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
            "which has none; choose another criterion"
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


def snip(units: Units) -> Tensor:
    r"""Gradient sensitivity, :math:`\sum_s |\theta_s g_s|`: U scores; of single weights :math:`|w g|`.

    The paper divides by the sum over all weights, which changes no order.

    Source: Lee et al. 2019, arXiv 1810.02340.
    """
    return (units.weights_UN * _seen(units)).abs().sum(1)


def taylor(units: Units) -> Tensor:
    r"""First-order change of the loss, :math:`|\sum_s \theta_s g_s|`: U scores; of single weights those of ``snip``.

    What lowers the loss and what raises it cancel within a unit, since all of it goes at once.
    The paper squares the sum, which changes no order.

    Source: Molchanov et al. 2019, arXiv 1906.10771.
    """
    return (units.weights_UN * _seen(units)).sum(1).abs()


def fisher(units: Units) -> Tensor:
    r"""Second-order change of the loss, :math:`\frac12 \sum_s \mathbb{E}[g_s^2]\, \theta_s^2`: U scores.

    At a minimum the first order vanishes; the Hessian's diagonal is estimated by the mean of
    the squared gradients of single images (the empirical Fisher information).

    Source: LeCun et al. 1990, Optimal brain damage; Theis et al. 2018, arXiv 1801.05787.
    """
    # In float64, since squares of small gradients times squares of small weights fade away.
    scores: Tensor = (units.weights_UN.double().square() * _seen(units)).sum(1) / 2
    return scores


def movement(units: Units) -> Tensor:
    r"""What fine-tuning gave, :math:`-\sum_t \sum_s \theta_s^{(t)} g_s^{(t)}`: U scores, below 0 towards zero.

    Units whose weights are all zero score lowest, so that what is pruned stays pruned.

    Source: Sanh et al. 2020, arXiv 2005.07683.
    """
    return _seen(units).sum(1).masked_fill((units.weights_UN == 0).all(1), -torch.inf)


def wanda(units: Units) -> Tensor:
    r"""Weight times what it reads, :math:`|w_{ij}| \cdot \lVert x_j \rVert_2 / \sqrt{n}`: U scores.

    The norm of input feature or channel j is taken over all n values that the images give it;
    dividing by their root makes layers of different resolution comparable. The paper compares
    the weights of one output with each other; here the scope says what is compared, layer or
    model, and an N:M pattern always compares within one output.

    Source: Sun et al. 2023, equation 1, arXiv 2306.11695.
    """
    return _mean(units.weights_UN.abs() * _seen(units))


def apoz(units: Units) -> Tensor:
    r"""One minus the average percentage of zeros after the activation: U scores in [0, 1].

    Of coupled layers the mean, in proportion to their weights.

    Source: Hu et al. 2016, equation 1, arXiv 1607.03250.
    """
    return _mean(_seen(units))


def _seen(units: Units) -> Tensor:
    if units.seen_UN is None:
        raise UserError(f"Layer '{units.name}' is to be ranked by what training images show, and none were shown")
    return units.seen_UN


def _mean(values_UN: Tensor) -> Tensor:
    return values_UN.squeeze(1) if values_UN.shape[1] == 1 else values_UN.mean(1)
