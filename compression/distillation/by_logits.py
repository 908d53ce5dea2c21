"""Losses that compare a student's logits with its teacher's.

All take both views, the labels and the temperature, whether or not they use them, and give the
mean over the batch.

Shapes: B images, K classes, R = K - 1 classes other than the true one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.distillation.softening import check_temperature
from compression.distillation.views import View, exact, fixed, squared, standard
from compression.registry import UserError

DKD_ALPHA, DKD_BETA = 1.0, 8.0
"""Weights of the two parts of decoupled distillation, as in the paper's CIFAR-100 runs."""


def soft_targets(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Divergence from the teacher's softened distribution, :math:`T^2\, KL(p^t_T \Vert p^s_T)`.

    The factor T² keeps its gradient on one scale at all temperatures.

    Source: Hinton et al. 2015, section 2, arXiv 1503.02531.
    """
    s_BK, t_BK = _softened(student, teacher, temperature)
    return _divergence(s_BK, t_BK) * temperature**2


def logits(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Half the squared difference of the logits, :math:`\frac{1}{2K} \lVert z^s - z^t \rVert_2^2`; T is not used.

    The paper does not divide by K. Here it is done, since soft targets become this, up to a
    shift of an image's logits, as T grows (Hinton et al. 2015, equation 4).

    Source: Ba and Caruana 2014, arXiv 1312.6184.
    """
    s_BK, t_BK = _logits(student, teacher)
    return F.mse_loss(s_BK, t_BK) / 2


def dkd(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Target and non-target knowledge apart, :math:`T^2(\alpha\, TCKD + \beta\, NCKD)`, α = 1, β = 8.

    TCKD is the divergence of "the true class or not", NCKD that of the distributions over the
    other classes, which soft targets multiply by the teacher's doubt, 1 - p of the true class.

    Source: Zhao et al. 2022, equation 7, arXiv 2203.08679.
    """
    s_BK, t_BK = _softened(student, teacher, temperature)
    true_BK = F.one_hot(labels_B, s_BK.shape[1]).bool()
    (s_B2, s_BR), (t_B2, t_BR) = _decoupled(s_BK, true_BK), _decoupled(t_BK, true_BK)
    return (DKD_ALPHA * _divergence(s_B2, t_B2) + DKD_BETA * _divergence(s_BR, t_BR)) * temperature**2


def standardised(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Soft targets of z-scores, :math:`T^2\, KL(p(Z(z^t)/T) \Vert p(Z(z^s)/T))`.

    Each image's logits have their mean subtracted and are divided by their deviation, so that
    the student need not reach the teacher's range, only its shape.

    Source: Sun et al. 2024, arXiv 2403.01427.
    """
    check_temperature(temperature)
    s_BK, t_BK = (standard(z_BK) * z_BK.shape[1] ** 0.5 / temperature for z_BK in _logits(student, teacher))
    return _divergence(s_BK, t_BK) * temperature**2


def dist(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""Correlation in place of equality, :math:`\frac1B \sum_i d(P^s_i, P^t_i) + \frac1K \sum_k d(P^s_k, P^t_k)`.

    P is the B×K matrix of softened probabilities, compared by rows (the classes of an image)
    and by columns (the images of a class), and d is 1 - Pearson's correlation. Two constant
    vectors are alike, d = 0, and a constant one is half unlike any other. No factor T²: a
    correlation does not shrink as T grows, nor does its gradient.

    Source: Huang et al. 2022, arXiv 2205.10536.
    """
    p_BK, q_BK = (z_BK.softmax(1) for z_BK in _softened(student, teacher, temperature))
    # Half the squared distance of standardised vectors is 1 - r, without its loss of digits near 0.
    by_image = squared(standard(p_BK), standard(q_BK)) / 2
    by_class = squared(standard(p_BK.T), standard(q_BK.T)) / 2
    return by_image + by_class


def born_again(student: View, teacher: View, labels_B: Tensor, temperature: float) -> Tensor:
    r"""The teacher's own distribution at T = 1, :math:`KL(p^t \Vert p^s)`; T is not used.

    Meant for a student of the teacher's architecture, trained anew.

    Source: Furlanello et al. 2018, arXiv 1805.04770.
    """
    return _divergence(*_logits(student, teacher))


def _logits(student: View, teacher: View) -> tuple[Tensor, Tensor]:
    """Both networks' logits B×K, in full precision, the teacher's without a gradient."""
    if student.logits.shape != teacher.logits.shape:
        raise UserError(
            f"the student's logits are {tuple(student.logits.shape)} and the teacher's "
            f"{tuple(teacher.logits.shape)}; both must be of the same images and classes"
        )
    return exact(student.logits), fixed(teacher.logits)


def _softened(student: View, teacher: View, temperature: float) -> tuple[Tensor, Tensor]:
    check_temperature(temperature)
    s_BK, t_BK = _logits(student, teacher)
    return s_BK / temperature, t_BK / temperature


def _divergence(s_BK: Tensor, t_BK: Tensor) -> Tensor:
    """KL(softmax(t) || softmax(s)), the mean over images."""
    return F.kl_div(F.log_softmax(s_BK, 1), F.log_softmax(t_BK, 1), reduction="batchmean", log_target=True)


def _decoupled(z_BK: Tensor, true_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Logits B×2 of "the true class or not", and logits B×R of the other classes."""
    rest_BR = z_BK[~true_BK].view(len(z_BK), -1)
    return torch.stack([z_BK[true_BK], rest_BR.logsumexp(1)], 1), rest_BR
