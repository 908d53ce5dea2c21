"""Attention in shifted windows gives torchvision's own numbers, loses heads, and travels."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import swin_transformer

from compression.measure import macs
from compression.measure.onnx import export_onnx
from compression.models.files import Blueprint, read_weights, weights_bytes
from compression.models.heads import AsWindows, with_separate_heads
from compression.models.transformers import PerHead
from compression.pruning import coupled_groups, cut, masked
from compression.pruning.surgery import outputs

KINDS = [swin_transformer.ShiftedWindowAttention, swin_transformer.ShiftedWindowAttentionV2]
SIDES = pytest.mark.parametrize(
    ("high", "wide", "shift"),
    [(8, 8, [0, 0]), (8, 8, [2, 2]), (7, 10, [2, 2]), (4, 8, [2, 2]), (3, 3, [2, 2]), (9, 6, [0, 1])],
)


def theirs(kind: type[nn.Module], shift: list[int], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    attention = kind(12, [4, 4], shift, 3)
    for name, parameter in attention.named_parameters():
        nn.init.normal_(parameter, 4.5 if name == "logit_scale" else 0.0)  # about its limit, log 100
    return attention.eval()


@SIDES
@pytest.mark.parametrize("kind", KINDS)
def test_windows_give_what_torchvisions_give(kind: type[nn.Module], high: int, wide: int, shift: list[int]) -> None:
    original, x = theirs(kind, shift), torch.randn(2, high, wide, 12)
    expected = original(x)
    ours = AsWindows(copy.deepcopy(original))
    torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4)
    other = AsWindows(theirs(kind, shift, seed=1))
    assert not torch.allclose(other(x), expected)
    other.load_state_dict(original.state_dict())
    assert torch.equal(other(x), ours(x))
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in original.parameters())


def silenced(attention: AsWindows, gone: int) -> AsWindows:
    """The oracle: what a removed head hands to the projection is set to zero by a hook."""
    d = attention.attention.head_dim

    def silence(_: nn.Module, given: tuple[Tensor]) -> Tensor:
        mixed = given[0].clone()
        mixed[..., gone * d : (gone + 1) * d] = 0
        return mixed

    twin = copy.deepcopy(attention)
    twin.attention.proj.register_forward_pre_hook(silence)
    return twin


class Alone(nn.Module):
    """Attention as a whole model, from N×D×H×W to N×K."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.attention = with_separate_heads(nn.ModuleList([theirs(kind, [2, 2])]))[0]
        self.head = nn.Linear(12, 5)

    def forward(self, x_NDHW: Tensor) -> Tensor:
        return self.head(self.attention(x_NDHW.permute(0, 2, 3, 1)).mean((1, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_heads_go_with_their_biases_and_scales(kind: type[nn.Module], tmp_path: Path) -> None:
    model, shape = Alone(kind).eval(), (12, 8, 8)
    groups = coupled_groups(model, shape)
    ((name, group),) = groups.cuttable("heads").items()
    kept = {name: np.array([0, 2])}
    smaller, images = cut(model, groups, kept), torch.randn(3, *shape)
    found = outputs(smaller, images)
    torch.testing.assert_close(found, outputs(masked(model, groups, kept), images))
    by_hand = copy.deepcopy(model)
    by_hand.attention = silenced(model.attention, gone=1)
    torch.testing.assert_close(found, outputs(by_hand, images))
    assert [m.heads for m in smaller.modules() if isinstance(m, PerHead)] == [2] * len(
        [m for m in model.modules() if isinstance(m, PerHead)]
    )
    tokens, windows, d = 16, 4, 4
    gone = windows * (4 * tokens * 12 * d + 2 * tokens * tokens * d)
    offsets = 49 * 512 if kind is KINDS[1] else 0  # of the small network that makes the biases
    assert macs(model, shape) - macs(smaller, shape) == gone + offsets
    export_onnx(smaller, shape, tmp_path / "windows.onnx")  # compares the outputs itself


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin_t", "swin_v2_t"])
def test_a_swin_cut_to_half_its_heads_is_saved_loaded_and_exported(name: str, tmp_path: Path) -> None:
    shape = (3, 64, 64)
    blueprint = Blueprint("torchvision", {"name": name, "num_classes": 5}, shape)
    torch.manual_seed(0)
    model = blueprint.build().eval()
    groups = coupled_groups(model, shape)
    kept = {name: np.arange((group.width + 1) // 2) for name, group in groups.cuttable("heads").items()}
    assert len(kept) == 12
    smaller, images = cut(model, groups, kept), torch.randn(2, *shape)
    loaded = read_weights(weights_bytes(smaller, blueprint), "memory").model
    assert torch.equal(outputs(loaded, images), outputs(smaller, images))
    export_onnx(smaller, shape, tmp_path / "swin.onnx")
