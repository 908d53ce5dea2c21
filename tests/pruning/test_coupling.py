from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.pruning import coupled_groups
from compression.pruning.surgery import Group
from compression.registry import UserError
from tests.pruning.nets import CASES, Averaged, Halves, Joined, LeNet, PlusInput, Residual


def by_name(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, Group]:
    return {group.name: group for group in coupled_groups(model, input_shape).groups}


@pytest.mark.parametrize("name", CASES)
def test_groups_are_those_written_down_by_hand(name: str) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    found = {
        group.name: tuple(member.layer for member in group.members if member.side == "out")
        for group in groups.cuttable(case.kind).values()
    }
    assert {name: set(layers) for name, layers in found.items()} == {
        name: set(layers) for name, layers in case.couplings.items()
    }
    for group in groups.cuttable(case.kind).values():
        layer = model.get_submodule(group.name)
        assert group.width == layer.weight.shape[0] == len(group.members[0].owner)


def test_flattening_gives_each_channel_its_nine_inputs() -> None:
    group = by_name(LeNet(), (1, 12, 12))["conv2"]
    (reader,) = [member for member in group.members if member.side == "in"]
    assert reader.layer == "fc1"
    assert reader.owner.tolist() == [channel for channel in range(8) for _ in range(9)]


def test_concatenated_branches_own_their_parts() -> None:
    groups = by_name(Joined().eval(), (2, 6, 6))
    parts = {
        name: {member.layer: member.owner.tolist() for member in groups[name].members} for name in ("left", "right")
    }
    assert parts["left"]["norm"] == parts["left"]["after"] == [*range(6), *[-1] * 4]
    assert parts["right"]["norm"] == parts["right"]["after"] == [*[-1] * 6, *range(4)]


@pytest.mark.parametrize(
    ("build", "shape", "name", "reason"),
    [
        (LeNet, (1, 12, 12), "fc2", "it gives the model's output"),
        (PlusInput, (4, 5, 5), "same", "cutting it does not give the outputs of masking it"),
        (Halves, (2, 5, 5), "twice", "cutting it does not give the outputs of masking it"),
        (Averaged, (2, 5, 5), "free", "it passes through 'layernorm' (LayerNorm), which cannot be narrowed"),
    ],
)
def test_what_cannot_be_cut_is_protected_and_the_rest_is_not(
    build: Callable[[], nn.Module], shape: tuple[int, ...], name: str, reason: str
) -> None:
    torch.manual_seed(0)
    groups = by_name(build().eval(), shape)
    assert groups[name].protected == reason
    assert any(not group.protected for group in groups.values())


def test_a_shared_weight_protects_its_group() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 6), nn.Linear(6, 2))
    model[2].weight = model[0].weight
    groups = by_name(model, (4,))
    assert "shares its weights" in groups["0"].protected and "shares its weights" in groups["2"].protected
    assert not groups["4"].protected


def test_a_bare_parameter_protects_its_group() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)
            self.scale = nn.Parameter(torch.rand(6))

        def forward(self, x: Tensor) -> Tensor:
            return self.c(F.relu(self.b(F.relu(self.a(x)) * self.scale)))

    groups = by_name(Scaled(), (4,))
    assert "a bare parameter" in groups["a"].protected and not groups["b"].protected


def test_an_output_that_is_no_layer_protects_what_reaches_it() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.LogSoftmax(1))
    groups = by_name(model, (4,))
    assert groups["2"].protected == "it gives the model's output" and not groups["0"].protected


def test_a_head_of_zeros_hides_nothing_from_the_trial() -> None:
    torch.manual_seed(0)
    model = Halves().eval()
    nn.init.zeros_(model.head.weight)
    before = copy.deepcopy(model.state_dict())
    groups = by_name(model, (2, 5, 5))
    assert "does not give the outputs of masking" in groups["twice"].protected and not groups["free"].protected
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_blocks_of_grouped_convolutions_and_group_norm() -> None:
    groups = by_name(CASES["grouped"].model(), (2, 6, 6))
    assert [groups[name].blocks for name in ("first", "blocks", "last")] == [2, 2, 1]
    assert by_name(Averaged().eval(), (2, 5, 5))["conv"].blocks == 2


def test_the_model_is_left_as_it_was() -> None:
    model = Residual().train()
    model.a1.requires_grad_(False)
    model.an1.eval()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    coupled_groups(model, (1, 8, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.a1.parameters()] == [False] and model.a2.weight.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_frozen_models_and_callers_without_gradients_get_the_same_groups(context: object) -> None:
    model = CASES["residual"].model()
    wanted = by_name(model, (1, 8, 8))
    model.requires_grad_(False)
    with context():  # type: ignore[operator]
        found = by_name(model, (1, 8, 8))
    assert list(found) == list(wanted) and [g.width for g in found.values()] == [8, 8, 16, 16, 4]
    assert not any(group.protected for group in list(found.values())[:-1])


def test_groups_are_plain_data_and_keep_no_model_alive() -> None:
    model = LeNet()
    groups = coupled_groups(model, (1, 12, 12))
    again = pickle.loads(pickle.dumps(groups))
    assert [g.name for g in again.groups] == [g.name for g in groups.groups]
    assert np.array_equal(again.groups[1].members[1].owner, groups.groups[1].members[1].owner)
    ghost = weakref.ref(model)
    del model
    gc.collect()
    assert ghost() is None


class Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (LeNet(), (3, 12, 12), "cannot be traced on an input of 3×12×12"),
        (LeNet(), (1, 30, 30), "cannot be traced on an input of 1×30×30"),
        (nn.Sequential(nn.Linear(4, 2), Two()), (4,), "The model returns a tuple"),
        (nn.Sequential(nn.ReLU()), (4,), "has no weights to prune"),
    ],
)
def test_models_that_cannot_be_traced_are_one_line(model: nn.Module, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        coupled_groups(model, shape)
    assert "\n" not in str(fault.value)
