"""Replayed passes against the passes themselves, to the last bit."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.models.structure import remove
from compression.pruning.replay import InPlace, changed_modules, first_call, in_place, record, replay, share
from tests.pruning.nets import CASES

NOTHING = InPlace(frozenset(), frozenset())


class Alters(nn.Module):
    """Alters what its layers returned: a ReLU in place, and an addition in place, as torchvision's ResNets do."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.one(x))
        y = self.two(x)
        y += x
        return self.head(self.three(F.relu_(y)).mean((2, 3)))


class Unheeded(nn.Module):
    """Calls a ReLU in place for what it does to its input, and goes on with the input."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu, self.two, self.three = (
            nn.Linear(4, 4),
            nn.ReLU(inplace=True),
            nn.Linear(4, 4),
            nn.Linear(4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        self.relu(x)
        return self.three(self.two(x) + x)


class Twice(nn.Module):
    """Calls one layer twice, with another in between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.same, self.between = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.same(self.between(self.same(self.first(x))))


class Borrowed(nn.Module):
    """Uses the weight of a layer that is never called itself, as attention uses its projections."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.after = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.linear(x, self.held.weight))


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.borrowed = nn.Linear(4, 4), Borrowed()

    def forward(self, x: Tensor) -> Tensor:
        return self.borrowed(self.before(x))


NETS = {
    **{name: (case.model, case.input_shape) for name, case in CASES.items()},
    "in place": (Alters, (2, 6, 6)),
    "unheeded": (Unheeded, (4,)),
    "twice": (Twice, (4,)),
    "around": (Around, (4,)),
}


@pytest.mark.parametrize("name", NETS)
@torch.inference_mode()
def test_a_change_of_any_layer_replays_to_the_very_outputs_of_the_plain_pass(name: str) -> None:
    build, shape = NETS[name]
    torch.manual_seed(1)
    model = build().eval()
    images = torch.randn(3, *shape)
    altered = in_place(model, images[:1])
    tape = record(model, images, altered)
    assert torch.equal(tape.outputs[0], model(images))
    for layer, module in model.named_modules():
        if not isinstance(getattr(module, "weight", None), Tensor):
            continue
        other = copy.deepcopy(model)
        other.get_submodule(layer).weight *= 0.5
        assert changed_modules(model, other) == {layer}
        found = replay(other, images, tape, first_call(tape, {layer}), in_place(other, images[:1]))
        assert torch.equal(found, other(images))
    assert torch.equal(tape.outputs[0], model(images)), "nothing on the tape was altered"


@torch.inference_mode()
def test_what_ends_before_the_change_is_not_computed() -> None:
    model = CASES["residual"].model()
    images = torch.randn(2, 1, 8, 8)
    tape = record(model, images, NOTHING)
    assert first_call(tape, {"b2"}) == tape.names.index("b2") and first_call(tape, set()) == len(tape.names)
    for name in tape.names[1 : tape.names.index("b2")]:
        model.get_submodule(name).weight.fill_(torch.nan)  # were it computed, nothing would be left
    assert torch.isfinite(replay(model, images, tape, first_call(tape, {"b2"}), NOTHING)).all()


def test_the_layers_of_a_net_are_free_of_wrappers_afterwards() -> None:
    model = CASES["mlp"].model()
    record(model, torch.randn(1, 3, 2, 2), NOTHING)
    assert not any("forward" in vars(module) for module in model.modules())
    with pytest.raises(RuntimeError):
        record(model, torch.randn(1, 5), NOTHING)
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_layer_that_is_never_called_changes_the_module_that_uses_it() -> None:
    model = Around().eval()
    tape = record(model, torch.randn(1, 4), NOTHING)
    assert tape.names == ["", "before", "borrowed", "borrowed.after"]
    assert first_call(tape, {"borrowed.held"}) == 2


def test_calls_altered_in_place_are_found() -> None:
    model = Alters().eval()
    tape = record(model, torch.randn(1, 2, 6, 6), NOTHING)
    found = in_place(model, torch.randn(1, 2, 6, 6))
    # The ReLU in place alters the output of `one` and returns the same tensor, which nothing alters later.
    assert {tape.names[turn] for turn in found.altered} == {"one", "two"}
    assert {tape.names[turn] for turn in found.altering} == {"relu"}


def test_other_settings_types_and_parts_are_changes() -> None:
    model = CASES["residual"].model()
    wider = copy.deepcopy(model)
    wider.a1.padding = (2, 2)
    assert changed_modules(model, wider) == {"a1"}
    shorter = remove(copy.deepcopy(model), ["an2"])
    assert changed_modules(model, shorter) == {"an2"}
    assert changed_modules(model, copy.deepcopy(model)) == set()


def test_sharing_leaves_a_model_its_own_tensors_where_it_differs_alone() -> None:
    model = CASES["residual"].model()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.a1.weight[0] = 0
    assert share(model, other, {"a1"}) == other.a1.weight.nbytes
    assert other.stem.weight is model.stem.weight and other.an1.running_mean is model.an1.running_mean
    assert other.a1.weight is not model.a1.weight and other.a1.weight[0].abs().sum() == 0
