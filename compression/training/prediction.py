"""Images as the network sees them, and what it answers.

Shapes: N images, B images of a batch, C channels, H×W pixels, K classes.
"""

from __future__ import annotations

import os
from functools import lru_cache

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset, Split
from compression.training.device import at_work


def prepare_process(threads: int | None = None) -> None:
    """Settings for a process that runs pruned models: call it once, early.

    Denormal numbers, which pruning and weight decay leave behind, are flushed to zero, since
    they are slow. ``threads`` is by default half the cores: torch's threads wait for each
    other, so that one busy neighbour on the last core would stall them all.
    """
    torch.set_flush_denormal(True)
    # The C library gives large blocks back to the system at once, and every batch would fault its pages in anew;
    # freeing one block near the limit that it adapts to makes it keep them: a quarter less time for a ResNet.
    torch.empty(31 * 2**20, dtype=torch.uint8)
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // 2))


def normalise(images_BCHW: Tensor, dataset: Dataset) -> Tensor:
    """uint8 images to float32 with zero mean and unit deviation a channel, channels-last.

    Of a single channel ``contiguous`` would keep the strides of the plain layout, which sends
    every convolution after it down the slower path; flattening fixes the order of all four.
    """
    mean, scale = (255 * torch.tensor(numbers) for numbers in (dataset.mean, dataset.std))
    images_BHWC = images_BCHW.permute(0, 2, 3, 1)
    pixels = ((images_BHWC - mean) / scale).flatten()
    return pixels.view(images_BHWC.shape).permute(0, 3, 1, 2)


@lru_cache(maxsize=6)
def inputs(split: Split, dataset: Dataset) -> Tensor:
    """A whole split as the network sees it, N×C×H×W, computed once."""
    return normalise(split.images, dataset)


def predict(model: nn.Module, inputs_NCHW: Tensor, batch_size: int = 128) -> Tensor:
    """Logits N×K, in ``eval()`` mode; the mode of every submodule comes back afterwards.

    The batches pass on the device of this process; images and logits lie in the processor's memory.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with at_work(model) as device, torch.inference_mode():
            return torch.cat([model(batch.to(device)).cpu() for batch in torch.split(inputs_NCHW, batch_size)])
    finally:
        for module, was_training in modes.items():
            module.training = was_training
