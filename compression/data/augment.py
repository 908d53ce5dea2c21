"""Augmentation: images shifted and mirrored at random, by a generator that fixes every draw.

Shapes: B images of a batch, C channels, H×W pixels; R copies of N images.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.data.sets import Dataset
from compression.registry import pick

Augment = Callable[[Tensor, torch.Generator], Tensor]


def jitter(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Shift every image by up to a fourteenth of its side (2 pixels of 28), at least 1 pixel."""
    return _shift(images_BCHW, max(1, images_BCHW.shape[2] // 14), generator)


def crop_flip(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to an eighth of the side (4 pixels of 32) and mirror every second image or so.

    Source: He et al. 2015, section 4.2 (arXiv 1512.03385).
    """
    images = _shift(images_BCHW, max(1, images_BCHW.shape[2] // 8), generator)
    flip = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def reflect_flip(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """``crop_flip`` with the image mirrored beyond its border, in the place of black.

    Black borders are in no test image, but in the statistics that BatchNorm keeps.
    """
    reach = max(1, images_BCHW.shape[2] // 8)
    n, channels, height, width = images_BCHW.shape
    down, right = torch.randint(0, 2 * reach + 1, (2, n, 1), generator=generator)
    rows = _mirrored(down - reach + torch.arange(height), height).view(n, 1, height, 1)
    columns = _mirrored(right - reach + torch.arange(width), width).view(n, 1, 1, width)
    images = images_BCHW[torch.arange(n).view(n, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1), rows, columns]
    flip = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places beyond either end brought back by as much, the end itself not doubled."""
    places = places.abs()
    return torch.where(places > size - 1, 2 * (size - 1) - places, places)


def _shift(images_BCHW: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    n, _, height, width = images_BCHW.shape
    padded = F.pad(images_BCHW, (reach,) * 4)
    down, right = torch.randint(0, 2 * reach + 1, (2, n, 1), generator=generator)
    rows = (down + torch.arange(height)).view(n, 1, height, 1)
    columns = (right + torch.arange(width)).view(n, 1, 1, width)
    channels = torch.arange(images_BCHW.shape[1]).view(1, -1, 1, 1)
    return padded[torch.arange(n).view(n, 1, 1, 1), channels, rows, columns]


AUGMENTS: dict[str, Augment] = {
    "none": lambda images, generator: images,
    "jitter": jitter,
    "crop_flip": crop_flip,
    "reflect_flip": reflect_flip,
}


@lru_cache(maxsize=2)
def augmented(dataset: Dataset, augment: str, copies: int, seed: int = 0) -> Tensor:
    """So many augmented copies of the training images, one after another: uint8 R·N×C×H×W.

    Raises:
        UserError: unknown augmentation.
    """
    generator = torch.Generator().manual_seed(seed)
    changed = pick(AUGMENTS, augment, "augment")
    return torch.cat([changed(dataset.train.images, generator) for _ in range(copies)])
