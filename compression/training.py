"""Training and prediction on resident tensors: no loader, no workers, events instead of prints.

Shapes: N images, B images of a batch, C channels, H×W pixels, K classes; R copies of the images.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.data.augment import AUGMENTS, augmented
from compression.data.sets import Dataset, Split
from compression.registry import UserError, pick
from compression.results import Epoch


class Diverged(UserError):
    """The loss is no longer finite; the module holds the weights of the last whole epoch, if there was one."""


@dataclass(frozen=True)
class Step:
    """One batch: where its images lie in the training split, the images as the network sees them, their labels.

    With ``copies`` of the images ``index`` counts on through the copies, R·N in all.
    """

    index_B: Tensor
    images_BCHW: Tensor
    labels_B: Tensor


class Objective(nn.Module):
    """What training makes small: here the cross-entropy with the labels.

    Parameters of its own are trained along with the model.
    """

    def forward(self, model: nn.Module, step: Step) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The logits B×K, the loss, and the terms that make it up where there are several."""
        logits = model(step.images_BCHW)
        return logits, F.cross_entropy(logits, step.labels_B), {}


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
    copies: int = 0,
    without: tuple[str, ...] = (),
    objective: Objective | None = None,
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
        copies: take so many fixed augmented copies of the images in turn, one an epoch, instead
            of augmenting each batch anew; 0 does the latter.
        without: names of classes whose images are left out of the training.
        objective: what is made small; cross-entropy with the labels where it is left out.
        masks: boolean keep-masks by parameter name; what they drop stays exactly zero.
        seed: fixes the order of the images and the augmentation.
        stage: passed on into the events.

    Raises:
        UserError: unknown augmentation or class, or no class is left.
        Diverged: the loss is no longer finite.
    """
    goal = objective or Objective()
    generator = torch.Generator().manual_seed(seed)
    optimiser = _sgd([model, goal], lr, momentum, weight_decay)
    taken = taken_of(dataset, without)
    steps = -(-len(taken) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _triangle(epochs * steps))
    layout = _layout(model)
    model.to(memory_format=layout)
    held = _held(model, masks or {})  # after the move, which gives convolutions new memory
    torch.manual_seed(seed)  # dropout draws from the global generator
    sides = [resolutions[epoch * len(resolutions) // epochs] if resolutions else None for epoch in range(epochs)]
    for epoch, side in enumerate(sides):
        began, sound = time.perf_counter(), copy.deepcopy(model.state_dict())
        model.train()
        sums = _Sums(len(taken))
        try:
            for step in _steps(dataset, taken, batch_size, augment, copies, epoch, generator, layout, side):
                logits, loss, parts = goal(model, step)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
                hold(held)
                sums.add(step, logits, loss, parts)
            model.eval()
            done = _epoch(model, dataset, stage, epoch, sums, float(schedule.get_last_lr()[0]), began)
        except FloatingPointError as fault:
            model.eval().load_state_dict(sound)
            raise Diverged(f"Training diverged in epoch {epoch + 1}, {fault}; lower lr") from None
        yield done
    # As a file gives it back, so that both are measured, and timed, alike.
    model.to(memory_format=torch.contiguous_format)


def taken_of(dataset: Dataset, without: tuple[str, ...]) -> Tensor:
    """Positions of the training images whose classes are not left out. Raises UserError as ``fit`` does."""
    labels = [pick({name: i for i, name in enumerate(dataset.classes)}, name, "class in without") for name in without]
    keep = ~torch.isin(dataset.train.labels, torch.tensor(labels, dtype=torch.int64))
    if not keep.any():
        raise UserError(f"without names every class of data set '{dataset.name}'; leave one at least")
    return keep.nonzero().squeeze(1)


def _steps(
    dataset: Dataset, taken: Tensor, batch_size: int, augment: str, copies: int, epoch: int,
    generator: torch.Generator, layout: torch.memory_format, side: int | None,
) -> Iterator[Step]:  # fmt: skip
    """The batches of one epoch, in an order that the generator draws."""
    changed = pick(AUGMENTS, augment, "augment")
    first = epoch % copies * len(dataset.train) if copies else 0
    for index in torch.split(taken[torch.randperm(len(taken), generator=generator)], batch_size):
        images = augmented(dataset, augment, copies)[first + index] if copies else dataset.train.images[index]
        batch = normalise(images if copies else changed(images, generator), dataset)
        batch = batch.clone(memory_format=layout)  # for one channel contiguous() would change nothing
        if side is not None and side != batch.shape[2]:
            batch = F.interpolate(batch, size=(side, side), mode="bilinear", antialias=True)
        yield Step(first + index, batch, dataset.train.labels[index])


@dataclass
class _Sums:
    """What an epoch adds up over its n images."""

    n: int
    steps: int = 0
    loss: float = 0.0
    correct: int = 0
    parts: dict[str, float] = field(default_factory=dict)

    def add(self, step: Step, logits: Tensor, loss: Tensor, parts: Mapping[str, Tensor]) -> None:
        self.steps += 1
        _check_finite(f"step {self.steps}: the loss", float(loss.detach()))
        size = len(step.labels_B)
        self.loss += float(loss.detach()) * size
        self.correct += int((logits.argmax(1) == step.labels_B).sum())
        for name, part in parts.items():
            self.parts[name] = self.parts.get(name, 0.0) + float(part.detach()) * size


def _epoch(
    model: nn.Module, dataset: Dataset, stage: int, epoch: int, sums: _Sums, lr: float, began: float
) -> Epoch:  # fmt: skip
    logits = predict(model, inputs(dataset.val, dataset))
    val_loss = float(F.cross_entropy(logits, dataset.val.labels))
    _check_finite("after its last step: the validation loss", val_loss)
    return Epoch(
        stage=stage,
        epoch=epoch + 1,
        train_loss=sums.loss / sums.n,
        train_accuracy=sums.correct / sums.n,
        val_loss=val_loss,
        val_accuracy=float((logits.argmax(1) == dataset.val.labels).float().mean()),
        lr=lr,
        seconds=time.perf_counter() - began,
        parts={name: total / sums.n for name, total in sums.parts.items()},
    )


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(f"{what} is {value}")


def _sgd(modules: Sequence[nn.Module], lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Decay the weights, but not biases and normalisation, which have one dimension."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1]
    plain = [p for p in parameters if p.ndim <= 1]
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
