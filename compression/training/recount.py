"""The statistics of BatchNorm, counted anew for weights that changed without training."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from compression.data.augment import AUGMENTS
from compression.data.sets import Dataset
from compression.registry import pick
from compression.training.device import at_work
from compression.training.prediction import normalise

IMAGES = 10_000


@torch.no_grad()
def recount(
    model: nn.Module,
    dataset: Dataset,
    images: int = IMAGES,
    seed: int = 0,
    augment: str = "none",
    batch_size: int = 128,
) -> bool:
    """Count the running mean and variance of every BatchNorm anew, in place; False where there is none.

    Nothing is trained: so many training images, drawn by the seed, pass once, and each layer
    keeps the mean of its batches' statistics. Pruning shifts what a layer sees, and this puts
    the statistics right again, which is often most of what fine-tuning would gain.

    Args:
        model: in ``eval()`` mode.
        dataset: whose training images are counted.
        images: how many.
        seed: draws them.
        augment: that of the training: a network that saw black borders expects their share in the
            statistics, and without it a ResNet-20 on photographs loses four points.
        batch_size: of nearly equal batches.

    Source: Li et al. 2020, EagleEye, section 3.2, arXiv 2007.02491.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return False
    generator, changed = torch.Generator().manual_seed(seed), pick(AUGMENTS, augment, "augment")
    drawn = torch.randperm(len(dataset.train), generator=generator)[:images]
    before = {module: (module.training, module.momentum) for module in norms}
    for module in norms:  # nothing else is switched to training: dropout would disturb the statistics
        module.reset_running_stats()
        module.train().momentum = None  # which means the plain mean over batches
    with at_work(model) as device:
        for index in torch.tensor_split(drawn, -(-len(drawn) // batch_size)):
            model(normalise(changed(dataset.train.images[index], generator), dataset).to(device))
    for module, (training, momentum) in before.items():
        module.train(training).momentum = momentum
    return True
