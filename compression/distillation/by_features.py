"""Losses that compare what two networks show at matched stages.

All take both views, the labels and the temperature, which none of them uses, and give the
mean over the batch.

Shapes: B images, D units, C channels, H×W positions, P pairs of images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.distillation.views import View, exact, fixed, pooled, squared, unit
from compression.registry import UserError


def hint(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Mean squared difference from the teacher's features, :math:`\frac{1}{CHW} \lVert r(F^s) - F^t \rVert_2^2`.

    r is a regressor that learns with the student. The mean over all matched stages.

    Source: Romero et al. 2015 (FitNets), equation 3, arXiv 1412.6550.
    """
    return _mean([F.mse_loss(*_same_size(_map(s), _map(t))) for s, t in _stages("hint", student, teacher)])


def attention(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Squared distance of normalised attention maps, :math:`\lVert \hat Q^s - \hat Q^t \rVert_2^2`, in [0, 2].

    Q is the mean over channels of the squared activations, at every position; scaled to length 1
    it says where a network looks. The mean over the matched stages that are maps in both
    networks; vectors have no positions and are left out.

    Source: Zagoruyko and Komodakis 2017, equation 2, arXiv 1612.03928.
    """
    parts = []
    for s, t in _stages("attention", student, teacher):
        if s.dim() == t.dim() == 4:
            s_BHW, t_BHW = _same_size(s.square().mean(1, keepdim=True), t.square().mean(1, keepdim=True))
            parts.append(squared(unit(s_BHW.flatten(1)), unit(t_BHW.flatten(1))))
    if not parts:
        raise UserError("attention transfer compares maps, but no matched stage is a map in both networks")
    return _mean(parts)


def rkd_distance(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Huber loss of distances between images, :math:`l_\delta(\lVert f_i - f_j \rVert / \mu)` over pairs i ≠ j.

    f is the last matched stage, μ the mean distance in the batch. One image has no distance: 0.

    Source: Park et al. 2019, section 3.2, arXiv 1904.05068.
    """
    s_BD, t_BD = _last("rkd_distance", student, teacher)
    if len(s_BD) < 2:
        return s_BD.sum() * 0
    s_P, t_P = F.pdist(s_BD), F.pdist(t_BD)
    return F.smooth_l1_loss(over_mean(s_P), over_mean(t_P))


def rkd_angle(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Huber loss of the angles that images form, :math:`l_\delta(\cos \angle f_i f_j f_k)` over distinct triples.

    f is the last matched stage. Fewer than three images have no angle: 0. Takes memory for B²D
    and B³ numbers.

    Source: Park et al. 2019, section 3.2, arXiv 1904.05068.
    """
    s_BD, t_BD = _last("rkd_angle", student, teacher)
    n = len(s_BD)
    if n < 3:
        return s_BD.sum() * 0
    same = torch.eye(n, dtype=torch.bool, device=s_BD.device)
    distinct_BBB = ~(same[:, :, None] | same[:, None, :] | same[None, :, :])
    return F.smooth_l1_loss(cosines(s_BD)[distinct_BBB], cosines(t_BD)[distinct_BBB])


def similarity(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Squared distance of the similarities of images, :math:`\frac{1}{B^2} \lVert \hat G^s - \hat G^t \rVert_F^2`.

    G = F Fᵀ holds the products of every two images' features at the last matched stage; its
    rows are scaled to length 1.

    Source: Tung and Mori 2019, arXiv 1907.09682.
    """
    s_BD, t_BD = _last("similarity", student, teacher)
    return F.mse_loss(unit(s_BD @ s_BD.T), unit(t_BD @ t_BD.T))


def fsp(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Mean squared difference of the flow from each matched stage to the next.

    .. math:: \frac{1}{CC'} \lVert G^s - G^t \rVert_F^2, \quad G = \frac{1}{HW} \sum_{h,w} F_{hw} F'^{\top}_{hw}

    G is C×C'; of the two maps of a network the larger is averaged to the size of the smaller.
    The mean is over consecutive stages.

    Source: Yim et al. 2017, equations 1 and 2, CVPR.
    """
    pairs = _stages("fsp", student, teacher)
    if len(pairs) < 2:
        raise UserError(f"fsp compares what flows between matched stages and needs two; there is {len(pairs)}")
    flows = []
    for (s1, t1), (s2, t2) in zip(pairs, pairs[1:], strict=False):
        flows.append(F.mse_loss(flow(s1, s2), flow(t1, t2)))
    return _mean(flows)


def _stages(method: str, student: View, teacher: View) -> list[tuple[Tensor, Tensor]]:
    """The matched features in full precision, the teacher's without a gradient."""
    mine, theirs = len(student.features), len(teacher.features)
    if mine != theirs or not mine:
        raise UserError(f"{method} compares matched stages; the student shows {mine} and the teacher {theirs}")
    return [(exact(s), fixed(t)) for s, t in zip(student.features, teacher.features, strict=True)]


def _last(method: str, student: View, teacher: View) -> tuple[Tensor, Tensor]:
    """The last matched features, each B×D: what their widths are does not matter."""
    s, t = _stages(method, student, teacher)[-1]
    return s.flatten(1), t.flatten(1)


def _map(features: Tensor) -> Tensor:
    """B×C×H×W; a vector is a map of one position."""
    return features if features.dim() == 4 else features[:, :, None, None]


def _same_size(a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps averaged to the smaller of their heights and widths."""
    return pooled(a_BCHW, b_BCHW.shape[2:]), pooled(b_BCHW, a_BCHW.shape[2:])


def over_mean(distance_P: Tensor) -> Tensor:
    """Distances as multiples of their mean; all zero where the images are all alike."""
    mean = distance_P.mean()
    return distance_P / mean.masked_fill(mean == 0, torch.inf)


def cosines(features_BD: Tensor) -> Tensor:
    """B×B×B: at [j, i, k] the cosine of the angle at j between i and k, 0 where j lies on one of them."""
    to_BBD = unit(features_BD[None] - features_BD[:, None])
    return to_BBD @ to_BBD.mT


def flow(first: Tensor, second: Tensor) -> Tensor:
    """B×C×C': the products of two stages' channels, the mean over positions."""
    a_BCHW, b_BCHW = _same_size(_map(first), _map(second))
    return a_BCHW.flatten(2) @ b_BCHW.flatten(2).mT / a_BCHW[0, 0].numel()


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean()
