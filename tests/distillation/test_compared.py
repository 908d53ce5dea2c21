"""What each loss compares: from the two matrices alone the loss comes out again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from compression.distillation.compared import COMPARED
from compression.distillation.losses import DISTILLATIONS
from compression.distillation.views import View

T = 4.0
LABELS = torch.tensor([0, 2, 1, 4])


def view(seed: int, images: int = 4) -> View:
    torch.manual_seed(seed)
    return View(
        2 * torch.randn(images, 5, dtype=torch.float64),
        (torch.randn(images, 3, 4, 4, dtype=torch.float64), torch.randn(images, 6, 2, 2, dtype=torch.float64)),
    )


def kl(s: Tensor, t: Tensor) -> float:
    return float((t * (t / s).log()).nansum(1).mean())


def by_correlation(s: Tensor, t: Tensor) -> float:
    """One half of DIST: 1 - r over the classes of each image."""
    return float((1 - (s * t).sum(1)).mean())


def over_pairs(s: Tensor, t: Tensor) -> float:
    upper = torch.ones(4, 4).triu(1).bool()
    return float(F.smooth_l1_loss(s[upper], t[upper]))


FROM_MATRICES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "soft_targets": lambda s, t: T**2 * kl(s, t),
    "logits": lambda s, t: float((s - t).square().mean() / 2),
    "standardised": lambda s, t: T**2 * kl(s, t),
    "born_again": kl,
    "rkd_distance": over_pairs,
    "similarity": lambda s, t: float((s - t).square().mean()),
}


def loss(method: str, student: View, teacher: View, labels: Tensor = LABELS) -> float:
    return float(DISTILLATIONS[method].call(student, teacher, labels, T))


def matrices(method: str, student: View, teacher: View, labels: Tensor = LABELS) -> tuple[Tensor, Tensor]:
    s, t = (COMPARED[method].seen(one, labels, T) for one in (student, teacher))
    return s, t


def test_every_loss_says_what_it_compares() -> None:
    assert list(COMPARED) == list(DISTILLATIONS)


@pytest.mark.parametrize("method", FROM_MATRICES)
def test_the_loss_follows_from_what_is_shown(method: str) -> None:
    student, teacher = view(0), view(1)
    found = FROM_MATRICES[method](*matrices(method, student, teacher))
    assert found == pytest.approx(loss(method, student, teacher))


@pytest.mark.parametrize("method", ["attention", "hint", "fsp"])
def test_of_one_image_the_loss_follows_from_what_is_shown(method: str) -> None:
    """Here the loss is a mean over images; where it is one over stages too, the same stage stands twice."""
    student, teacher = (
        View(v.logits, v.features if method == "fsp" else v.features[:1]) for v in (view(0, 1), view(1, 1))
    )
    s, t = matrices(method, student, teacher, LABELS[:1])
    squares = (s - t).square()
    found = squares.sum() if method == "attention" else squares.mean()
    assert float(found) == pytest.approx(loss(method, student, teacher, LABELS[:1]))


def test_the_angles_at_the_first_image_are_those_between_differences() -> None:
    _, cosines = matrices("rkd_angle", view(0), view(1))
    f = view(1).features[-1].flatten(1)
    assert float(cosines[2, 3]) == pytest.approx(float(F.cosine_similarity(f[2] - f[0], f[3] - f[0], dim=0)))


def test_the_wrong_classes_share_one_among_them() -> None:
    shown, _ = matrices("dkd", view(0), view(1))
    rest = (view(0).logits / T)[0, 1:].softmax(0)
    assert shown[torch.arange(4), LABELS].isnan().all()
    torch.testing.assert_close(shown[0, 1:], rest)


def test_correlations_of_images_follow_from_what_is_shown() -> None:
    s, t = matrices("dist", view(0), view(1))
    p, q = (v.logits.div(T).softmax(1) for v in (view(0), view(1)))
    by_hand = [1 - float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(p, q, strict=True)]
    assert by_correlation(s, t) == pytest.approx(sum(by_hand) / 4)
