"""Reliability against a NumPy loop over images and bins, agreement against a count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from compression.measure.calibration import agreement, reliability
from compression.registry import UserError
from compression.results import wilson


def predictions(n: int = 500, k: int = 4, seed: int = 0, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, k, generator=generator), torch.randint(0, k, (n,), generator=generator)


@pytest.mark.parametrize("bins", [1, 7, 10, 15])
def test_bins_and_ece_equal_a_numpy_loop(bins: int) -> None:
    logits, labels = predictions()
    found = reliability(logits, labels, bins)
    chances = np.exp(logits.double().numpy())
    chances /= chances.sum(axis=1, keepdims=True)
    ece = 0.0
    for m in range(bins):
        inside = [row for row in range(500) if m / bins < chances[row].max() <= (m + 1) / bins]
        assert found.counts[m] == len(inside)
        if not inside:
            assert found.confidence[m] is None and found.accuracy[m] is None
            continue
        confidence = np.mean([chances[row].max() for row in inside])
        accuracy = np.mean([chances[row].argmax() == labels[row].item() for row in inside])
        assert found.confidence[m] == pytest.approx(confidence)
        assert found.accuracy[m] == pytest.approx(accuracy)
        ece += len(inside) / 500 * abs(accuracy - confidence)
    assert found.ece == pytest.approx(ece)
    assert found.edges == pytest.approx(np.linspace(0, 1, bins + 1)) and sum(found.counts) == 500


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    found = reliability(torch.zeros(3, 2), torch.tensor([0, 0, 1]), bins=2)
    assert found.counts == (3, 0), "0.5 lies in (0, 0.5]"
    assert found.ece == pytest.approx(2 / 3 - 1 / 2)
    sure = reliability(torch.tensor([[900.0, 0.0]]), torch.tensor([0]))
    assert sure.counts[-1] == 1 and sure.ece == 0, "certain and right"


def test_gaps_of_opposite_sign_do_not_cancel_across_bins() -> None:
    # 0.6 sure and always right, 0.9 sure and right in half: by hand (0.4 + 0.4) / 2.
    logits = torch.log(torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]]).double())
    assert reliability(logits, torch.tensor([0, 0, 0, 1])).ece == pytest.approx(0.4)


def test_agreement_counts_equal_predictions() -> None:
    (a, _), (b, _) = predictions(), predictions(seed=1)
    same = sum(int(np.argmax(x) == np.argmax(y)) for x, y in zip(a.numpy(), b.numpy(), strict=True))
    found = agreement(a, b)
    assert (found.same, found.n, found.fraction) == (same, 500, same / 500)
    assert (found.low, found.high) == wilson(same, 500)
    assert agreement(a, 3 * a + 1).fraction == 1


def fault(call: object, *given: object) -> str:
    with pytest.raises(UserError) as caught:
        call(*given)  # type: ignore[operator]
    return str(caught.value)


def test_faults_are_named() -> None:
    logits, labels = predictions()
    assert fault(reliability, logits, labels, 0) == "bins is 0; it must be at least 1"
    assert fault(reliability, logits, labels[:3]) == "labels have shape (3,); 500 images need (500,)"
    assert fault(reliability, logits, labels + 1) == "labels run from 1 to 4; they must lie in 0 to 3"
    assert fault(reliability, logits[:0], labels[:0]).startswith("logits have shape (0, 4)")
    assert "NaN" in fault(reliability, torch.full((1, 2), math.nan), torch.zeros(1, dtype=torch.long))
    assert "(500, 4) and (3, 4)" in fault(agreement, logits, logits[:3])
    assert "NaN" in fault(agreement, logits, logits / 0)
