"""Accuracy from logits that are already there, so that a page evaluates a model once.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.registry import UserError
from compression.results import wilson


@dataclass(frozen=True, eq=False)
class Changed:
    """How the predictions of two models differ on the same images.

    Attributes:
        right_to_wrong: positions of the images right before and wrong after, int64, ascending.
        wrong_to_right: positions of the images wrong before and right after, int64, ascending.
        before: predicted classes before, int64 N.
        after: predicted classes after, int64 N.
        class_change: accuracy after minus before, one number a class; None for a class without images.
    """

    right_to_wrong: Tensor
    wrong_to_right: Tensor
    before: Tensor
    after: Tensor
    class_change: tuple[float | None, ...]


def accuracy_fields(logits_NK: Tensor, labels_N: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """The fields of a Measurement that come from predictions.

    Returns:
        ``n``, ``accuracy`` with ``accuracy_low`` and ``accuracy_high`` (95 % Wilson interval),
        ``class_accuracy`` by class name (classes without images are left out) and ``loss`` (mean
        cross-entropy in nats).

    Raises:
        UserError: no images, shapes that do not fit, or logits that are NaN or infinite.
    """
    _check(logits_NK, labels_N, len(classes))
    if not bool(torch.isfinite(logits_NK).all()):
        raise UserError("The model's outputs hold NaN or infinite values; its weights probably do too")
    n = len(labels_N)
    right_N = logits_NK.argmax(1) == labels_N
    correct = int(right_N.sum())
    low, high = wilson(correct, n)
    rates = _class_rates(right_N, labels_N, len(classes))
    return {
        "n": n,
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "class_accuracy": {name: rate for name, rate in zip(classes, rates, strict=True) if rate is not None},
        "loss": float(F.cross_entropy(logits_NK.double(), labels_N)),
    }


def changed(before_NK: Tensor, after_NK: Tensor, labels_N: Tensor) -> Changed:
    """What changed between two models' predictions on the same images.

    Source of the question: Hooker et al. 2019, "What do compressed deep neural networks
    forget?" (arXiv 1911.05248).

    Raises:
        UserError: no images, or shapes that do not fit.
    """
    _check(before_NK, labels_N, after_NK.shape[-1])
    _check(after_NK, labels_N, before_NK.shape[-1])
    before_N, after_N = before_NK.argmax(1), after_NK.argmax(1)
    was_N, is_N = before_N == labels_N, after_N == labels_N
    old = _class_rates(was_N, labels_N, before_NK.shape[1])
    new = _class_rates(is_N, labels_N, before_NK.shape[1])
    return Changed(
        right_to_wrong=(was_N & ~is_N).nonzero().squeeze(1),
        wrong_to_right=(~was_N & is_N).nonzero().squeeze(1),
        before=before_N,
        after=after_N,
        class_change=tuple(None if x is None or y is None else y - x for x, y in zip(old, new, strict=True)),
    )


def _class_rates(right_N: Tensor, labels_N: Tensor, classes: int) -> list[float | None]:
    totals = torch.bincount(labels_N, minlength=classes).tolist()
    rights = torch.bincount(labels_N[right_N], minlength=classes).tolist()
    return [right / total if total else None for right, total in zip(rights, totals, strict=True)]


def _check(logits_NK: Tensor, labels_N: Tensor, classes: int) -> None:
    if labels_N.ndim != 1 or not len(labels_N):
        raise UserError(f"labels have shape {tuple(labels_N.shape)}; at least one image is needed")
    if tuple(logits_NK.shape) != (len(labels_N), classes):
        raise UserError(
            f"logits have shape {tuple(logits_NK.shape)}; {len(labels_N)} images of {classes} classes "
            f"need ({len(labels_N)}, {classes})"
        )
    low, high = int(labels_N.min()), int(labels_N.max())
    if low < 0 or high >= classes:
        raise UserError(f"labels run from {low} to {high}; they must lie in 0 to {classes - 1}")
