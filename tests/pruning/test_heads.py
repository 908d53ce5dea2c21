"""Attention heads are cut out for real: against heads silenced by hand and a count of MACs."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from compression.measure import macs
from compression.measure.onnx import export_onnx
from compression.models.files import Blueprint, read_weights, weights_bytes
from compression.models.heads import with_separate_heads
from compression.models.transformers import ViT
from compression.pruning import Groups, coupled_groups, cut, masked, prune
from compression.pruning.surgery import Indices, outputs
from compression.pruning.units import unit_scores
from compression.recipe import Prune
from compression.registry import UserError

SHAPE = (1, 6, 6)
BLUEPRINT = Blueprint(
    "vit",
    {"channels": 1, "side": 6, "patch": 2, "dim": 12, "blocks": 2, "heads": 3, "hidden": 16, "classes": 5},
    SHAPE,
)
FIRST, SECOND = "blocks.0.attention.qkv", "blocks.1.attention.qkv"
KEPT = {FIRST: np.array([0, 2]), SECOND: np.array([1])}


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return BLUEPRINT.build().eval()


@pytest.fixture
def groups(model: nn.Module) -> Groups:
    return coupled_groups(model, SHAPE)


def images() -> Tensor:
    return torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1))


def silenced(model: nn.Module, kept: dict[str, Indices]) -> nn.Module:
    """The oracle: what removed heads hand to the projection is set to zero by a hook."""
    twin = copy.deepcopy(model)
    for name, heads in kept.items():
        attention = twin.get_submodule(name.removesuffix(".qkv"))
        gone = [head for head in range(attention.heads) if head not in heads]

        def silence(
            module: nn.Module, given: tuple[Tensor], gone: list[int] = gone, d: int = attention.head_dim
        ) -> Tensor:
            mixed = given[0].clone()
            for head in gone:
                mixed[:, :, head * d : (head + 1) * d] = 0
            return mixed

        attention.proj.register_forward_pre_hook(silence)
    return twin


def test_heads_are_a_group_for_every_attention_and_hidden_units_are_rows(groups: Groups) -> None:
    assert {name: group.width for name, group in groups.cuttable("heads").items()} == {FIRST: 3, SECOND: 3}
    assert {name: group.width for name, group in groups.cuttable("rows").items()} == {
        "blocks.0.fc1": 16,
        "blocks.1.fc1": 16,
    }
    assert groups.cuttable("channels") == {}  # the width of a token stays whole
    (patches,) = [group for group in groups.groups if group.name == "patches"]
    assert "LayerNorm" in patches.protected


def test_each_head_owns_its_rows_of_queries_keys_and_values_and_its_inputs_of_the_projection(groups: Groups) -> None:
    made, read = groups.cuttable("heads")[FIRST].members
    assert (made.side, made.makes, read.layer, read.side) == ("out", True, "blocks.0.attention.proj", "in")
    one = [0] * 4 + [1] * 4 + [2] * 4
    assert made.owner.tolist() == one * 3 and read.owner.tolist() == one


def test_cut_equals_masked_equals_silenced_heads(model: nn.Module, groups: Groups) -> None:
    found = outputs(cut(model, groups, KEPT), images())
    torch.testing.assert_close(found, outputs(masked(model, groups, KEPT), images()))
    torch.testing.assert_close(found, outputs(silenced(model, KEPT), images()))
    assert (found - outputs(model, images())).abs().max() > 1e-3


def test_work_and_parameters_fall_as_counted_by_hand(model: nn.Module, groups: Groups) -> None:
    tokens, dim, head = 9, 12, 4
    smaller = cut(model, groups, KEPT)
    work_of_head = 3 * tokens * dim * head + 2 * tokens * tokens * head + tokens * head * dim
    assert macs(model, SHAPE) - macs(smaller, SHAPE) == 3 * work_of_head  # one head gone and two
    fewer = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in smaller.parameters())
    assert fewer == 3 * (3 * head * (dim + 1) + head * dim)
    assert [block.attention.heads for block in smaller.blocks] == [2, 1]


def test_scores_are_those_of_all_that_makes_a_head(model: nn.Module, groups: Groups) -> None:
    scores = unit_scores(model, groups.cuttable("heads")[SECOND], "magnitude")
    weight = model.get_submodule(SECOND).weight.detach().numpy().reshape(3, 3, 4, 12)  # part, head, row, input
    for head in range(3):
        assert scores[head].item() == pytest.approx(np.abs(weight[:, head]).mean(), rel=1e-5)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_lowest_heads_fall_and_every_layer_keeps_one(model: nn.Module, groups: Groups, scope: str) -> None:
    with torch.no_grad():
        model.get_submodule(FIRST).weight.mul_(0.01)  # all that is weak lies in the first block
    stage = Prune(granularity="heads", scope=scope, sparsity=0.5)
    pruned = prune(model, stage, SHAPE, groups=groups)
    kept = {"layer": [1, 1], "global": [1, 2]}[scope]  # half of three rounds to two
    assert [report.kept for report in pruned.layers] == kept == [b.attention.heads for b in pruned.model.blocks]
    assert [report.width for report in pruned.layers] == [3, 3] and pruned.masks == {}
    for name, stays in pruned.kept.items():
        scores = unit_scores(model, groups.cuttable("heads")[name], "magnitude")
        assert scores[torch.from_numpy(stays)].min() > scores[torch.from_numpy(~stays)].max()
    assert {r.kept for r in prune(model, Prune(granularity="heads", sparsity=0.99), SHAPE).layers} == {1}


def test_every_number_of_heads_is_allowed_whatever_round_to_says(model: nn.Module, groups: Groups) -> None:
    stage = Prune(granularity="heads", scope="layer", sparsity=0.33, round_to=8)
    assert [report.kept for report in prune(model, stage, SHAPE, groups=groups).layers] == [2, 2]


def test_a_cut_model_is_saved_loaded_cut_again_trained_and_exported(
    model: nn.Module, groups: Groups, tmp_path: Path
) -> None:
    smaller = cut(model, groups, KEPT)
    loaded = read_weights(weights_bytes(smaller, BLUEPRINT), "memory").model
    assert torch.equal(loaded(images()), smaller(images()))
    export_onnx(smaller, SHAPE, tmp_path / "cut.onnx")  # compares the outputs itself
    again = coupled_groups(smaller, SHAPE)
    assert {name: group.width for name, group in again.cuttable("heads").items()} == {FIRST: 2, SECOND: 1}
    smaller.train()(images()).sum().backward()
    assert all(p.grad is not None for p in smaller.parameters())


def test_a_model_without_attention_says_so() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(UserError, match="The model has no heads that can be cut; it has rows"):
        prune(model, Prune(granularity="heads", sparsity=0.5), (1, 2, 2))


def test_shared_weights_protect_heads(model: nn.Module) -> None:
    vit = copy.deepcopy(model)
    assert isinstance(vit, ViT)
    vit.blocks[1].attention.qkv.weight = vit.blocks[0].attention.qkv.weight
    found = {group.name: group.protected for group in coupled_groups(vit, SHAPE).groups if group.kind == "heads"}
    assert set(found) == {FIRST, SECOND} and all("shares its weights" in reason for reason in found.values())


def test_torchvisions_transformer_loses_heads_rows_and_blocks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 16, "mlp_dim": 24, "num_classes": 5}
    model = torchvision.models.VisionTransformer(image_size=8, patch_size=4, **sizes).eval()
    nn.init.normal_(model.heads.head.weight)
    model = with_separate_heads(model)
    groups = coupled_groups(model, (3, 8, 8))
    attention = "encoder.layers.encoder_layer_{}.self_attention.attention.qkv"
    assert list(groups.cuttable("heads")) == [attention.format(0), attention.format(1)]
    kept = {attention.format(0): np.array([1, 3]), attention.format(1): np.array([0])}
    kept |= {name: np.arange(0, 24, 3) for name in groups.cuttable("rows")}
    smaller, images = cut(model, groups, kept), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(outputs(smaller, images), outputs(masked(model, groups, kept), images))
    assert macs(smaller, (3, 8, 8)) < 0.6 * macs(model, (3, 8, 8))
    export_onnx(smaller, (3, 8, 8), tmp_path / "vit.onnx")
    shallow = prune(smaller, Prune(granularity="blocks", sparsity=0.5), (3, 8, 8))
    assert shallow.achieved == 0.5 and outputs(shallow.model, images).shape == (2, 5)
