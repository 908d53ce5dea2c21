"""Architectures against the parameter counts and shapes that a hand works out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compression.models.architectures import ARCHITECTURES, MLP, LeNet5, ResidualBlock, ResNet, torchvision_model


def params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def conv(inputs: int, outputs: int, side: int) -> int:
    return outputs * inputs * side * side


def test_lenet_300_100_has_the_266610_parameters_of_the_papers() -> None:
    assert params(MLP(784, [300, 100], 10)) == (784 + 1) * 300 + (300 + 1) * 100 + (100 + 1) * 10 == 266_610


def test_lenet_5_has_the_431080_parameters_of_caffe() -> None:
    by_hand = (25 + 1) * 20 + (20 * 25 + 1) * 50 + (50 * 4 * 4 + 1) * 500 + (500 + 1) * 10
    assert params(LeNet5()) == by_hand == 431_080


def test_resnet_20_is_the_papers_with_its_option_b_shortcuts() -> None:
    # He et al. count 0.27 M with option A; option B adds two 1×1 convolutions with BatchNorm.
    stem = conv(3, 16, 3) + 2 * 16
    first = 3 * 2 * (conv(16, 16, 3) + 2 * 16)
    second = conv(16, 32, 3) + 5 * conv(32, 32, 3) + 6 * 2 * 32 + conv(16, 32, 1) + 2 * 32
    third = conv(32, 64, 3) + 5 * conv(64, 64, 3) + 6 * 2 * 64 + conv(32, 64, 1) + 2 * 64
    head = (64 + 1) * 10
    model = ResNet(channels=3, widths=[16, 32, 64], blocks=3, classes=10)
    assert params(model) == stem + first + second + third + head == 272_474
    # Twenty layers with weights, the shortcuts aside, as the name says.
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n]
    assert len(layers) == 20


@pytest.mark.parametrize(
    ("name", "config", "shape", "classes"),
    [
        ("mlp", {"inputs": 64, "hidden": [128, 64], "classes": 10}, (1, 8, 8), 10),
        ("mlp", {"inputs": 12, "hidden": [], "classes": 3}, (3, 2, 2), 3),
        ("lenet5", {}, (1, 28, 28), 10),
        ("lenet5", {"filters": [3, 5], "hidden": 7, "classes": 4}, (1, 28, 28), 4),
        ("resnet", {"channels": 1, "widths": [4, 8], "blocks": 1, "classes": 10}, (1, 8, 8), 10),
        ("resnet", {"channels": 3, "widths": [4, 5, 6], "blocks": 2, "classes": 7}, (3, 32, 32), 7),
        (
            "vit",
            {"channels": 1, "side": 8, "patch": 4, "dim": 6, "blocks": 1, "heads": 2, "hidden": 8, "classes": 4},
            (1, 8, 8),
            4,
        ),
        ("torchvision", {"name": "mobilenet_v3_small", "num_classes": 6}, (3, 32, 32), 6),
    ],
)
def test_every_architecture_gives_one_logit_a_class(
    name: str, config: dict[str, object], shape: tuple[int, ...], classes: int
) -> None:
    assert ARCHITECTURES[name](**config).eval()(torch.zeros(5, *shape)).shape == (5, classes)


def test_mlp_is_matrices_with_relu_between() -> None:
    torch.manual_seed(0)
    model, x = MLP(8, [5, 4], 3), torch.randn(6, 2, 2, 2)
    y = x.reshape(6, 8)
    for number, layer in enumerate(model.layers):
        y = y @ layer.weight.T + layer.bias
        y = torch.where(y > 0, y, 0.0) if number < 2 else y
    torch.testing.assert_close(model(x), y)


def test_mlp_drops_pixels_and_hidden_units_in_training_only() -> None:
    torch.manual_seed(0)
    pixels = MLP(1000, [1], 1, input_dropout=0.25)
    seen: list[torch.Tensor] = []
    pixels.layers[0].register_forward_pre_hook(lambda module, x: seen.append(x[0]))
    pixels(torch.ones(1, 1, 10, 100))
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.06)
    model, x = MLP(4, [50], 3, dropout=0.5, input_dropout=0.2), torch.randn(2, 1, 2, 2)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_residual_block_adds_what_the_convolutions_give_to_its_input() -> None:
    torch.manual_seed(0)
    block, x = ResidualBlock(4, 4, 1).eval(), torch.randn(2, 4, 6, 6)
    nn.init.zeros_(block.bn2.weight)  # the convolutions now give nothing: the block is ReLU
    torch.testing.assert_close(block(x), x.clamp(min=0))
    changed = ResidualBlock(4, 6, 2).eval()
    nn.init.zeros_(changed.bn2.weight)
    kernel, norm = changed.shortcut[0].weight, changed.shortcut[1]
    projected = torch.einsum("oc,nchw->nohw", kernel[:, :, 0, 0], x[:, :, ::2, ::2])
    expected = projected / (norm.running_var + norm.eps).sqrt().view(1, -1, 1, 1)
    torch.testing.assert_close(changed(x), F.relu(expected))


def test_resnet_halves_the_resolution_at_every_group_but_the_first() -> None:
    model, sides = ResNet(1, [2, 3, 4], 2, 5), []
    for block in model.blocks:
        block.register_forward_hook(lambda module, x, y: sides.append(y.shape[1:]))
    model(torch.zeros(2, 1, 16, 16))
    assert sides == [(2, 16, 16)] * 2 + [(3, 8, 8)] * 2 + [(4, 4, 4)] * 2


def test_torchvision_models_come_with_random_weights_and_our_classes() -> None:
    # The published count is 25,557,032 with 1,000 classes; 10 classes save 990 × (2048 + 1).
    assert params(torchvision_model("resnet50", 10)) == 25_557_032 - 990 * 2_049
