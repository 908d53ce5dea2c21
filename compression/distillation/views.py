"""What a network shows of a batch, and the arithmetic that the losses share.

Shapes: B images, K classes, D units, C channels, H×W positions; ``…`` any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class View:
    """What one network shows of a batch.

    Attributes:
        logits: B×K.
        features: the outputs of its matched stages in order, each B×C×H×W or B×D. Where the
            method needs regressors, the student's have passed them, and have the teacher's C or D.
    """

    logits: Tensor
    features: tuple[Tensor, ...] = ()


def exact(values: Tensor) -> Tensor:
    """In float32, or in float64 where they are so already."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def fixed(values: Tensor) -> Tensor:
    """In full precision, and cut from the graph: nothing flows back into the teacher."""
    return exact(values.detach())


def pooled(map_BCHW: Tensor, largest: Sequence[int]) -> Tensor:
    """A map averaged to at most this height and width; itself where it is no larger."""
    height, width = (min(sides) for sides in zip(map_BCHW.shape[2:], largest, strict=True))
    return map_BCHW if map_BCHW.shape[2:] == (height, width) else F.adaptive_avg_pool2d(map_BCHW, (height, width))


def squared(a_ND: Tensor, b_ND: Tensor) -> Tensor:
    """Squared distance of rows, the mean over rows."""
    return (a_ND - b_ND).square().sum(1).mean()


def unit(values: Tensor) -> Tensor:
    """Scaled to length 1 along the last dimension; zeros stay zeros, and get no gradient."""
    length = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    scaled: Tensor = values / length.masked_fill(length == 0, torch.inf)
    return scaled


def standard(values: Tensor) -> Tensor:
    """Mean 0 and length 1 along the last dimension; what is constant becomes zeros, and gets no gradient.

    Constant means: the deviations are within what rounding makes of equal numbers. Divided by
    their own length they would be noise as large as any signal, and its gradient larger still.
    """
    centred = values - values.mean(-1, keepdim=True)
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    rounding = 8 * torch.finfo(values.dtype).eps * torch.linalg.vector_norm(values.detach(), dim=-1, keepdim=True)
    scaled: Tensor = centred / length.masked_fill(length <= rounding, torch.inf)
    return scaled
