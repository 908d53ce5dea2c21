"""The teacher's answers: kept or given anew, they are those of a plain forward pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from compression.data.augment import augmented
from compression.data.sets import Dataset, load_data
from compression.distillation.features import Watch
from compression.distillation.stages import stages
from compression.distillation.targets import targets
from compression.models.zoo import load_model
from compression.training import Step, normalise

SHAPE = (1, 8, 8)


@pytest.fixture
def teacher() -> nn.Module:
    return load_model("digits-cnn")


@pytest.fixture
def dataset() -> Dataset:
    return load_data("digits")


def step(dataset: Dataset, index: Tensor, images: Tensor) -> Step:
    return Step(index, normalise(images, dataset), dataset.train.labels[index % len(dataset.train)])


@pytest.fixture
def calls(teacher: nn.Module) -> Iterator[list[int]]:
    counted: list[int] = []
    handle = teacher.register_forward_hook(lambda module, given, answer: counted.append(len(answer)))
    yield counted
    handle.remove()


def test_kept_answers_are_the_teachers_own_to_half_precision(teacher: nn.Module, dataset: Dataset) -> None:
    index = torch.tensor([5, 0, 999, 17])
    batch = step(dataset, index, dataset.train.images[index])
    compared = stages(teacher, SHAPE)
    found = targets(teacher, dataset, compared).view(batch)
    with Watch(teacher, compared) as watch, torch.no_grad():
        logits, seen_features = teacher(batch.images_BCHW), watch.features()
    torch.testing.assert_close(found.logits.float(), logits, rtol=2e-3, atol=1e-3)
    assert len(found.features) == len(compared) > 1
    for kept, seen in zip(found.features, seen_features, strict=True):
        assert kept.dtype == torch.float16
        torch.testing.assert_close(kept.float(), seen, rtol=2e-3, atol=1e-3)


def test_the_teacher_runs_once_over_the_images_and_then_never_again(
    teacher: nn.Module, dataset: Dataset, calls: list[int]
) -> None:
    answers = targets(teacher, dataset)
    assert sum(calls) == len(dataset.train) + 1  # one image more, for the shapes
    for _ in range(3):
        answers.view(step(dataset, torch.arange(8), dataset.train.images[:8]))
    assert targets(teacher, dataset) is answers
    assert sum(calls) == len(dataset.train) + 1
    assert answers.note.startswith("The teacher judged the training images once (0.02 MB")


def test_with_augmentation_the_teacher_judges_the_very_images_of_the_batch(
    teacher: nn.Module, dataset: Dataset, calls: list[int]
) -> None:
    answers = targets(teacher, dataset, augment="jitter")
    assert answers.note == "The teacher judges every batch anew, since each is augmented anew."
    batch = step(dataset, torch.arange(4), dataset.train.images[:4].flip(3))
    with torch.no_grad():
        torch.testing.assert_close(answers.view(batch).logits, teacher(batch.images_BCHW))
    assert calls == [4, 4]


def test_fixed_copies_are_each_judged_once(teacher: nn.Module, dataset: Dataset, calls: list[int]) -> None:
    n = len(dataset.train)
    answers = targets(teacher, dataset, augment="jitter", copies=3)
    assert sum(calls) == 3 * n + 1
    assert "judged 3 augmented copies of the training images once" in answers.note
    index = torch.tensor([0, n, 2 * n + 7])
    batch = step(dataset, index, augmented(dataset, "jitter", 3)[index])
    with torch.no_grad():
        torch.testing.assert_close(answers.view(batch).logits.float(), teacher(batch.images_BCHW), rtol=2e-3, atol=2e-3)


def test_answers_that_do_not_fit_are_not_kept_and_it_is_said(teacher: nn.Module, dataset: Dataset) -> None:
    answers = targets(teacher, dataset, stages(teacher, SHAPE), memory_mb=1)
    assert answers.kept == ()
    # 1,078 images with 32×8×8 and 64×4×4 maps, 64 units and 10 logits of two bytes.
    needed = 1078 * (32 * 64 + 64 * 16 + 64 + 10) * 2 / 1e6
    assert f"its answers would take {needed:,.0f} MB, more than memory_mb 1" in answers.note
    batch = step(dataset, torch.arange(4), dataset.train.images[:4])
    with torch.no_grad():
        torch.testing.assert_close(answers.view(batch).logits, teacher(batch.images_BCHW))
    assert len(answers.view(batch).features) == 3


def test_answers_beyond_half_precision_are_kept_whole(dataset: Dataset) -> None:
    loud = load_model("digits-mlp")
    with torch.no_grad():
        loud.layers[-1].weight.mul_(1e5)  # type: ignore[union-attr, operator]
    batch = step(dataset, torch.arange(4), dataset.train.images[:4])
    with torch.no_grad():
        expected = loud(batch.images_BCHW)
    assert float(expected.abs().max()) > 65504
    torch.testing.assert_close(targets(loud, dataset).view(batch).logits, expected, rtol=1e-3, atol=1e-3)
