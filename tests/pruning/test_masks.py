from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.utils.prune as torch_prune
from torch import Tensor, nn

from compression.pruning import apply_masks, prunable, weight_masks
from compression.pruning.masks import check_finite, masked_copy, n_of_m
from compression.recipe import Prune
from compression.registry import UserError
from tests.pruning.nets import CASES


def lenet() -> nn.Module:
    return CASES["lenet_channels"].model()


def stage(**fields: object) -> Prune:
    return Prune.model_validate(fields)


def torch_masks(model: nn.Module) -> dict[str, Tensor]:
    return {name: m.weight_mask.bool() for name, m in model.named_modules() if hasattr(m, "weight_mask")}


def test_prunable_are_linear_layers_and_convolutions_the_head_included() -> None:
    assert list(prunable(lenet())) == ["conv1", "conv2", "fc1", "fc2"]
    assert list(prunable(lenet(), "kernels")) == ["conv1", "conv2"]
    assert list(prunable(CASES["residual"].model())) == ["stem", "a1", "a2", "b1", "b2", "short", "head"]


def test_a_shared_weight_counts_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert list(prunable(model)) == ["0"]


def test_nothing_prunable_and_hooked_weights_are_errors() -> None:
    with pytest.raises(UserError, match="has no kernels to prune: it has none of Conv1d, Conv2d, Conv3d"):
        prunable(CASES["mlp"].model(), "kernels")
    model = lenet()
    torch_prune.l1_unstructured(model.conv2, "weight", amount=0.5)
    with pytest.raises(UserError, match="Layer 'conv2' carries a mask"):
        prunable(model)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_within_layers_equals_torch_l1_unstructured(sparsity: float) -> None:
    model = lenet()
    masks = weight_masks(model, stage(sparsity=sparsity, scope="layer"))
    for layer in prunable(model).values():
        torch_prune.l1_unstructured(layer, "weight", amount=sparsity)
    oracle = torch_masks(model)
    assert masks.keys() == oracle.keys()
    for name, mask in masks.items():
        assert torch.equal(mask, oracle[name]), name
        assert int((~mask).sum()) == round(sparsity * mask.numel())


@pytest.mark.parametrize("criterion", ["magnitude", "l2"])
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_across_layers_equals_torch_global_unstructured(sparsity: float, criterion: str) -> None:
    model = lenet()
    masks = weight_masks(model, stage(sparsity=sparsity, criterion=criterion))
    pairs = [(layer, "weight") for layer in prunable(model).values()]
    torch_prune.global_unstructured(pairs, torch_prune.L1Unstructured, amount=sparsity)
    for name, mask in torch_masks(model).items():
        assert torch.equal(masks[name], mask), name
    fallen = sum(int((~mask).sum()) for mask in masks.values())
    assert fallen == round(sparsity * sum(mask.numel() for mask in masks.values()))


def test_threshold_drops_what_is_smaller() -> None:
    model = lenet()
    masks = weight_masks(model, stage(threshold=0.05))
    for name, layer in prunable(model).items():
        assert torch.equal(masks[name], layer.weight.abs() >= 0.05)


def test_lamp_across_layers_equals_a_slow_loop() -> None:
    model = lenet()
    masks = weight_masks(model, stage(sparsity=0.7, criterion="lamp"))
    ranked = []
    for name, layer in prunable(model).items():
        flat = layer.weight.detach().flatten().double().numpy()
        order = np.argsort(np.abs(flat), kind="stable")
        for place, i in enumerate(order):
            ranked.append((flat[i] ** 2 / (flat[order[place:]] ** 2).sum(), name, i))
    ranked.sort()
    fallen = ranked[: round(0.7 * len(ranked))]
    for name, mask in masks.items():
        oracle = np.ones(mask.numel(), bool)
        oracle[[i for _, layer, i in fallen if layer == name]] = False
        assert np.array_equal(mask.flatten().numpy(), oracle)


def test_random_is_a_control_with_exact_counts_and_nested_masks() -> None:
    model = lenet()
    half = weight_masks(model, stage(sparsity=0.5, criterion="random", scope="layer"), seed=1)
    most = weight_masks(model, stage(sparsity=0.8, criterion="random", scope="layer"), seed=1)
    other = weight_masks(model, stage(sparsity=0.5, criterion="random", scope="layer"), seed=2)
    for name, mask in half.items():
        assert int((~mask).sum()) == round(0.5 * mask.numel())
        assert not (most[name] & ~mask).any()
        assert not torch.equal(mask, other[name])


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_kernels_fall_whole(scope: str) -> None:
    model = lenet()
    masks = weight_masks(model, stage(granularity="kernels", sparsity=0.4, scope=scope))
    assert list(masks) == ["conv1", "conv2"]
    means = {
        name: [[float(np.abs(kernel).mean()) for kernel in row] for row in layer.weight.detach().numpy()]
        for name, layer in prunable(model, "kernels").items()
    }
    every = sorted(value for rows in means.values() for row in rows for value in row)
    for name, mask in masks.items():
        flags = mask.flatten(2)
        assert torch.equal(flags.all(2), flags.any(2))
        own = sorted(value for row in means[name] for value in row)
        pool = every if scope == "global" else own
        cut = pool[round(0.4 * len(pool))]
        assert flags.all(2).tolist() == [[value >= cut for value in row] for row in means[name]]


def slow_n_of_m(row: list[float], kept: int, group: int) -> list[bool]:
    """Of each group, filled up with zeros where it is short, the highest stay; of equal ones the later."""
    keep = []
    for start in range(0, len(row), group):
        part = row[start : start + group]
        best = sorted(range(len(part)), key=lambda i: (part[i], i))[-kept:]
        keep += [i in best for i in range(len(part))]
    return keep


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "4:8"])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 8, 11, 16])
@pytest.mark.parametrize("ties", [False, True])
def test_n_of_m_equals_a_slow_loop(pattern: str, inputs: int, ties: bool) -> None:
    kept, group = map(int, pattern.split(":"))
    random = np.random.default_rng(inputs)
    values = random.integers(0, 3, (5, inputs)) / 3 if ties else random.random((5, inputs))
    mask = n_of_m(torch.from_numpy(values), kept, group)
    assert mask.tolist() == [slow_n_of_m(row, kept, group) for row in values.tolist()]


def test_n_of_m_runs_along_the_input_channels_of_a_convolution() -> None:
    model = lenet()
    masks = weight_masks(model, stage(granularity="2:4"))
    assert masks["conv1"].all()  # one input channel: at most two of four are left anyway
    weight, mask = model.conv2.weight.detach().abs(), masks["conv2"]
    assert mask.shape == (8, 6, 3, 3) and mask.is_contiguous()
    for o in range(8):
        for y in range(3):
            for x in range(3):
                row = weight[o, :, y, x].tolist()
                assert mask[o, :, y, x].tolist() == slow_n_of_m(row, 2, 4)
    assert masks["fc1"].view(10, -1, 4).sum(-1).unique().tolist() == [2]


def test_overrides_set_single_layers() -> None:
    model = lenet()
    masks = weight_masks(model, stage(sparsity=0.5, overrides={"fc2": 0.0, "conv2": 0.25}))
    assert masks["fc2"].all()
    assert int((~masks["conv2"]).sum()) == round(0.25 * masks["conv2"].numel())
    rest = [masks["conv1"], masks["fc1"]]
    assert sum(int((~m).sum()) for m in rest) == round(0.5 * sum(m.numel() for m in rest))
    patterned = weight_masks(model, stage(granularity="2:4", overrides={"fc1": 0.0}))
    assert patterned["fc1"].all() and not patterned["fc2"].all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sparsity": 0.5, "overrides": {"conv3": 0.1}}, "Unknown layer in overrides 'conv3' \\(did you mean 'conv"),
        ({"granularity": "kernels", "sparsity": 0.5, "overrides": {"fc1": 0.1}}, "choose one of: conv1, conv2"),
        ({"threshold": 0.3}, "threshold 0.3 would remove all of layer"),
        ({"sparsity": 0.995, "scope": "layer"}, "sparsity 0.995 leaves none of the 54 weights of layer 'conv1'"),
        ({"sparsity": 0.5, "overrides": {"conv1": 0.999}}, "sparsity 0.999 leaves none of the 54 weights"),
        ({"sparsity": 0.5, "criterion": "batchnorm"}, "criterion 'batchnorm' cannot rank weights"),
    ],
)
def test_bad_settings_are_one_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        weight_masks(lenet(), stage(**fields))
    assert "\n" not in str(fault.value)


def test_apply_masks_zeros_in_place_and_only_there() -> None:
    model, before = lenet(), lenet()
    masks = weight_masks(model, stage(sparsity=0.6))
    weight = model.fc1.weight
    apply_masks(model, masks)
    assert model.fc1.weight is weight
    for name, layer in prunable(model).items():
        assert torch.equal(layer.weight, before.get_submodule(name).weight * masks[name])
        assert torch.equal(layer.bias, before.get_submodule(name).bias)
    with pytest.raises(UserError, match="Unknown layer 'conv9'"):
        apply_masks(model, {"conv9": masks["fc1"]})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_masked_copy_equals_copy_then_apply(dtype: torch.dtype) -> None:
    model = lenet().to(dtype).train()
    model.conv1.weight.requires_grad_(False)
    before = copy.deepcopy(model)
    masks = weight_masks(model, stage(sparsity=0.6))
    oracle = copy.deepcopy(model)
    apply_masks(oracle, masks)
    twin = masked_copy(model, masks)
    for (name, new), old in zip(twin.named_parameters(), oracle.parameters(), strict=True):
        assert torch.equal(new, old) and new.dtype == dtype, name
        assert new.requires_grad == old.requires_grad and not torch.signbit(new[new == 0]).any()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))
    assert all(module.training for module in twin.modules())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["conv2.bias", "fc1.weight"])
def test_a_tensor_that_is_not_finite_is_named(name: str, value: float) -> None:
    model = lenet()
    check_finite(model)
    with torch.no_grad():
        model.get_parameter(name).view(-1)[3] = value
    with pytest.raises(UserError, match=f"Tensor '{name}' of the model holds NaN or infinite"):
        check_finite(model)
