"""What the teacher answers: run once over the training images and kept, where the images stay the same.

Shapes: N training images, R augmented copies of them, B images of a batch, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from compression.data.augment import augmented
from compression.data.sets import Dataset
from compression.distillation.features import Watch
from compression.distillation.stages import Stage
from compression.distillation.views import View
from compression.training import Step, normalise
from compression.training.device import at_work

BATCH = 256
HALF = 2
"""Bytes of a float16."""


@dataclass(frozen=True, eq=False)
class Targets:
    """A teacher's answers.

    Attributes:
        model: the teacher, in ``eval()`` mode.
        stages: those of its stages that a method compares.
        kept: logits R·N×K, then the outputs of the stages, as float16; empty where the teacher
            judges every batch anew.
        note: which of the two it is, and why.
    """

    model: nn.Module
    stages: tuple[Stage, ...]
    kept: tuple[Tensor, ...]
    note: str

    @torch.no_grad()
    def view(self, step: Step) -> View:
        """What the teacher shows of a batch."""
        if self.kept:
            device = step.images_BCHW.device
            logits, *features = (answers[step.index_B].to(device) for answers in self.kept)
            return View(logits, tuple(features))
        logits, *features = _answers(self.model, self.stages, step.images_BCHW)
        return View(logits, tuple(features))


@lru_cache(maxsize=2)
def targets(
    model: nn.Module, dataset: Dataset, stages: tuple[Stage, ...] = (),
    augment: str = "none", copies: int = 0, memory_mb: int = 1024,
) -> Targets:  # fmt: skip
    """Run the teacher once over the training images, if its answers can be used again.

    They cannot where every batch is augmented anew. They are not kept either where they would
    take more than ``memory_mb`` (10⁶ bytes). One cache serves all temperatures, students and
    seeds.
    """
    if augment != "none" and not copies:
        return Targets(model, stages, (), "The teacher judges every batch anew, since each is augmented anew.")
    images = augmented(dataset, augment, copies) if copies else dataset.train.images
    values = sum(math.prod(shape) for shape in _shapes(model, stages, dataset))
    needed = len(images) * values * HALF / 1e6
    if needed > memory_mb:
        reason = f"its answers would take {needed:,.0f} MB, more than memory_mb {memory_mb}"
        return Targets(model, stages, (), f"The teacher judges every batch anew: {reason}.")
    with at_work(model) as device:
        parts = [
            [_halved(answer).cpu() for answer in _answers(model, stages, normalise(batch, dataset).to(device))]
            for batch in torch.split(images, BATCH)
        ]
    kept = tuple(torch.cat(part) for part in zip(*parts, strict=True))
    of = f"{copies} augmented copies of the" if copies else "the"
    return Targets(model, stages, kept, f"The teacher judged {of} training images once ({needed:,.2f} MB of answers).")


def _halved(answer: Tensor) -> Tensor:
    """As float16, unless that cannot hold it."""
    half = answer.half()
    return half if bool(torch.isfinite(half).all()) else answer


def _shapes(model: nn.Module, stages: Sequence[Stage], dataset: Dataset) -> list[tuple[int, ...]]:
    answers = _answers(model, stages, normalise(dataset.train.images[:1], dataset))
    return [tuple(answer.shape[1:]) for answer in answers]


@torch.no_grad()
def _answers(model: nn.Module, stages: Sequence[Stage], images_BCHW: Tensor) -> list[Tensor]:
    """Logits B×K and the outputs of the stages."""
    if not stages:
        return [model(images_BCHW)]
    with Watch(model, stages) as watch:
        return [model(images_BCHW), *watch.features()]
