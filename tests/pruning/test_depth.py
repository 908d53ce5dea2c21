"""Whole blocks are taken out: which ones there are, and what is left, against networks built without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from compression.models.architectures import ResNet
from compression.models.files import Blueprint, read_weights, weights_bytes
from compression.models.structure import removed
from compression.models.transformers import ViT
from compression.pruning import coupled_groups, cut, masked, prune
from compression.pruning.surgery import outputs
from compression.recipe import Prune
from compression.registry import UserError

VIT = {"channels": 1, "side": 6, "patch": 2, "dim": 8, "blocks": 4, "heads": 2, "hidden": 10, "classes": 5}
RESNET = {"channels": 1, "widths": [4, 8], "blocks": 3, "classes": 5}
BLUEPRINTS = {"vit": Blueprint("vit", VIT, (1, 6, 6)), "resnet": Blueprint("resnet", RESNET, (1, 6, 6))}


def vit() -> nn.Module:
    return ViT(**VIT)


def resnet() -> nn.Module:
    return ResNet(**RESNET)


def bottleneck() -> nn.Module:
    return torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [2, 1, 2, 1], num_classes=5)


def encoder() -> nn.Module:
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 12, "num_classes": 5}
    return torchvision.models.VisionTransformer(image_size=32, patch_size=16, **sizes)


def inverted() -> nn.Module:
    setting = [[1, 8, 1, 1], [2, 8, 3, 2]]  # expansion, channels, blocks, stride of the first
    return torchvision.models.MobileNetV2(num_classes=5, width_mult=0.5, inverted_residual_setting=setting)


def made(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build()
    for module in model.modules():  # so that no block is the identity by chance of its initialisation
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
        elif isinstance(module, nn.Linear):  # the head of torchvision's transformer is zero
            nn.init.normal_(module.weight, 0, 0.3)
    return model.eval()


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[str, ...]]] = {
    "vit": (vit, (1, 6, 6), ("blocks.0", "blocks.1", "blocks.2", "blocks.3")),
    # The first block of the second group halves the resolution over a convolution.
    "resnet": (resnet, (1, 6, 6), ("blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.5")),
    "bottleneck": (bottleneck, (3, 32, 32), ("layer1.1", "layer3.1")),
    "encoder": (encoder, (3, 32, 32), ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1")),
    "inverted": (inverted, (3, 32, 32), ("features.3", "features.4")),
}


def noise(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CASES)
def test_blocks_are_those_whose_shortcut_is_the_identity(name: str) -> None:
    build, shape, blocks = CASES[name]
    assert tuple(coupled_groups(made(build), shape).cuttable("blocks")) == blocks


@pytest.mark.parametrize("name", CASES)
def test_cut_equals_masked_equals_a_forward_that_skips_the_block(name: str) -> None:
    build, shape, blocks = CASES[name]
    model, images = made(build), noise(shape)
    groups, gone = coupled_groups(model, shape), dict.fromkeys(blocks[1:], np.arange(0))
    smaller = cut(model, groups, gone)
    assert removed(smaller) == blocks[1:] and not removed(model)
    found, before = outputs(smaller, images), outputs(model, images)
    torch.testing.assert_close(found, outputs(masked(model, groups, gone), images))
    assert (found - before).abs().max() > 1e-4
    hooks = [model.get_submodule(block).register_forward_hook(lambda _, given, made: given[0]) for block in gone]
    torch.testing.assert_close(found, outputs(model, images))
    assert len(hooks) == len(gone)
    fewer = sum(p.numel() for block in gone for p in model.get_submodule(block).parameters())
    assert sum(p.numel() for p in smaller.parameters()) == sum(p.numel() for p in model.parameters()) - fewer


def test_a_shallower_network_with_the_same_weights_gives_the_same() -> None:
    model = made(vit)
    pruned = prune(model, Prune(granularity="blocks", sparsity=0.5), (1, 6, 6))
    left = [number for number, block in enumerate(model.blocks) if f"blocks.{number}" not in removed(pruned.model)]
    shallow = ViT(**{**VIT, "blocks": 2}).eval()
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("blocks.")}
    for to, number in enumerate(left):
        state |= {f"blocks.{to}.{k}": v for k, v in model.blocks[number].state_dict().items()}
    shallow.load_state_dict(state)
    images = noise((1, 6, 6))
    torch.testing.assert_close(pruned.model(images), shallow(images))


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_blocks_of_the_smallest_weights_go(scope: str) -> None:
    model = made(vit)
    with torch.no_grad():
        for layer in (model.blocks[1].fc1, model.blocks[3].attention.qkv):
            layer.weight.zero_()
    pruned = prune(model, Prune(granularity="blocks", scope=scope, sparsity=0.5), (1, 6, 6))
    assert removed(pruned.model) == ("blocks.1", "blocks.3")
    assert pruned.achieved == pruned.asked == 0.5 and pruned.masks == {}
    reports = {report.layer: (report.kept, report.width, report.achieved) for report in pruned.layers}
    assert reports == {f"blocks.{i}": (1, 1, 0.0) if i in (0, 2) else (0, 1, 1.0) for i in range(4)}
    assert pruned.layers[0].shape == (3 * 8 * 8 + 8 * 8 + 2 * 8 * 10,)
    assert {name: stays.tolist() for name, stays in pruned.kept.items()} == {
        f"blocks.{i}": [i in (0, 2)] for i in range(4)
    }


def test_a_score_is_the_mean_over_all_weights_of_a_block() -> None:
    model = made(vit)
    scores = {}
    for number, block in enumerate(model.blocks):
        weights = [
            layer.weight.flatten() for layer in (block.attention.qkv, block.attention.proj, block.fc1, block.fc2)
        ]
        scores[f"blocks.{number}"] = torch.cat(weights).abs().mean().item()
    middle = sum(sorted(scores.values())[1:3]) / 2
    pruned = prune(model, Prune(granularity="blocks", threshold=middle), (1, 6, 6))
    assert set(removed(pruned.model)) == {name for name, score in scores.items() if score < middle}


@pytest.mark.parametrize("criterion", ["l2", "random", "batchnorm"])
def test_other_criteria_rank_blocks_too(criterion: str) -> None:
    pruned = prune(made(resnet), Prune(granularity="blocks", criterion=criterion, sparsity=0.4), (1, 6, 6))
    assert len(removed(pruned.model)) == 2


def test_one_block_stays_and_one_can_be_kept_by_name() -> None:
    model = made(vit)
    most = prune(model, Prune(granularity="blocks", sparsity=0.99), (1, 6, 6))
    assert len(removed(most.model)) == 3
    kept = prune(model, Prune(granularity="blocks", sparsity=0.99, overrides={"blocks.2": 0}), (1, 6, 6))
    assert removed(kept.model) == ("blocks.0", "blocks.1", "blocks.3")


@pytest.mark.parametrize("kind", BLUEPRINTS)
def test_a_file_remembers_what_is_gone(kind: str) -> None:
    torch.manual_seed(0)
    blueprint = BLUEPRINTS[kind]
    shallow = prune(blueprint.build().eval(), Prune(granularity="blocks", sparsity=0.5), (1, 6, 6)).model
    narrow = "heads" if kind == "vit" else "channels"
    smaller = prune(shallow, Prune(granularity=narrow, scope="layer", sparsity=0.5), (1, 6, 6)).model
    loaded = read_weights(weights_bytes(smaller, blueprint), "memory")
    assert removed(loaded.model) == removed(smaller) and len(removed(smaller)) == 2
    images = noise((1, 6, 6))
    assert torch.equal(loaded.model(images), smaller(images))
    once_more = prune(loaded.model, Prune(granularity="blocks", sparsity=0.5), (1, 6, 6))
    assert len(removed(once_more.model)) > 2


@pytest.mark.parametrize(
    ("build", "fields", "words"),
    [
        (vit, {"sparsity": 0.1}, "Nothing pruned: sparsity 0.1 takes none of the blocks; raise it"),
        (vit, {"sparsity": 0.5, "overrides": {"blocks.0": 0.5}}, "'blocks.0' 0.5; a block stays or goes, so only 0"),
        (vit, {"sparsity": 0.5, "overrides": {"blocks.9": 0}}, "Unknown layer in overrides 'blocks.9'"),
        (vit, {"threshold": 9.0}, "threshold 9 would remove every block, the highest of which scores"),
        (vit, {"sparsity": 0.5, "criterion": "lamp"}, "criterion 'lamp' cannot rank blocks"),
        (lambda: ResNet(1, [4, 8], 1, 5), {"sparsity": 0.5}, "no blocks that can be cut .it is the only block"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 36), nn.ReLU(), nn.Linear(36, 2)),
            {"sparsity": 0.5},
            "no bl",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(build: Callable[[], nn.Module], fields: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        prune(made(build), Prune.model_validate({"granularity": "blocks", **fields}), (1, 6, 6))
    assert "\n" not in str(fault.value)


class Scaled(nn.Module):
    """Adds to half of its input, so that the identity cannot stand in for it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + self.layer(x)


class Plain(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer(x)


def test_a_shortcut_that_changes_its_input_is_no_block_and_of_nested_ones_the_innermost_count() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Scaled(), nn.Sequential(Plain(), Plain()), nn.Linear(6, 2))
    assert tuple(coupled_groups(model, (6,)).cuttable("blocks")) == ("1.0", "1.1")


def test_a_block_that_runs_twice_is_left_alone() -> None:
    torch.manual_seed(0)
    twice = Plain()
    model = nn.Sequential(twice, twice, Plain(), Plain(), nn.Linear(6, 2))
    assert tuple(coupled_groups(model, (6,)).cuttable("blocks")) == ("2", "3")
