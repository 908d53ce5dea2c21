"""What temperature does to a teacher's answers: soft targets, their entropy, their dark knowledge, their gradient.

Every function is pure and takes logits, so that a page runs the teacher once and everything
moves with the slider. All is computed in float64: at T = 1 a teacher's small probabilities lie
below what float32 holds.

Shapes: N images, K classes, T temperatures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.registry import UserError


@dataclass(frozen=True)
class WrongClass:
    """A class that is not the true one.

    Attributes:
        index: which class.
        probability: what the softened teacher gives it.
        ratio: that, over what it gives the true class; above 1 where the teacher is wrong.
    """

    index: int
    probability: float
    ratio: float


@dataclass(frozen=True)
class GradientSize:
    """The mean length of the soft targets' gradient at one temperature, as it is and times T²."""

    temperature: float
    plain: float
    scaled: float


def softened(logits: Tensor, temperature: float) -> Tensor:
    r"""The teacher's probabilities at a temperature, …×K like the logits, in float64.

    .. math:: p_i = \frac{\exp(z_i / T)}{\sum_j \exp(z_j / T)}

    Source: Hinton, Vinyals & Dean 2015 (arXiv 1503.02531), equation 1.

    Raises:
        UserError: the temperature is not above 0, or logits that are NaN or infinite.
    """
    check_temperature(temperature)
    if not bool(torch.isfinite(logits).all()):
        raise UserError("logits hold NaN or infinite values; the model's weights probably do too")
    return F.softmax(logits.double() / temperature, dim=-1)


def check_temperature(temperature: float) -> None:
    """Raise a UserError unless the temperature is a finite number above 0."""
    if not temperature > 0:
        raise UserError(f"temperature is {temperature:g}; it must be greater than 0")
    if math.isinf(temperature):
        raise UserError("temperature is inf; it must be finite")


def entropy(logits: Tensor, temperature: float) -> Tensor:
    r"""How undecided the softened teacher is, in bits: N for N×K logits, from 0 to log2 K.

    .. math:: H = -\sum_i p_i \log_2 p_i

    Raises:
        UserError: as :func:`softened`.
    """
    nats: Tensor = torch.special.entr(softened(logits, temperature)).sum(dim=-1)
    return nats / math.log(2)


def entropy_curve(logits_K: Tensor, temperatures: Sequence[float]) -> list[float]:
    """The entropy of one image's answer in bits, at each temperature.

    Raises:
        UserError: as :func:`softened`, or logits of more than one image.
    """
    _one_image(logits_K)
    return [float(entropy(logits_K, temperature)) for temperature in temperatures]


def instructive(logits_NK: Tensor, temperature: float, count: int) -> Tensor:
    """The images whose answers say most: those of highest entropy, the highest first, int64.

    Of equal ones the earlier image comes first. Of fewer than ``count`` images all are returned.

    Raises:
        UserError: as :func:`softened`, or ``count`` below 1.
    """
    if count < 1:
        raise UserError(f"count is {count}; it must be at least 1")
    return entropy(logits_NK, temperature).argsort(descending=True, stable=True)[:count]


def wrong_ranking(logits_K: Tensor, label: int, temperature: float) -> tuple[WrongClass, ...]:
    r"""The dark knowledge in one answer: the wrong classes, the most probable first.

    .. math:: \mathrm{ratio}_i = p_i / p_y = \exp((z_i - z_y) / T)

    Raises:
        UserError: as :func:`softened`, logits of more than one image, or no such label.
    """
    _one_image(logits_K)
    classes = len(logits_K)
    if not 0 <= label < classes:
        raise UserError(f"label is {label}; it must lie in 0 to {classes - 1}")
    chances = softened(logits_K, temperature).tolist()
    ratios = torch.exp((logits_K.double() - logits_K[label].double()) / temperature).tolist()
    order = logits_K.double().argsort(descending=True, stable=True).tolist()
    return tuple(WrongClass(at, chances[at], ratios[at]) for at in order if at != label)


def class_similarity(logits_NK: Tensor, labels_N: Tensor, temperature: float) -> Tensor:
    """The mean softened answer to the images of each class, K×K in float64.

    A row is a true class and sums to 1; the row of a class without images is NaN.

    Raises:
        UserError: as :func:`softened`, or labels that do not fit the logits.
    """
    if logits_NK.ndim != 2 or labels_N.shape != logits_NK.shape[:1]:
        raise UserError(
            f"labels have shape {tuple(labels_N.shape)} and logits {tuple(logits_NK.shape)}; "
            "they must be (N,) and (N, K)"
        )
    classes = logits_NK.shape[1]
    if len(labels_N) and not 0 <= int(labels_N.min()) <= int(labels_N.max()) < classes:
        low, high = int(labels_N.min()), int(labels_N.max())
        raise UserError(f"labels run from {low} to {high}; they must lie in 0 to {classes - 1}")
    chances_NK = softened(logits_NK, temperature)
    sums_KK = chances_NK.new_zeros(classes, classes).index_add_(0, labels_N, chances_NK)
    return sums_KK / torch.bincount(labels_N, minlength=classes)[:, None]


def gradient_size(
    student_logits_NK: Tensor, teacher_logits_NK: Tensor, temperatures: Sequence[float]
) -> tuple[GradientSize, ...]:
    r"""How strongly soft targets pull at a student's logits: the mean L2 norm over images, for each T.

    .. math:: \frac{\partial C}{\partial z_i} = \frac{1}{T}(q_i - p_i)

    with the student's q and the teacher's p, both softened. It shrinks about as 1/T², which is
    why the loss is multiplied by T²: ``scaled`` is T² times ``plain``.

    Source: Hinton, Vinyals & Dean 2015 (arXiv 1503.02531), section 2.1, equations 2 to 4.

    Raises:
        UserError: as :func:`softened`, no images, or shapes that differ.
    """
    if student_logits_NK.shape != teacher_logits_NK.shape or student_logits_NK.ndim != 2 or not len(student_logits_NK):
        raise UserError(
            f"student logits have shape {tuple(student_logits_NK.shape)} and teacher logits "
            f"{tuple(teacher_logits_NK.shape)}; both must be N×K with at least one image"
        )
    sizes = []
    for temperature in temperatures:
        apart_NK = softened(student_logits_NK, temperature) - softened(teacher_logits_NK, temperature)
        plain = float(apart_NK.norm(dim=1).mean()) / temperature
        sizes.append(GradientSize(temperature, plain, temperature**2 * plain))
    return tuple(sizes)


def _one_image(logits_K: Tensor) -> None:
    if logits_K.ndim != 1 or not len(logits_K):
        raise UserError(f"logits have shape {tuple(logits_K.shape)}; those of one image, (K,), are needed")
