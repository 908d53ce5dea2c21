"""A model's card: its numbers are those of a hand count, and what it says of pruning is what pruning does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from compression import card as card_module
from compression.card import model_card_of
from compression.models.files import Blueprint, initialised, read_weights, weights_bytes
from compression.models.imports import import_model
from compression.pruning import GRANULARITIES, Groups, coupled_groups, prune
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError
from tests.pruning.test_families import FAMILIES

DOCS = Path(__file__).parents[1] / "docs" / "models.md"
MEMBERS = {
    "AlexNet": ("alexnet", 64), "VGG": ("vgg11", 32), "ResNet-18": ("resnet18", 32), "ResNet-50": ("resnet50", 32),
    "ResNeXt": ("resnext50_32x4d", 32), "WideResNet": ("wide_resnet50_2", 32), "SqueezeNet": ("squeezenet1_1", 64),
    "DenseNet": ("densenet121", 32), "Inception": ("inception_v3", 96), "GoogLeNet": ("googlenet", 64),
    "ShuffleNetV2": ("shufflenet_v2_x0_5", 64), "MobileNetV2": ("mobilenet_v2", 32),
    "MobileNetV3": ("mobilenet_v3_small", 32), "MNASNet": ("mnasnet0_5", 32), "EfficientNet": ("efficientnet_b0", 32),
    "EfficientNetV2": ("efficientnet_v2_s", 32), "RegNetX": ("regnet_x_400mf", 32), "RegNetY": ("regnet_y_400mf", 32),
    "ConvNeXt": ("convnext_tiny", 32), "ViT": ("vit_b_32", 32), "Swin": ("swin_t", 32), "SwinV2": ("swin_v2_t", 32),
    "MaxViT": ("maxvit_t", 224),
}  # fmt: skip
"""A whole member of each family, and the side of its images."""


def card_of(blueprint: Blueprint) -> dict[str, dict[str, object]]:
    card = model_card_of("it", initialised(blueprint), blueprint, ("a note",))
    return {"whole": card, **{row["granularity"]: row for row in card["prune"]}}


def test_the_numbers_of_a_small_network_are_those_of_a_hand_count() -> None:
    said = card_of(Blueprint("mlp", {"inputs": 12, "hidden": [6], "classes": 4}, (3, 2, 2)))
    whole = said["whole"]
    assert (whole["params"], whole["macs"], whole["classes"]) == (12 * 6 + 6 + 6 * 4 + 4, 12 * 6 + 6 * 4, 4)
    assert whole["layers"] == [
        {"layer": "layers.0", "kind": "Linear", "shape": [6, 12], "params": 78, "macs": 72, "cut": "rows", "units": 6,
         "why": ""},
        {"layer": "layers.1", "kind": "Linear", "shape": [4, 6], "params": 28, "macs": 24, "cut": "", "units": 0,
         "why": "it gives the model's output"},
    ]  # fmt: skip
    assert said["weights"] == {"granularity": "weights", "layers": 2, "units": 96, "why": ""}
    assert said["rows"] == {"granularity": "rows", "layers": 1, "units": 6, "why": ""}
    assert (said["channels"]["layers"], said["channels"]["why"]) == (0, "the model has no channels")
    assert str(said["kernels"]["why"]).startswith("The model has no kernels to prune")
    assert whole["notes"] == ["a note"] and list(said)[1:] == list(GRANULARITIES)


def test_heads_and_what_cannot_be_narrowed_are_told_apart() -> None:
    sizes = {"channels": 1, "side": 4, "patch": 2, "dim": 8, "blocks": 2, "heads": 4, "hidden": 6, "classes": 3}
    said = card_of(Blueprint("vit", sizes, (1, 4, 4)))
    assert [(said[kind]["layers"], said[kind]["units"]) for kind in STRUCTURED] == [(2, 12), (0, 0), (2, 8), (2, 2)]
    assert "(LayerNorm), which cannot be narrowed" in str(said["channels"]["why"])
    cut = {row["layer"]: (row["cut"], row["units"]) for row in said["whole"]["layers"]}  # type: ignore[attr-defined]
    assert cut["blocks.0.attention.qkv"] == ("heads", 4)
    assert cut["blocks.0.fc1"] == ("rows", 6)
    assert cut["patches"] == cut["head"] == ("", 0)


class Detached(nn.Module):
    """Gives no gradient to follow, or with ``branches`` runs only where none is asked for."""

    def __init__(self, branches: bool = False) -> None:
        super().__init__()
        self.layer, self.branches = nn.Linear(4, 3), branches

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.branches and x.requires_grad | torch.is_grad_enabled():
            raise RuntimeError("not here")
        return self.layer(x.flatten(1)).detach()


@pytest.mark.parametrize(
    ("branches", "why"),
    [(False, "the model has no rows"), (True, "The model's layers cannot be traced on an input of 1×2×2 (not here)")],
)
def test_a_model_that_cannot_be_followed_loses_single_weights_all_the_same(branches: bool, why: str) -> None:
    card = model_card_of("it", Detached(branches), Blueprint("", {}, (1, 2, 2)))
    rows = {row["granularity"]: row for row in card["prune"]}
    assert rows["weights"]["units"] == 12
    assert rows["rows"]["layers"] == 0 and str(rows["rows"]["why"]).startswith(why)
    assert card["layers"][0]["cut"] == "" and card["layers"][0]["why"]


def test_the_table_of_members_has_every_family() -> None:
    assert list(MEMBERS) == list(FAMILIES)
    narrowed = [f for f in FAMILIES.values() if isinstance(f.channels, int) or isinstance(f.heads, int)]
    assert len(narrowed) >= 0.9 * len(FAMILIES)


def test_the_docs_tell_which_families_lose_what() -> None:
    told = re.findall(r"^\| (\S+) \| `(\w+)` \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    kinds = ("channels", "rows", "heads", "blocks")
    assert told == [
        (family, MEMBERS[family][0], " | ".join("yes" if isinstance(getattr(cut, k), int) else "no" for k in kinds))
        for family, cut in FAMILIES.items()
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("family", MEMBERS)
def test_every_family_comes_in_by_name_and_is_pruned_as_its_card_says(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Groups] = []  # by the card, which takes the longest; they are not sought twice

    def kept(model: nn.Module, shape: tuple[int, ...]) -> Groups:
        found.append(coupled_groups(model, shape))
        return found[0]

    monkeypatch.setattr(card_module, "coupled_groups", kept)
    name, side = MEMBERS[family]
    made = import_model(f"torchvision:{name}", classes=5, input_shape=(3, side, side))
    images = torch.randn(1, 3, side, side)
    again = read_weights(weights_bytes(made.model, made.blueprint), name).model
    with torch.inference_mode():
        assert torch.equal(again(images), made.model(images))
    card = model_card_of(name, again, made.blueprint)
    assert card["params"] == sum(p.numel() for p in made.model.parameters()) and card["macs"] > 0
    rows = {row["granularity"]: row for row in card["prune"]}
    for kind in STRUCTURED:
        assert (rows[kind]["layers"] > 0) == isinstance(getattr(FAMILIES[family], kind), int) == (not rows[kind]["why"])
    kind = next((kind for kind in ("channels", "heads", "rows") if rows[kind]["layers"]), "channels")
    half = Prune(granularity=kind, scope="layer", sparsity=0.5, round_to=1)  # type: ignore[arg-type]
    if rows[kind]["layers"]:
        pruned = prune(again, half, (3, side, side), groups=found[0])
        assert pruned.achieved == pytest.approx(0.5, abs=0.06)
        assert sum(p.numel() for p in pruned.model.parameters()) < card["params"]
    else:
        with pytest.raises(UserError) as caught:
            prune(again, half, (3, side, side))
        assert str(caught.value) == rows[kind]["why"]
