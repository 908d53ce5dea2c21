"""Noise to look at: images for a network with as many classes as it tells apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset, Split
from compression.pruning import Evidence, observe
from compression.training import normalise


def noise(model: nn.Module, input_shape: tuple[int, ...], n: int = 40) -> Dataset:
    """n training images of noise with random labels."""
    classes = model(torch.zeros(2, *input_shape)).shape[1]
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (n, *input_shape), dtype=torch.uint8, generator=generator)
    split = Split(images, torch.randint(0, classes, (n,), generator=generator))
    return Dataset("noise", tuple(map(str, range(classes))), split, split.head(4), split.head(4))


def seen(model: nn.Module, input_shape: tuple[int, ...], criterion: str) -> Evidence:
    """All that the noise shows of a model."""
    return observe(model, noise(model, input_shape), criterion)


def drawn(dataset: Dataset, images: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The images and labels that ``observe`` draws, as the network sees them."""
    index = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:images]
    return normalise(dataset.train.images[index], dataset), dataset.train.labels[index]
