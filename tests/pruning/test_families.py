"""Which of torchvision's classification families prune, what of them, and why the rest does not.

Each is a small member of its family, of the family's own blocks. Half of every kind goes: a number in
the table says in how many groups of coupled units (or in how many blocks), and words say why there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import convnext, efficientnet, resnet, swin_transformer, vgg

from compression.models.architectures import torchvision_model
from compression.models.heads import with_separate_heads
from compression.models.structure import removed
from compression.pruning import Groups, coupled_groups, prune
from compression.pruning.surgery import outputs
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError

named = partial(partial, torchvision_model, num_classes=5)
NONE = "has no"
WIDTH = r"passes through .* \(LayerNorm.*\), which cannot be narrowed"
HEAD = "no rows that can be cut .it gives the model's output"


@dataclass(frozen=True)
class Family:
    """A member and what can be cut of it: how many groups, or the reason why there are none."""

    build: Callable[[], nn.Module]
    side: int
    channels: int | str
    rows: int | str
    heads: int | str = NONE
    blocks: int | str = NONE


def small_head(model: nn.Module) -> nn.Module:
    """Without the hundred million weights that some members have in their first linear layers."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear):
            inputs = layer.in_features if layer.in_features > 4096 else 16
            model.set_submodule(name, nn.Linear(inputs, layer.out_features if layer.out_features == 5 else 16))
    return model


def bottlenecks(**options: int) -> nn.Module:
    return models.ResNet(resnet.Bottleneck, [2, 1, 1, 2], num_classes=5, **options)


def efficientnet_v2() -> nn.Module:
    setting = [
        efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
        efficientnet.FusedMBConvConfig(4, 3, 2, 8, 16, 2),
        efficientnet.MBConvConfig(4, 3, 2, 16, 24, 2),
    ]
    return models.EfficientNet(setting, dropout=0.1, last_channel=32, num_classes=5)


def convnext_of_three() -> nn.Module:
    return models.ConvNeXt([convnext.CNBlockConfig(8, 16, 2), convnext.CNBlockConfig(16, None, 1)], num_classes=5)


def vit() -> nn.Module:
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 16, "mlp_dim": 24, "num_classes": 5}
    return with_separate_heads(models.VisionTransformer(image_size=32, patch_size=16, **sizes))


def swin(block: type[nn.Module], merging: type[nn.Module]) -> nn.Module:
    sizes = {"patch_size": [4, 4], "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4], "window_size": [2, 2]}
    model = models.SwinTransformer(**sizes, num_classes=5, block=block, downsample_layer=merging)
    return with_separate_heads(model)


def maxvit() -> nn.Module:
    sizes = {"input_size": (64, 64), "stem_channels": 8, "partition_size": 2, "block_channels": [8, 16]}
    return models.MaxVit(**sizes, block_layers=[1, 2], head_dim=8, stochastic_depth_prob=0.1, num_classes=5)


FAMILIES = {
    "AlexNet": Family(lambda: small_head(named("alexnet")()), 64, channels=5, rows=2),
    "VGG": Family(lambda: small_head(models.VGG(vgg.make_layers([8, "M", 512], True), 5)), 32, channels=2, rows=2),
    "ResNet-18": Family(named("resnet18"), 32, channels=1 + 8 + 3, rows=HEAD, blocks=5),
    "ResNet-50": Family(bottlenecks, 32, channels=1 + 2 * 6 + 4, rows=HEAD, blocks=2),
    "ResNeXt": Family(partial(bottlenecks, groups=32, width_per_group=4), 32, channels=17, rows=HEAD, blocks=2),
    "WideResNet": Family(partial(bottlenecks, width_per_group=128), 32, channels=17, rows=HEAD, blocks=2),
    "SqueezeNet": Family(named("squeezenet1_1"), 64, channels=1 + 8 * 3, rows=NONE),
    "DenseNet": Family(lambda: models.DenseNet(8, (2, 2, 2), 16, num_classes=5), 32, channels=1 + 12 + 2, rows=HEAD),
    "Inception": Family(named("inception_v3", init_weights=False), 96, channels=94, rows=HEAD),
    "GoogLeNet": Family(named("googlenet", init_weights=False), 64, channels=3 + 9 * 6, rows=HEAD),
    # What is shuffled between its two halves stays whole: cut are the stem, the last layer and what blocks hide.
    "ShuffleNetV2": Family(named("shufflenet_v2_x0_5"), 64, channels=1 + 16 + 1, rows=HEAD),
    "MobileNetV2": Family(named("mobilenet_v2"), 32, channels=25, rows=HEAD, blocks=10),
    "MobileNetV3": Family(named("mobilenet_v3_small"), 32, channels=26, rows=1, blocks=6),
    "MNASNet": Family(named("mnasnet0_5"), 32, channels=25, rows=HEAD, blocks=10),
    "EfficientNet": Family(named("efficientnet_b0"), 32, channels=40, rows=HEAD, blocks=9),
    "EfficientNetV2": Family(efficientnet_v2, 32, channels=1 + 3 + 5 + 1, rows=HEAD, blocks=4),
    "RegNetX": Family(named("regnet_x_400mf"), 32, channels=49, rows=HEAD, blocks=18),
    "RegNetY": Family(named("regnet_y_400mf"), 32, channels=53, rows=HEAD, blocks=12),
    "ConvNeXt": Family(convnext_of_three, 32, WIDTH, rows=3, blocks=3),
    "ViT": Family(vit, 32, WIDTH, rows=2, heads=2, blocks=2),
    "Swin": Family(
        lambda: swin(swin_transformer.SwinTransformerBlock, swin_transformer.PatchMerging),
        32,
        WIDTH,
        4,
        heads=4,
        blocks=4,
    ),
    "SwinV2": Family(
        lambda: swin(swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2),
        32,
        WIDTH,
        rows=8,
        heads=4,
        blocks=4,
    ),
    "MaxViT": Family(maxvit, 64, channels=8, rows=7, blocks=7),
}


def test_the_table_holds_every_family_of_classifiers() -> None:
    families = {models.get_model_builder(name).__module__ for name in models.list_models(module=models)}
    assert len(families) == 17  # ResNet's file holds ResNeXt and WideResNet too, others two versions each
    inside = {"resnet": 4, "mobilenetv2": 1, "mobilenetv3": 1, "efficientnet": 2, "regnet": 2, "swin_transformer": 2}
    assert len(FAMILIES) == sum(inside.get(family.rsplit(".", 1)[1], 1) for family in families)


@pytest.mark.parametrize("name", FAMILIES)
def test_half_goes_or_the_reason_is_given(name: str) -> None:
    torch.manual_seed(0)
    family, shape = FAMILIES[name], (3, FAMILIES[name].side, FAMILIES[name].side)
    model = family.build().eval()
    groups = coupled_groups(model, shape)
    for kind in STRUCTURED:
        asked = Prune(granularity=kind, scope="layer", sparsity=0.5, round_to=1)
        expected = getattr(family, kind)
        if isinstance(expected, str):
            with pytest.raises(UserError, match=expected):
                prune(model, asked, shape, groups=groups)
        else:
            assert len(groups.cuttable(kind)) == expected, kind
            check_half(model, asked, shape, groups)


def check_half(model: nn.Module, asked: Prune, shape: tuple[int, ...], groups: Groups) -> None:
    pruned = prune(model, asked, shape, groups=groups)
    if asked.granularity == "blocks":
        count = len(groups.cuttable("blocks"))
        assert len(removed(pruned.model)) == round(0.5 * count) == round(pruned.achieved * count)
    else:
        assert pruned.achieved == pytest.approx(0.5, abs=0.06)
    for group in groups.cuttable(asked.granularity).values():
        for layer in group.layers if asked.granularity != "blocks" else ():
            stays = pruned.kept[layer]
            shared = len(model.get_submodule(layer).weight) // len(stays)  # a head has several rows
            assert len(pruned.model.get_submodule(layer).weight) == shared * stays.sum() < shared * len(stays)
    assert outputs(pruned.model, torch.rand(2, *shape)).shape == (2, 5)
    assert sum(p.numel() for p in pruned.model.parameters()) < sum(p.numel() for p in model.parameters())
