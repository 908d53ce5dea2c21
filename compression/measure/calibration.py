"""Whether a model's confidence can be believed, and how often two models say the same.

Shapes: N images, K classes, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.registry import UserError
from compression.results import wilson


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width.

    Attributes:
        edges: the M + 1 edges of the bins, from 0 to 1; a bin holds its right edge, not its left.
        counts: how many images lie in each bin.
        confidence: the mean probability of the predicted class in each bin; None for an empty one.
        accuracy: the share of right predictions in each bin; None for an empty one.
        ece: the expected calibration error, from 0 to 1.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    ece: float


@dataclass(frozen=True)
class Agreement:
    """On how many of n images two models predict the same class: the fraction and its 95 % interval."""

    same: int
    n: int
    fraction: float
    low: float
    high: float


def reliability(logits_NK: Tensor, labels_N: Tensor, bins: int = 10) -> Reliability:
    r"""Mean confidence and accuracy in bins of confidence, and the expected calibration error.

    .. math:: \mathrm{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{N} |\mathrm{acc}(B_m) - \mathrm{conf}(B_m)|,
        \quad B_m = \left(\tfrac{m-1}{M}, \tfrac{m}{M}\right]

    Confidence is the largest softmax probability, at T = 1.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 2.

    Raises:
        UserError: no images, shapes that do not fit, labels that are no class, logits that are
            NaN or infinite, or fewer than one bin.
    """
    if bins < 1:
        raise UserError(f"bins is {bins}; it must be at least 1")
    _check(logits_NK)
    if labels_N.shape != logits_NK.shape[:1]:
        raise UserError(f"labels have shape {tuple(labels_N.shape)}; {len(logits_NK)} images need ({len(logits_NK)},)")
    low, high = int(labels_N.min()), int(labels_N.max())
    if low < 0 or high >= logits_NK.shape[1]:
        raise UserError(f"labels run from {low} to {high}; they must lie in 0 to {logits_NK.shape[1] - 1}")
    confidence_N, predicted_N = F.softmax(logits_NK.double(), dim=1).max(dim=1)
    edges = [m / bins for m in range(bins + 1)]
    home_N = torch.bucketize(confidence_N, confidence_N.new_tensor(edges[1:-1]))
    counts = torch.bincount(home_N, minlength=bins).tolist()
    sure = torch.bincount(home_N, confidence_N, minlength=bins).tolist()
    right = torch.bincount(home_N, (predicted_N == labels_N).double(), minlength=bins).tolist()
    return Reliability(
        edges=tuple(edges),
        counts=tuple(counts),
        confidence=tuple(_mean(total, count) for total, count in zip(sure, counts, strict=True)),
        accuracy=tuple(_mean(total, count) for total, count in zip(right, counts, strict=True)),
        ece=sum(abs(a - b) for a, b in zip(right, sure, strict=True)) / len(labels_N),
    )


def agreement(logits_a_NK: Tensor, logits_b_NK: Tensor) -> Agreement:
    """How often two models predict the same class for the same images, with its 95 % Wilson interval.

    Raises:
        UserError: no images, shapes that differ, or logits that are NaN or infinite.
    """
    if logits_a_NK.shape != logits_b_NK.shape:
        raise UserError(
            f"the two models' logits have shapes {tuple(logits_a_NK.shape)} and {tuple(logits_b_NK.shape)}; "
            "they must be alike"
        )
    _check(logits_a_NK)
    _check(logits_b_NK)
    same, n = int((logits_a_NK.argmax(1) == logits_b_NK.argmax(1)).sum()), len(logits_a_NK)
    low, high = wilson(same, n)
    return Agreement(same, n, same / n, low, high)


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


def _check(logits_NK: Tensor) -> None:
    if logits_NK.ndim != 2 or not logits_NK.numel():
        raise UserError(f"logits have shape {tuple(logits_NK.shape)}; N×K with at least one image is needed")
    if not bool(torch.isfinite(logits_NK).all()):
        raise UserError("The model's outputs hold NaN or infinite values; its weights probably do too")
