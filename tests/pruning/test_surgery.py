from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch_pruning
import torchvision
from safetensors.torch import load, save
from torch import Tensor, nn

from compression.models.structure import restructure, structure
from compression.pruning import Groups, coupled_groups, cut, masked
from compression.pruning.surgery import Indices, outputs
from compression.registry import UserError
from tests.pruning.nets import CASES, Averaged, Case, Joined


def random_kept(groups: Groups, kind: str, seed: int = 0) -> dict[str, Indices]:
    """About half of every group, as many in each block."""
    random = np.random.default_rng(seed)
    kept = {}
    for name, group in groups.cuttable(kind).items():
        units = random.permuted(np.arange(group.width).reshape(group.blocks, -1), axis=1)
        kept[name] = np.sort(units[:, : max(1, units.shape[1] // 2)].ravel())
    return kept


def silenced(model: nn.Module, case: Case, kept: dict[str, Indices]) -> nn.Module:
    """The oracle: the model at full size, the activations of removed units set to zero by hooks.

    It knows the couplings from the table written by hand, and nothing of weights or members.
    """
    twin = copy.deepcopy(model)
    for name, layers in case.couplings.items():
        for layer in layers:

            def silence(module: nn.Module, args: object, output: Tensor, stays: Indices = kept[name]) -> Tensor:
                mask = torch.zeros(output.shape[1])
                mask[torch.from_numpy(stays)] = 1
                return output * mask.view(1, -1, *[1] * (output.dim() - 2))

            twin.get_submodule(layer).register_forward_hook(silence)
    return twin


def images_for(case: Case, batch: int = 5) -> Tensor:
    return torch.randn(batch, *case.input_shape, generator=torch.Generator().manual_seed(1))


ZERO_AT_ZERO = [name for name in CASES if name != "normed_mlp"]  # a sigmoid of 0 is 1/2


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_cut_gives_the_outputs_of_masked(name: str, seed: int) -> None:
    case = CASES[name]
    model = case.model(seed)
    groups = coupled_groups(model, case.input_shape)
    kept = random_kept(groups, case.kind, seed)
    images = images_for(case)
    smaller = cut(model, groups, kept)
    wanted = outputs(masked(model, groups, kept), images)
    torch.testing.assert_close(outputs(smaller, images), wanted, rtol=1e-4, atol=1e-5)
    assert (wanted - outputs(model, images)).abs().max() > 1e-2  # the cut is felt


@pytest.mark.parametrize("name", ZERO_AT_ZERO)
def test_cut_gives_the_outputs_of_the_model_with_silenced_activations(name: str) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    kept = random_kept(groups, case.kind)
    images = images_for(case)
    found = outputs(cut(model, groups, kept), images)
    torch.testing.assert_close(found, outputs(silenced(model, case, kept), images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_widths_and_attributes_agree_with_the_tensors(name: str) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    kept = random_kept(groups, case.kind)
    smaller = cut(model, groups, kept)
    for group, layers in case.couplings.items():
        for layer in layers:
            module = smaller.get_submodule(layer)
            tensor = module.running_mean if layer == "pool.1" else module.weight
            assert tensor.shape[0] == len(kept[group])
    rebuilt = restructure(case.model(seed=9), structure(smaller))
    for name, tensor in smaller.state_dict().items():
        assert rebuilt.state_dict()[name].shape == tensor.shape, name
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in model.parameters())


def test_masked_zeroes_what_makes_and_what_reads_a_removed_channel_and_nothing_else() -> None:
    case = CASES["residual"]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    twin = masked(model, groups, {"stem": np.array([1, 2, 4, 5, 6, 7])})
    gone, makers, readers = [0, 3], {"stem", "bn", "a2", "an2"}, {"a1", "b1", "short"}
    for name, new in twin.named_parameters():
        oracle = model.get_parameter(name).detach().clone()
        if name.split(".")[0] in makers:
            oracle[gone] = 0
        if name.split(".")[0] in readers:
            oracle[:, gone] = 0
        assert torch.equal(new, oracle), name


def test_concatenated_branches_are_cut_together() -> None:
    torch.manual_seed(0)
    model = Joined().eval()
    groups = coupled_groups(model, (2, 6, 6))
    kept = {"left": np.array([0, 4]), "right": np.array([1, 2, 3]), "after": np.array([2, 3])}
    smaller = cut(model, groups, kept)
    assert smaller.norm.num_features == smaller.after.in_channels == 5
    # The joined layer's 0, 4 of the left branch, and 6 + 1, 6 + 2, 6 + 3 of the right.
    assert torch.equal(smaller.norm.weight, model.norm.weight[[0, 4, 7, 8, 9]])
    assert torch.equal(smaller.after.weight, model.after.weight[[2, 3]][:, [0, 4, 7, 8, 9]])
    images = torch.randn(3, 2, 6, 6)
    wanted = outputs(masked(model, groups, kept), images)
    torch.testing.assert_close(outputs(smaller, images), wanted)


def test_group_norm_keeps_its_blocks_and_runs() -> None:
    model = Averaged().eval()
    smaller = cut(model, coupled_groups(model, (2, 5, 5)), {"conv": np.array([0, 3, 5, 6])})
    assert (smaller.norm.num_channels, smaller.norm.num_groups) == (4, 2)
    assert torch.equal(smaller.norm.weight, model.norm.weight[[0, 3, 5, 6]])


@pytest.mark.parametrize("name", ["mlp", "lenet_channels", "residual", "depthwise"])
def test_cut_equals_what_torch_pruning_makes_of_the_same_units(name: str) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    kept = random_kept(groups, case.kind)
    theirs = copy.deepcopy(model)
    graph = torch_pruning.DependencyGraph().build_dependency(
        theirs, torch.zeros(2, *case.input_shape), forward_fn=lambda m, x: m(x), unwrapped_parameters=[]
    )
    for group, stays in kept.items():
        layer = theirs.get_submodule(group)
        gone = sorted(set(range(layer.weight.shape[0])) - set(stays.tolist()))
        graph.get_pruning_group(layer, graph.get_pruner_of_module(layer).prune_out_channels, gone).prune()
    mine = cut(model, groups, kept).state_dict()
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(mine[key], tensor), key


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_torchvision_models(name: str) -> None:
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=7).eval()
    groups = coupled_groups(model, (3, 32, 32))
    protected = [group.name for group in groups.groups if group.protected]
    assert protected == [list(dict(model.named_modules()))[-1]]  # the classifier alone
    kept = random_kept(groups, "channels")
    smaller = cut(model, groups, kept)
    images = torch.rand(2, 3, 32, 32)
    wanted = outputs(masked(model, groups, kept), images)
    torch.testing.assert_close(outputs(smaller, images), wanted, rtol=1e-3, atol=1e-4)
    assert sum(p.numel() for p in smaller.parameters()) < 0.4 * sum(p.numel() for p in model.parameters())


def test_resnet50() -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None).eval()
    groups = coupled_groups(model, (3, 32, 32))
    assert len(groups.cuttable("channels")) == 1 + 2 * 16 + 4  # stem, two in each block, one a stage
    smaller = cut(model, groups, random_kept(groups, "channels"))
    assert outputs(smaller, torch.rand(1, 3, 32, 32)).shape == (1, 1000)
    assert smaller.layer4[2].conv3.weight.shape == (1024, 256, 1, 1)


def test_the_model_is_left_alone_and_its_state_carried_over() -> None:
    case = CASES["residual"]
    model = case.model().train()
    model.an1.eval()
    model.b1.requires_grad_(False)
    before = {name: (tensor, tensor.clone()) for name, tensor in model.state_dict(keep_vars=True).items()}
    groups = coupled_groups(model, case.input_shape)
    smaller = cut(model, groups, random_kept(groups, case.kind))
    for name, tensor in model.state_dict(keep_vars=True).items():
        assert tensor is before[name][0] and torch.equal(tensor, before[name][1]), name
    assert [m.training for m in smaller.modules()] == [m.training for m in model.modules()]
    assert [p.requires_grad for p in smaller.parameters()] == [p.requires_grad for p in model.parameters()]
    assert structure(model) == structure(case.model())
    own = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in smaller.state_dict().values())


def test_a_cut_model_trains_and_can_be_cut_again() -> None:
    case = CASES["residual"]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    once = cut(model, groups, random_kept(groups, case.kind)).train()
    once(images_for(case)).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in once.parameters())
    again = coupled_groups(once, case.input_shape)
    twice = cut(once, again, random_kept(again, case.kind, seed=1))
    assert structure(twice)["stem"]["out_channels"] == 2


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({}, "Nothing to remove"),
        ({"conv1": np.arange(6)}, "Nothing to remove"),
        ({"conv1": np.arange(0)}, "All 6 units of layer 'conv1' would be removed"),
        ({"conv9": np.arange(2)}, "Unknown group of units 'conv9'"),
    ],
)
def test_bad_cuts_are_one_line(kept: dict[str, Indices], words: str) -> None:
    case = CASES["lenet_channels"]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    with pytest.raises(UserError, match=words):
        cut(model, groups, kept)


@pytest.mark.parametrize("kept", [[0, 1, 2, 5], [0, 9]])
def test_blocks_must_stay_equal(kept: list[int]) -> None:
    case = CASES["grouped"]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    with pytest.raises(UserError, match="indices below 8, as many in each of its 2 blocks"):
        cut(model, groups, {"first": np.array(kept)})


@pytest.mark.parametrize("name", ["lenet_channels", "residual", "grouped", "normed_mlp", "signal"])
def test_saved_as_widths_and_tensors_it_loads_onto_a_fresh_model(name: str) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    smaller = cut(model, groups, random_kept(groups, case.kind))
    file = save(smaller.state_dict())
    fresh = restructure(case.model(seed=5), structure(smaller))
    fresh.load_state_dict(load(file))
    images = images_for(case)
    assert torch.equal(fresh.eval()(images), smaller(images))


@pytest.mark.filterwarnings("ignore")  # what torch.onnx warns of is its own affair
@pytest.mark.parametrize("name", ["lenet_channels", "residual"])
def test_a_cut_model_exports_to_onnx(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    smaller = cut(model, groups, random_kept(groups, case.kind))
    images = images_for(case, batch=1)
    program = torch.onnx.export(smaller, (images,), dynamo=True, verbose=False)
    buffer = io.BytesIO()
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    np.testing.assert_allclose(found, smaller(images).detach().numpy(), rtol=1e-3, atol=1e-5)
