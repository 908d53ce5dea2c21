"""Training and prediction on resident tensors: no loader, no workers, events instead of prints.

Shapes: N images, B images of a batch, C channels, H×W pixels, K classes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.data.sets import Dataset, Split
from compression.registry import UserError, pick
from compression.results import Epoch

Augment = Callable[[Tensor, torch.Generator], Tensor]


def prepare_process(threads: int | None = None) -> None:
    """Settings for a process that runs pruned models: call it once, early.

    Denormal numbers, which pruning and weight decay leave behind, are flushed to zero, since
    they are slow. ``threads`` is by default half the cores: torch's threads wait for each
    other, so that one busy neighbour on the last core would stall them all.
    """
    torch.set_flush_denormal(True)
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


@torch.inference_mode()
def predict(model: nn.Module, inputs_NCHW: Tensor, batch_size: int = 128) -> Tensor:
    """Logits N×K, in ``eval()`` mode; the mode of every submodule comes back afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        return torch.cat([model(batch) for batch in torch.split(inputs_NCHW, batch_size)])
    finally:
        for module, was_training in modes.items():
            module.training = was_training


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
}


def fit(
    model: nn.Module,
    dataset: Dataset,
    *,
    epochs: int,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    batch_size: int = 128,
    augment: str = "none",
    resolutions: tuple[int, ...] = (),
    masks: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    stage: int = 0,
) -> Iterator[Epoch]:
    """Train a module in place by SGD with Nesterov momentum, yielding an event after each epoch.

    The learning rate rises for the first fifth of the steps and then falls to zero, both
    linearly. The weights of the last epoch stay, never those of the best.

    Args:
        model: the module; it is left in ``eval()`` mode.
        dataset: trains on ``train``, reports on ``val``.
        epochs: passes over the training split.
        lr: the highest learning rate.
        momentum: of SGD.
        weight_decay: L2 penalty on weights of two or more dimensions only.
        batch_size: images a step.
        augment: a name in AUGMENTS.
        resolutions: sides in pixels for equal parts of the training, small first, which saves
            time; empty means the images' own.
        masks: boolean keep-masks by parameter name; what they drop stays exactly zero.
        seed: fixes the order of the images and the augmentation.
        stage: passed on into the events.

    Raises:
        UserError: unknown augmentation, or the loss is no longer finite.
    """
    changed = pick(AUGMENTS, augment, "augment")
    generator = torch.Generator().manual_seed(seed)
    steps = -(-len(dataset.train) // batch_size)
    optimiser = _sgd(model, lr, momentum, weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _triangle(epochs * steps))
    layout = _layout(model)
    model.to(memory_format=layout)
    held = _held(model, masks or {})  # after the move, which gives convolutions new memory
    torch.manual_seed(seed)  # dropout draws from the global generator
    for epoch in range(epochs):
        began = time.perf_counter()
        side = resolutions[epoch * len(resolutions) // epochs] if resolutions else None
        model.train()
        total_loss, correct = 0.0, 0
        for index in torch.split(torch.randperm(len(dataset.train), generator=generator), batch_size):
            batch = normalise(changed(dataset.train.images[index], generator), dataset)
            batch = batch.clone(memory_format=layout)  # for one channel contiguous() would change nothing
            labels = dataset.train.labels[index]
            if side is not None and side != batch.shape[2]:
                batch = F.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
            logits = model(batch)
            loss = F.cross_entropy(logits, labels)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            hold(held)
            total_loss += float(loss.detach()) * len(index)
            correct += int((logits.argmax(1) == labels).sum())
        model.eval()
        last_lr = float(schedule.get_last_lr()[0])
        yield _epoch(model, dataset, stage, epoch, total_loss, correct, last_lr, began)
    # As a file gives it back, so that both are measured, and timed, alike.
    model.to(memory_format=torch.contiguous_format)


def _epoch(
    model: nn.Module, dataset: Dataset, stage: int, epoch: int,
    total_loss: float, correct: int, lr: float, began: float,
) -> Epoch:  # fmt: skip
    n = len(dataset.train)
    logits = predict(model, inputs(dataset.val, dataset))
    val_loss = float(F.cross_entropy(logits, dataset.val.labels))
    for loss in (total_loss / n, val_loss):
        if not math.isfinite(loss):
            raise UserError(f"Training diverged in epoch {epoch + 1}: the loss is {loss}; lower lr")
    return Epoch(
        stage=stage,
        epoch=epoch + 1,
        train_loss=total_loss / n,
        train_accuracy=correct / n,
        val_loss=val_loss,
        val_accuracy=float((logits.argmax(1) == dataset.val.labels).float().mean()),
        lr=lr,
        seconds=time.perf_counter() - began,
    )


def _sgd(model: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Decay the weights, but not biases and normalisation, which have one dimension."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)


def _triangle(steps: int) -> Callable[[int], float]:
    """A factor that rises linearly over the first fifth of the steps, then falls to zero."""
    peak = max(1, steps // 5)
    return lambda step: min((step + 1) / peak, max(0.0, (steps - step) / max(1, steps - peak)))


def _layout(model: nn.Module) -> torch.memory_format:
    """Channels-last, the faster layout, unless the model has a convolution that is unsafe in it.

    With fewer input channels than a vector block (16 floats at most), oneDNN computes the
    weight gradient of a strided 1×1 convolution in channels-last beyond the end of its workspace:
    a wrong gradient or a crash (uxlfoundation/oneDNN issue 6035). A shortcut gets there by surgery.
    """
    unsafe = any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels // module.groups < 16
        for module in model.modules()
    )
    return torch.contiguous_format if unsafe else torch.channels_last


def _held(model: nn.Module, masks: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    parameters = dict(model.named_parameters())
    return [(parameters[name].data, mask) for name, mask in masks.items()]


def hold(held: list[tuple[Tensor, Tensor]]) -> None:
    """Set to zero, in place, what each mask drops."""
    for weight, mask in held:
        weight.mul_(mask)
