"""Softened answers against slow loops, torch's own entropy and autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compression.distillation.softening import (
    class_similarity,
    entropy,
    entropy_curve,
    gradient_size,
    instructive,
    softened,
    wrong_ranking,
)
from compression.registry import UserError


def logits(n: int = 40, k: int = 5, seed: int = 0, scale: float = 4.0) -> torch.Tensor:
    return scale * torch.randn(n, k, generator=torch.Generator().manual_seed(seed))


def slow(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
def test_probabilities_and_entropy_equal_a_slow_loop(temperature: float) -> None:
    z = logits()
    p = [slow(row, temperature) for row in z.tolist()]
    np.testing.assert_allclose(softened(z, temperature), p, rtol=1e-6)
    bits = [-sum(q * math.log2(q) for q in row) for row in p]
    np.testing.assert_allclose(entropy(z, temperature), bits, rtol=1e-6)


def test_entropy_runs_from_none_to_all_bits() -> None:
    z = torch.tensor([[2000.0, 0.0, 0.0, -2000.0]])
    assert entropy(z, 1).item() == 0.0, "a certain answer, in spite of 0·log 0"
    assert entropy(z, 1e9).item() == pytest.approx(2.0)
    assert entropy(torch.zeros(1, 8), 3).item() == pytest.approx(3.0)
    curve = entropy_curve(logits()[0], [0.5, 1, 2, 4, 8])
    assert curve == sorted(curve) and curve[1] == pytest.approx(entropy(logits()[:1], 1).item())


def test_small_probabilities_of_half_logits_are_not_lost() -> None:
    z = torch.tensor([100.0, 0.0], dtype=torch.float16)
    assert softened(z, 1)[1].item() == pytest.approx(math.exp(-100), rel=1e-9)


def test_instructive_images_are_those_of_highest_entropy() -> None:
    z = logits()
    bits = [-sum(q * math.log2(q) for q in slow(row, 2)) for row in z.tolist()]
    assert instructive(z, 2, 7).tolist() == sorted(range(40), key=lambda at: -bits[at])[:7]
    assert len(instructive(z, 2, 100)) == 40
    assert instructive(torch.zeros(3, 2), 1, 2).tolist() == [0, 1], "of equal ones the first"


def test_which_images_are_instructive_depends_on_the_temperature() -> None:
    # The first answer wavers between two classes, the second is sure of one and alike in the rest.
    z = torch.tensor([[5.0, 5.0, -50.0, -50.0], [8.0, 0.0, 0.0, 0.0]])
    assert instructive(z, 1, 1).tolist() == [0]
    assert instructive(z, 8, 1).tolist() == [1]


def test_wrong_classes_are_ranked_without_the_true_one() -> None:
    z = torch.tensor([1.0, 6.0, 3.0, 2.0])
    ranking = wrong_ranking(z, 1, 2)
    p = slow(z.tolist(), 2)
    assert [wrong.index for wrong in ranking] == [2, 3, 0]
    assert [wrong.probability for wrong in ranking] == pytest.approx([p[2], p[3], p[0]])
    assert [wrong.ratio for wrong in ranking] == pytest.approx([p[k] / p[1] for k in (2, 3, 0)])
    mistaken = wrong_ranking(z, 0, 1)[0]
    assert (mistaken.index, mistaken.ratio) == (1, pytest.approx(math.exp(5)))


def test_similarity_is_the_mean_answer_of_each_class() -> None:
    z, labels = logits(), torch.arange(40) % 4  # class 4 has no images
    matrix = class_similarity(z, labels, 3)
    for k in range(4):
        own = [slow(row, 3) for row, label in zip(z.tolist(), labels.tolist(), strict=True) if label == k]
        np.testing.assert_allclose(matrix[k], np.mean(own, axis=0), rtol=1e-6)
    assert matrix[4].isnan().all()
    assert matrix[:4].sum(1).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5, 20.0])
def test_gradient_size_is_that_of_autograd(temperature: float) -> None:
    student, teacher = logits(seed=1).double(), logits(seed=2).double()
    targets = F.softmax(teacher / temperature, dim=1)
    norms = []
    for row, target in zip(student, targets, strict=True):
        z = row.clone().requires_grad_()
        loss = -(target * F.log_softmax(z / temperature, dim=0)).sum()
        (slope,) = torch.autograd.grad(loss, z)
        norms.append(slope.norm().item())
    (size,) = gradient_size(student, teacher, [temperature])
    assert size.plain == pytest.approx(np.mean(norms))
    assert size.scaled == pytest.approx(temperature**2 * np.mean(norms))


def test_at_high_temperature_the_gradient_is_that_of_logit_matching() -> None:
    # Hinton 2015, equation 4: for zero-mean logits it tends to (z - v) / (K T²), so T² cancels the shrinking.
    student, teacher = (z - z.mean(1, keepdim=True) for z in (logits(seed=1), logits(seed=2)))
    (size,) = gradient_size(student, teacher, [1e4])
    assert size.scaled == pytest.approx((student - teacher).norm(dim=1).mean().item() / 5, rel=1e-3)
    assert gradient_size(teacher, teacher, [2])[0].plain == 0


def fault(call: object, *given: object) -> str:
    with pytest.raises(UserError) as caught:
        call(*given)  # type: ignore[operator]
    return str(caught.value)


def test_bad_temperatures_are_named() -> None:
    z = logits()
    assert fault(softened, z, -1) == "temperature is -1; it must be greater than 0"
    assert fault(entropy, z, 0.0) == "temperature is 0; it must be greater than 0"
    assert fault(instructive, z, math.nan, 1) == "temperature is nan; it must be greater than 0"
    assert fault(class_similarity, z, torch.zeros(40, dtype=torch.long), -0.5).startswith("temperature is -0.5;")
    assert fault(gradient_size, z, z, [1, -2]).startswith("temperature is -2;")
    assert fault(entropy_curve, z[0], [math.inf]) == "temperature is inf; it must be finite"
    assert fault(wrong_ranking, z[0], 0, 0).startswith("temperature is 0;")


def test_other_faults_are_named() -> None:
    z, labels = logits(), torch.zeros(40, dtype=torch.long)
    assert fault(softened, torch.tensor([math.nan, 1]), 1).startswith("logits hold NaN")
    assert fault(instructive, z, 1, 0) == "count is 0; it must be at least 1"
    assert fault(wrong_ranking, z[0], 5, 1) == "label is 5; it must lie in 0 to 4"
    assert "(40, 5)" in fault(wrong_ranking, z, 0, 1)
    assert fault(class_similarity, z, labels[:3], 1).startswith("labels have shape (3,)")
    assert fault(class_similarity, z, labels + 5, 1) == "labels run from 5 to 5; they must lie in 0 to 4"
    assert "(40, 4)" in fault(gradient_size, z, z[:, :4], [1])


def test_what_is_found_goes_into_the_charts_as_it_is() -> None:
    from compression.measure.calibration import reliability
    from compression.report import charts
    from compression.report import distill_tables as tables

    z, labels, classes = logits(), torch.arange(40) % 5, "abcde"
    at_one, soft = softened(z[0], 1).tolist(), softened(z[0], 4).tolist()
    drawn = [
        charts.softening_chart(tables.softening_table(classes, at_one, soft, 0), charts.LIGHT, temperature=4),
        charts.dark_chart(tables.dark_table(classes, wrong_ranking(z[0], 0, 4)), charts.LIGHT, true="a", temperature=4),
        charts.entropy_chart(
            tables.entropy_table([1, 4], entropy_curve(z[0], [1, 4])), charts.LIGHT, classes=5, present=(4, 1.0)
        ),
        charts.similarity_chart(class_similarity(z, labels, 4), charts.LIGHT, classes=classes, temperature=4),
        charts.gradient_chart(tables.gradient_table(gradient_size(z, z.flip(0), [1, 4])), charts.LIGHT, temperature=4),
        charts.reliability_chart(tables.reliability_table({"teacher": reliability(z, labels)}), charts.LIGHT),
    ]
    assert all(chart.figure.data and chart.title for chart in drawn)
