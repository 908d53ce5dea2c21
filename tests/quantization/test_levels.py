"""The levels of int8, against PyTorch's own rounding."""

from __future__ import annotations

import pytest
import torch

from compression.quantization.levels import Levels, levels, rounded


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (1.0, 4.0), (-4.0, -1.0)], ids=["around 0", "above", "below"])
def test_values_go_where_pytorch_rounds_them(low: float, high: float) -> None:
    seen, others = torch.linspace(low, high, 50), torch.linspace(low - 1, high + 1, 301)
    on = levels(seen)
    theirs = torch.fake_quantize_per_tensor_affine(others, on.step, on.zero, 0, 255)
    torch.testing.assert_close(rounded(others, on), theirs)
    assert on.low <= 0 <= on.high and 0.0 in rounded(torch.zeros(1), on)
    assert (rounded(seen, on) - seen).abs().max() <= on.step * 0.51 + 1e-6
    assert on.high - on.low == pytest.approx(max(high, 0) - min(low, 0))


def test_nothing_but_zeros_stay_zeros() -> None:
    assert rounded(torch.zeros(3), levels(torch.zeros(3))).tolist() == [0.0] * 3


def test_what_lies_beyond_is_clipped() -> None:
    assert rounded(torch.tensor([-9.0, 300.0]), Levels(1.0, 5)).tolist() == [-5.0, 250.0]
