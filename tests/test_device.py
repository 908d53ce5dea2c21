"""Training and judging on another device, of which there is none here: torch's fake tensors say where each would be.

A fake tensor has a shape and a device and no numbers, and torch refuses what mixes two devices, as it
does with real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from compression.data.sets import Split
from compression.distillation.features import Regressors
from compression.distillation.lesson import Lesson
from compression.distillation.stages import stages
from compression.distillation.targets import Targets
from compression.models.architectures import ARCHITECTURES
from compression.recipe import Distill
from compression.registry import UserError
from compression.training import Objective, Step, device, fitting, hold, normalise, predict
from compression.training.batches import Feed, steps_of
from compression.training.device import at_rest, at_work, place_of, work_on
from compression.training.optimiser import sgd

FAR = torch.device("cuda")
pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(eq=False)
class Numbers:
    """What training asks of a data set."""

    train: Split
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.2,)
    classes: tuple[str, ...] = field(default_factory=lambda: tuple("0123456789"))


def moved(before: list[tuple[nn.Module, torch.device]], to: torch.device | None = None) -> None:
    """As modules move, but for the parameters themselves, which torch cannot exchange where they are fake."""
    for module, place in before:
        for one in module.modules():
            for name, tensor in one._parameters.items():
                one._parameters[name] = None if tensor is None else nn.Parameter(tensor.detach().to(to or place))
            for name, buffer in one._buffers.items():
                one._buffers[name] = None if buffer is None else buffer.to(to or place)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that works on an accelerator, with fake tensors throughout."""
    # Else the first real step back would start a thread for each device that was pretended, and no fork could train.
    torch.zeros(1, requires_grad=True).sum().backward()
    monkeypatch.setattr(device, "_chosen", FAR)
    monkeypatch.setattr(device, "_move", moved)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def numbers() -> Any:
    return Numbers(Split(torch.zeros(64, 1, 28, 28, dtype=torch.uint8), torch.zeros(64, dtype=torch.int64)))


def feed(dataset: Any) -> Feed:
    return Feed(dataset, torch.arange(64), 1, 16, "none", 0, (), torch.channels_last)


def test_mixing_devices_is_refused_as_by_real_tensors(far: None) -> None:
    model = ARCHITECTURES["lenet5"]()
    with at_work(model), pytest.raises(RuntimeError, match="same device|different devices"):
        model(torch.randn(2, 1, 28, 28))


def test_predictions_pass_there_and_come_back(far: None) -> None:
    model = ARCHITECTURES["resnet"](1, (4, 8), 1, 10)
    seen: list[torch.device] = []
    model.register_forward_hook(lambda module, given, output: seen.append(output.device))
    logits = predict(model, torch.randn(5, 1, 28, 28))
    assert logits.device == place_of(model) == device.CPU and {one.type for one in seen} == {"cuda"}


@pytest.mark.parametrize("kind", ["labels", "kept answers", "a teacher at every batch", "features"])
def test_every_step_of_a_training_is_there_with_masks_and_teachers(far: None, kind: str) -> None:
    model, teacher, dataset = ARCHITECTURES["lenet5"](), ARCHITECTURES["lenet5"](), numbers()
    goal: Objective = Objective()
    stage = Distill(student="lenet5", method="hint" if kind == "features" else "soft_targets")
    if kind == "features":
        pairs = tuple(zip(stages(model, (1, 28, 28)), stages(teacher, (1, 28, 28)), strict=True))
        goal = Lesson(stage, Targets(teacher, tuple(theirs for _, theirs in pairs), (), ""), pairs)
        assert isinstance(goal.regressors, Regressors)
    elif kind != "labels":
        kept = (torch.zeros(64, 10, dtype=torch.float16),) if kind == "kept answers" else ()
        goal = Lesson(stage, Targets(teacher, (), kept, ""), ())
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in model.named_parameters()}
    with at_work(model, goal, *goal.helpers()):
        held = fitting._held(model, masks)
        trained = [one for group in sgd([model, goal], 0.1, 0.9, 1e-4).param_groups for one in group["params"]]
        assert {one.device.type for one in trained} == {"cuda"}
        for step in steps_of(feed(dataset), 0, torch.Generator()):
            hold(held)
            logits, loss, _ = goal(model, step.to(FAR))  # no step back: that asks for a real accelerator
            assert logits.device.type == loss.device.type == "cuda"
    assert {place_of(one) for one in (model, goal, teacher)} == {device.CPU}


def test_a_batch_goes_over_but_for_its_places_in_the_split() -> None:
    step = Step(torch.arange(2), torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), 0.5).to(
        torch.device("meta")
    )
    assert (step.index_B.device.type, step.images_BCHW.device.type, step.labels_B.device.type) == (
        "cpu",
        "meta",
        "meta",
    )
    assert step.progress == 0.5


def test_a_model_at_rest_is_itself_or_a_copy() -> None:
    here, there = nn.Linear(2, 2), nn.Linear(2, 2, device="meta")
    assert at_rest(here) is here
    assert place_of(nn.ReLU()) == device.CPU and place_of(there).type == "meta"


def test_modules_are_moved_and_come_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[str] = []

    class Linear(nn.Linear):
        def to(self, *where: Any, **how: Any) -> Linear:
            went.append(str(where[0]))
            return super().to(torch.float64)

    monkeypatch.setattr(device, "_chosen", torch.device("meta"))
    with pytest.raises(KeyError), at_work(Linear(2, 2)) as place:
        assert place.type == "meta" and went == ["meta"]
        raise KeyError
    monkeypatch.setattr(device, "_chosen", device.CPU)
    with at_work(Linear(2, 2)):
        pass
    assert went == ["meta"], "one that is there already stays"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_a_device_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="^device is cuda, but torch finds no accelerator on this machine; use cpu$"):
        work_on("cuda")
    work_on("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_an_accelerator_says_what_the_processor_says() -> None:
    model, images = ARCHITECTURES["lenet5"]().eval(), torch.randn(32, 1, 28, 28)
    here: Tensor = predict(model, images)
    work_on("cuda")
    try:
        there = predict(model, images)
    finally:
        work_on("cpu")
    assert torch.allclose(here, there, atol=1e-3)
    assert normalise(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), numbers()).device == device.CPU
