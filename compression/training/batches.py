"""The batches of a training: which images, in what order, how changed.

Shapes: B images of a batch, C channels, H×W pixels; R copies of N images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.data.augment import AUGMENTS, augmented
from compression.data.sets import Dataset
from compression.registry import UserError, pick
from compression.training.prediction import normalise


@dataclass(frozen=True)
class Step:
    """One batch: where its images lie in the training split, the images as the network sees them, their labels.

    With ``copies`` of the images ``index`` counts on through the copies, R·N in all. ``progress`` is
    the fraction of the whole training that is done before this step.
    """

    index_B: Tensor
    images_BCHW: Tensor
    labels_B: Tensor
    progress: float = 0.0

    def to(self, device: torch.device) -> Step:
        """The same batch on a device; where its images lie is still known on the processor."""
        return replace(self, images_BCHW=self.images_BCHW.to(device), labels_B=self.labels_B.to(device))


def taken_of(dataset: Dataset, without: tuple[str, ...]) -> Tensor:
    """Positions of the training images whose classes are not left out. Raises UserError as ``fit`` does."""
    labels = [pick({name: i for i, name in enumerate(dataset.classes)}, name, "class in without") for name in without]
    keep = ~torch.isin(dataset.train.labels, torch.tensor(labels, dtype=torch.int64))
    if not keep.any():
        raise UserError(f"without names every class of data set '{dataset.name}'; leave one at least")
    return keep.nonzero().squeeze(1)


@dataclass(frozen=True)
class Feed:
    """What a training draws its batches from, and how: see ``fit`` for each field."""

    dataset: Dataset
    taken: Tensor
    epochs: int
    batch_size: int
    augment: str
    copies: int
    resolutions: tuple[int, ...]
    layout: torch.memory_format

    @property
    def steps(self) -> int:
        """Of one epoch."""
        return -(-len(self.taken) // self.batch_size)


def steps_of(feed: Feed, epoch: int, generator: torch.Generator) -> Iterator[Step]:
    """The batches of one epoch, in an order that the generator draws."""
    dataset, augment, copies = feed.dataset, feed.augment, feed.copies
    changed = pick(AUGMENTS, augment, "augment")
    first = epoch % copies * len(dataset.train) if copies else 0
    side = feed.resolutions[epoch * len(feed.resolutions) // feed.epochs] if feed.resolutions else None
    order = feed.taken[torch.randperm(len(feed.taken), generator=generator)]
    for number, index in enumerate(torch.split(order, feed.batch_size)):
        images = augmented(dataset, augment, copies)[first + index] if copies else dataset.train.images[index]
        batch = normalise(images if copies else changed(images, generator), dataset)
        batch = batch.clone(memory_format=feed.layout)  # for one channel contiguous() would change nothing
        if side is not None and side != batch.shape[2]:
            batch = F.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
        progress = (epoch + number / feed.steps) / feed.epochs
        yield Step(first + index, batch, dataset.train.labels[index], progress)
