from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.swin_transformer import ShiftedWindowAttention

from compression.measure.attention import attention_maps
from compression.models.heads import with_separate_heads
from compression.models.transformers import Attention, ViT
from compression.pruning import coupled_groups, cut
from compression.registry import UserError

SHAPE = (1, 6, 6)


def vit() -> ViT:
    torch.manual_seed(0)
    return ViT(channels=1, side=6, patch=2, dim=8, blocks=2, heads=2, hidden=10, classes=3)


def test_maps_are_the_softmax_of_queries_and_keys_of_what_enters_each_block() -> None:
    model, images = vit().train(), torch.randn(2, *SHAPE)
    maps = attention_maps(model, images)
    assert list(maps) == ["blocks.0.attention.qkv", "blocks.1.attention.qkv"]
    tokens = model.patches(images).flatten(2).transpose(1, 2) + model.positions
    for block, found in zip(model.blocks, maps.values(), strict=True):
        qkv = block.attention.qkv(block.norm1(tokens)).detach().numpy()
        for image in range(2):
            for head in range(2):
                q, k = (qkv[image, :, part * 8 + head * 4 : part * 8 + head * 4 + 4] for part in (0, 1))
                raised = np.exp(q @ k.T / 2)
                np.testing.assert_allclose(found[image, head], raised / raised.sum(1, keepdims=True), atol=1e-5)
        tokens = block(tokens)
    assert model.training and not any(module._forward_pre_hooks for module in model.modules())


def test_a_cut_model_shows_the_heads_that_it_has_left() -> None:
    model, images = vit().eval(), torch.randn(2, *SHAPE)
    smaller = cut(model, coupled_groups(model, SHAPE), {"blocks.0.attention.qkv": np.array([1])})
    first, second = attention_maps(smaller, images).values()
    assert first.shape == (2, 1, 9, 9) and second.shape == (2, 2, 9, 9)
    torch.testing.assert_close(first[:, 0], attention_maps(model, images)["blocks.0.attention.qkv"][:, 1])


def test_attention_alone_is_a_model_too_and_others_have_none() -> None:
    assert list(attention_maps(Attention(4, 2), torch.randn(1, 3, 4))) == ["qkv"]
    with pytest.raises(UserError, match="no attention to show"):
        attention_maps(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.randn(1, 1, 2, 2))


def test_attention_in_windows_is_no_picture_of_the_image() -> None:
    windows = with_separate_heads(nn.Sequential(ShiftedWindowAttention(4, [2, 2], [0, 0], 2)))
    with pytest.raises(UserError, match="no attention to show of the whole image"):
        attention_maps(windows, torch.randn(1, 4, 4, 4))
