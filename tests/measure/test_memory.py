from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.measure import memory_bytes, trace, weight_bytes
from tests.measure.nets import Tied, cnn

UNIT = 4 * 100  # bytes of one 100-wide float32 activation


class Chain(nn.Module):
    """Layer by layer: only a layer's input and output are alive, and the network's input."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(5):
            x = torch.exp(x)
        return x


class Skip(nn.Module):
    """The first activation waits for the last."""

    def forward(self, x: Tensor) -> Tensor:
        first = torch.exp(x)
        x = torch.exp(torch.exp(torch.exp(first)))
        return x + first


class InPlace(nn.Module):
    """In-place results and views take no memory of their own."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.exp(x)
        return F.relu(y, inplace=True).view(-1).unsqueeze(0).add_(1)


class Wide(nn.Module):
    """A short wide moment sets the peak."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x.repeat(1, 7)).sum(1, keepdim=True)


def test_peaks_by_hand() -> None:
    # Chain: the input, the layer's own input, its output. Skip: the input, `first`, and the
    # chain's two. Wide: the input, the repeated one and its exponential, 7 units each.
    for model, units in ((Chain(), 3), (Skip(), 4), (InPlace(), 2), (Wide(), 1 + 7 + 7)):
        assert trace(model, (100,)).peak_bytes == units * UNIT, type(model)


def test_activation_bytes_sum_what_was_made() -> None:
    assert trace(Chain(), (100,)).activation_bytes == 6 * UNIT
    assert trace(InPlace(), (100,)).activation_bytes == 2 * UNIT


def test_memory_adds_weights_and_buffers() -> None:
    model = cnn()
    held = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert weight_bytes(model) == held
    # The peak is BatchNorm or ReLU: the input 2×8×8 and two activations of 8×4×4.
    assert memory_bytes(model, (2, 8, 8)) == held + 4 * (2 * 64 + 2 * 128)


def test_shared_weights_are_resident_once() -> None:
    assert weight_bytes(Tied()) == 4 * (36 + 6 + 6)


def test_nothing_stays_counted_after_the_pass() -> None:
    first, second = trace(Skip(), (100,)), trace(Skip(), (100,))
    assert first == second
