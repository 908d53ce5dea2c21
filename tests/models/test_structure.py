from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from compression.models.structure import copy_with, remove, removed, resize, restructure, structure
from compression.registry import UserError


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 8, 3),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, groups=2, bias=False),
        nn.GroupNorm(2, 8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).eval()


NARROW = {
    "0": {"out_channels": 4},
    "1": {"num_features": 4},
    "2": {"num_parameters": 4},
    "3": {"in_channels": 4, "out_channels": 6},
    "4": {"num_channels": 6},
    "7": {"in_features": 6},
}


def test_structure_reads_every_width() -> None:
    assert structure(net()) == {
        "0": {"in_channels": 2, "out_channels": 8, "groups": 1},
        "1": {"num_features": 8},
        "2": {"num_parameters": 8},
        "3": {"in_channels": 8, "out_channels": 8, "groups": 2},
        "4": {"num_channels": 8, "num_groups": 2},
        "7": {"in_features": 8, "out_features": 3},
    }


def test_restructured_network_has_the_shapes_of_one_built_narrow() -> None:
    narrow = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.PReLU(4),
        nn.Conv2d(4, 6, 3, groups=2, bias=False),
        nn.GroupNorm(2, 6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    ).eval()
    rebuilt = restructure(net(), NARROW)
    shapes = {name: tensor.shape for name, tensor in rebuilt.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in narrow.state_dict().items()}
    assert structure(rebuilt) == structure(narrow)
    rebuilt.load_state_dict(narrow.state_dict())
    images = torch.rand(2, 2, 9, 9)
    assert torch.equal(rebuilt(images), narrow(images))


def test_own_structure_changes_nothing_and_keeps_every_tensor() -> None:
    model = net()
    before = dict(model.named_parameters())
    restructure(model, structure(model))
    assert all(parameter is before[name] for name, parameter in model.named_parameters())


def test_frozen_parameters_and_dtype_survive() -> None:
    model = restructure(net().double().requires_grad_(False), NARROW)
    assert all(p.dtype == torch.float64 and not p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ({"9": {"in_features": 2}}, "Unknown layer in the structure '9'"),
        ({"0": {"width": 2}}, "Unknown width of layer '0' 'width'"),
        ({"0": {"out_channels": 9}}, "out_channels of layer '0' is 9; it must be a whole number from 1 to 8"),
        ({"0": {"out_channels": 0}}, "is 0; it must be"),
        ({"0": {"out_channels": True}}, "is True; it must be"),
        ({"7": {"in_features": 10**12}}, "is 1000000000000; it must be"),
        ({"7": {"in_features": 2.0}}, "is 2.0; it must be"),
        ({"3": {"in_channels": 5}}, "in_channels of layer '3' is 5; it must be a multiple of its 2 groups"),
        ({"4": {"num_channels": 3}}, "num_channels of layer '4' is 3; it must be a multiple of its 2 groups"),
        ({"0": 4}, "must map layer names to their widths"),
        ([], "must map layer names to their widths"),
    ],
)
def test_a_bad_structure_is_one_line(widths: dict[str, dict[str, int]], words: str) -> None:
    with pytest.raises(UserError) as fault:
        restructure(net(), widths)
    assert words in str(fault.value) and "\n" not in str(fault.value)


def test_copy_with_equals_deepcopy_and_shares_nothing() -> None:
    model = net()
    model.register_forward_hook(lambda module, args, output: output * 2)
    model.note = {"list": [1]}  # type: ignore[assignment]
    twin, oracle = copy_with(model, []), copy.deepcopy(model)
    images = torch.rand(2, 2, 9, 9)
    assert torch.equal(twin(images), oracle(images))
    twin.note["list"].append(2)  # type: ignore[index, union-attr, operator]
    assert model.note == {"list": [1]}
    mine, theirs = list(twin.modules()), list(model.modules())
    assert [type(module) for module in mine] == [type(module) for module in theirs]
    for a, b in zip(mine, theirs, strict=True):
        for field, value in vars(a).items():
            assert not isinstance(value, dict) or value is not vars(b)[field], field
    assert {p.data_ptr() for p in twin.parameters()}.isdisjoint(p.data_ptr() for p in model.parameters())


def test_copy_with_takes_the_replacement_itself_wherever_the_tensor_is_used() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    new = nn.Parameter(torch.ones(3, 3))
    twin = copy_with(model, [(model[0].weight, new)])
    assert twin[0].weight is new and twin[1].weight is new  # type: ignore[index]
    assert not torch.equal(model[0].weight, new)


def test_resize_keeps_tensors_that_already_fit() -> None:
    layer = nn.Linear(4, 2)
    layer.weight = nn.Parameter(torch.ones(2, 3))
    weight, bias = layer.weight, layer.bias
    resize(layer, {"in_features": 3})
    assert layer.weight is weight and layer.bias is bias and layer.in_features == 3


def test_removed_parts_pass_their_input_on_and_are_remembered() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Linear(3, 2))
    images = torch.randn(4, 3)
    wanted = model[2](model[0](images))
    assert remove(model, ["1"]) is model and removed(model) == ("1",)
    assert torch.equal(model(images), wanted)
    assert set(structure(model)) == {"0", "2"} and removed(copy.deepcopy(model)) == ("1",)
    with pytest.raises(UserError, match="Unknown block among the removed '1.0'"):
        remove(model, ["1.0"])
