"""The vision transformer against loops written from the paper's equations."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from compression.measure import macs
from compression.measure.onnx import export_onnx
from compression.models.architectures import torchvision_model
from compression.models.heads import with_separate_heads
from compression.models.transformers import Attention, TransformerBlock, ViT
from compression.registry import UserError

SMALL = {"channels": 2, "side": 6, "patch": 3, "dim": 8, "blocks": 2, "heads": 2, "hidden": 10, "classes": 3}


def small(seed: int = 0, **changes: int) -> ViT:
    torch.manual_seed(seed)
    return ViT(**{**SMALL, **changes}).eval()


def attend(attention: Attention, x_TD: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The oracle: one image, one head at a time, in NumPy; the output and the map of each head."""
    qkv = x_TD @ attention.qkv.weight.detach().numpy().T + attention.qkv.bias.detach().numpy()
    queries, keys, values = np.split(qkv, 3, axis=1)
    width, mixed, maps = attention.head_dim, [], []
    for start in range(0, queries.shape[1], width):
        q, k, v = (part[:, start : start + width] for part in (queries, keys, values))
        scores = np.array([[np.dot(a, b) / math.sqrt(width) for b in k] for a in q])
        maps.append(np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
        mixed.append(maps[-1] @ v)
    out = np.concatenate(mixed, 1) @ attention.proj.weight.detach().numpy().T + attention.proj.bias.detach().numpy()
    return out, maps


def test_attention_is_what_the_paper_says_head_by_head() -> None:
    torch.manual_seed(0)
    attention, x = Attention(8, 4), torch.randn(2, 5, 8)
    for image, found, found_maps in zip(x, attention(x), attention.maps(x), strict=True):
        out, maps = attend(attention, image.numpy())
        np.testing.assert_allclose(found.detach().numpy(), out, atol=1e-5)
        np.testing.assert_allclose(found_maps.detach().numpy(), maps, atol=1e-5)


def test_attention_equals_torchs_own_with_the_same_numbers() -> None:
    torch.manual_seed(0)
    ours, theirs, x = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True), torch.randn(2, 5, 12)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.proj.weight,
            "out_proj.bias": ours.proj.bias,
        }
    )
    out, maps = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(ours(x), out)
    torch.testing.assert_close(ours.maps(x), maps)


def test_a_block_adds_to_its_input_twice() -> None:
    torch.manual_seed(0)
    block, x = TransformerBlock(8, 2, 6), torch.randn(2, 5, 8)
    y = x + block.attention(block.norm1(x))
    hidden = nn.functional.gelu(block.norm2(y) @ block.fc1.weight.T + block.fc1.bias)
    torch.testing.assert_close(block(x), y + hidden @ block.fc2.weight.T + block.fc2.bias)


def test_tokens_are_patches_in_reading_order() -> None:
    model, x = small(blocks=0), torch.randn(1, 2, 6, 6)
    kernel, bias = model.patches.weight.flatten(1), model.patches.bias
    tokens = [kernel @ x[0, :, i : i + 3, j : j + 3].flatten() + bias for i in (0, 3) for j in (0, 3)]
    normed = model.norm(torch.stack(tokens) + model.positions[0])
    torch.testing.assert_close(model(x)[0], model.head(normed.mean(0)))


def test_the_order_of_patches_matters_through_their_positions_alone() -> None:
    model, x = small(), torch.randn(1, 2, 6, 6)
    swapped = torch.cat([x[..., 3:], x[..., :3]], 3)
    assert not torch.allclose(model(x), model(swapped), atol=1e-3)
    nn.init.zeros_(model.positions)
    torch.testing.assert_close(model(x), model(swapped))


def test_work_is_that_of_a_count_by_hand() -> None:
    tokens, dim, hidden, patch = 4, 8, 10, 2 * 3 * 3
    attention = 3 * tokens * dim * dim + 2 * tokens * tokens * dim + tokens * dim * dim
    by_hand = tokens * patch * dim + 2 * (attention + 2 * tokens * dim * hidden) + dim * 3
    assert macs(small(), (2, 6, 6)) == by_hand


def test_it_exports_to_onnx(tmp_path: Path) -> None:
    export_onnx(small(), (2, 6, 6), tmp_path / "vit.onnx")  # compares the outputs itself
    assert (tmp_path / "vit.onnx").stat().st_size > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patch": 4}, "patch is 4; it must divide the side of an image, 6"),
        ({"heads": 3}, "heads is 3; it must divide the width of a token, 8"),
        ({"heads": 0}, "heads is 0"),
    ],
)
def test_what_does_not_divide_is_one_line(changes: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        small(**changes)


def theirs(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    sizes = {"num_layers": 2, "num_heads": 3, "hidden_dim": 12, "mlp_dim": 16, "num_classes": 5}
    model = torchvision.models.VisionTransformer(image_size=8, patch_size=4, **sizes).eval()
    nn.init.normal_(model.heads.head.weight)  # it is zero, which would hide everything
    for layer in model.encoder.layers:
        nn.init.normal_(layer.self_attention.in_proj_bias)
        nn.init.normal_(layer.self_attention.out_proj.bias)
    return model


def test_torchvisions_transformer_gives_the_same_with_separate_heads() -> None:
    model, x = theirs(), torch.randn(3, 3, 8, 8)
    before = model(x)
    ours = with_separate_heads(model)
    assert ours is model and not any(isinstance(module, nn.MultiheadAttention) for module in model.modules())
    torch.testing.assert_close(ours(x), before)
    assert all(p.requires_grad for p in ours.parameters())


def test_a_state_dict_of_torchvisions_loads_and_so_does_our_own() -> None:
    x = torch.randn(3, 3, 8, 8)
    ours, other = with_separate_heads(theirs(seed=1)), theirs(seed=2)
    ours.load_state_dict(other.state_dict())
    torch.testing.assert_close(ours(x), other(x))
    again = copy.deepcopy(with_separate_heads(theirs(seed=3)))
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again(x), ours(x))


def test_vit_b_16_has_twelve_times_twelve_separate_heads() -> None:
    with torch.device("meta"):
        model = torchvision_model("vit_b_16", 1000)
    assert sum(p.numel() for p in model.parameters()) == 86_567_656  # torchvision's documentation
    assert [module.heads for module in model.modules() if isinstance(module, Attention)] == [12] * 12
