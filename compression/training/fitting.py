"""Training on resident tensors: no loader, no workers, events instead of prints.

Shapes: B images of a batch, K classes.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.registry import UserError
from compression.results import Epoch
from compression.training.batches import Feed, Step, steps_of, taken_of
from compression.training.device import at_work, place_of
from compression.training.optimiser import layout_of, rise_and_fall, sgd
from compression.training.prediction import inputs, predict
from compression.training.stopping import check

Masking = Callable[[float], Mapping[str, Tensor] | None]


class Diverged(UserError):
    """The loss is no longer finite; the module holds the weights of the last whole epoch, if there was one."""


class Objective(nn.Module):
    """What training makes small: here the cross-entropy with the labels.

    Parameters of its own are trained along with the model.
    """

    def forward(self, model: nn.Module, step: Step) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The logits B×K, the loss, and the terms that make it up where there are several."""
        logits = model(step.images_BCHW)
        return logits, F.cross_entropy(logits, step.labels_B), {}

    def helpers(self) -> tuple[nn.Module, ...]:
        """Networks that it asks at every step and that are not trained: they go where the model goes."""
        return ()


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
    masking: Masking | None = None,
    restarts: int = 1,
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
        masking: asked before every step with the fraction of the training done; the masks that it
            gives take the place of those before, and the optimiser's state lives on.
        restarts: in so many equal parts the learning rate rises and falls anew.
        seed: fixes the order of the images and the augmentation.
        stage: passed on into the events.

    Raises:
        UserError: unknown augmentation or class, or no class is left.
        Diverged: the loss is no longer finite.
    """
    goal = objective or Objective()
    layout = layout_of(model)
    feed = Feed(dataset, taken_of(dataset, without), epochs, batch_size, augment, copies, resolutions, layout)
    model.to(memory_format=layout)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # dropout draws from the global generator
    with at_work(model, goal, *goal.helpers()):
        # After the moves, which give weights new memory.
        optimiser = sgd([model, goal], lr, momentum, weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rise_and_fall(epochs * feed.steps, restarts))
        pass_over = _Pass(model, goal, optimiser, schedule, _held(model, masks or {}), masking)
        for epoch in range(epochs):
            began, sound = time.perf_counter(), copy.deepcopy(model.state_dict())
            try:
                sums = pass_over(feed, epoch, generator)
                done = _epoch(model, dataset, stage, epoch, sums, float(schedule.get_last_lr()[0]), began)
            except FloatingPointError as fault:
                model.eval().load_state_dict(sound)
                raise Diverged(f"Training diverged in epoch {epoch + 1}, {fault}; lower lr") from None
            yield done
    # As a file gives it back, so that both are measured, and timed, alike.
    model.to(memory_format=torch.contiguous_format)


@dataclass
class _Pass:
    """One pass over the training images after another, and what it keeps between them."""

    model: nn.Module
    goal: Objective
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    held: list[tuple[Tensor, Tensor]]
    masking: Masking | None

    def __call__(self, feed: Feed, epoch: int, generator: torch.Generator) -> _Sums:
        """Train for an epoch; the model is left in ``eval()`` mode."""
        self.model.train()
        sums, device = _Sums(len(feed.taken)), place_of(self.model)
        for step in steps_of(feed, epoch, generator):
            check()
            hold(self.held)  # before new masks are asked for: what is pruned is zero whoever looks
            fresh = self.masking(step.progress) if self.masking else None
            if fresh is not None:
                self.held = _held(self.model, fresh)
                hold(self.held)
            step = step.to(device)
            logits, loss, parts = self.goal(self.model, step)
            self.optimiser.zero_grad()
            torch.autograd.backward(loss)
            self.optimiser.step()
            self.schedule.step()
            sums.add(step, logits, loss, parts)
        hold(self.held)
        self.model.eval()
        return sums


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


def _held(model: nn.Module, masks: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    parameters = dict(model.named_parameters())
    return [(parameters[name].data, mask.to(parameters[name].device)) for name, mask in masks.items()]


def hold(held: list[tuple[Tensor, Tensor]]) -> None:
    """Set to zero, in place, what each mask drops."""
    for weight, mask in held:
        weight.mul_(mask)
