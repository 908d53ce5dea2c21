"""The lottery ticket as a procedure: train, prune the smallest weights, rewind what is left, again.

Source: Frankle and Carbin 2019, arXiv 1803.03635; early weights: Frankle et al. 2020, arXiv 1912.05671.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.pruning.masks import expand, prunable, select_weights
from compression.recipe import Fit, Lottery, Prune
from compression.results import Epoch
from compression.training import fit

Masks = Mapping[str, Tensor]


def draw(
    fresh: Callable[[int], nn.Module], stage: Lottery, dataset: Dataset, seed: int = 0, number: int = 0
) -> Generator[Epoch, None, tuple[nn.Module, Masks]]:
    """Draw a ticket and train it, yielding every epoch; the value is the trained ticket and its masks.

    Args:
        fresh: a new network, its weights drawn by the seed.
        stage: how many rounds, to which sparsity, rewinding where, and which control if any.
        dataset: trains on ``train``.
        seed: of the weights, of the order of images, and, plus one, of the controls.
        number: of the stage, passed on into the epochs.

    Raises:
        Diverged: the loss is no longer finite.
    """
    settings = stage.model_dump(include=set(Fit.model_fields) - {"kind"})
    model = fresh(seed)
    start, masks = copy.deepcopy(model.state_dict()), dict[str, Tensor]()
    for turn in range(stage.rounds + 1):
        for epoch in fit(model, dataset, **settings, masks=masks, seed=seed, stage=number):
            if turn == 0 and epoch.epoch == stage.rewind:
                start = copy.deepcopy(model.state_dict())
            yield epoch.model_copy(
                update={"epoch": turn * stage.epochs + epoch.epoch, "sparsity": sparsity_of(model, masks)}
            )
        if turn == stage.rounds:
            break
        masks, weights = ticket(model, stage, turn + 1), start
        if turn + 1 == stage.rounds and stage.ticket == "shuffled":
            masks = shuffled(masks, seed + 1)
        if turn + 1 == stage.rounds and stage.ticket == "reinitialised":
            weights = fresh(seed + 1).state_dict()
        rewind(model, weights, masks)
    return model, masks


def ticket(model: nn.Module, stage: Lottery, turn: int) -> dict[str, Tensor]:
    """The keep-masks after so many rounds, by parameter name: the largest weights of a trained network.

    Each round takes r = 1 - (1 - S)^(1/n) of what is left. Where layers are compared within
    themselves the output layer loses r / 2, as in the paper, for it has few weights to spare.
    """
    rate = 1 - (1 - stage.sparsity) ** (1 / stage.rounds)
    last = list(prunable(model))[-1]
    prune = Prune(
        sparsity=1 - (1 - rate) ** turn,
        scope=stage.scope,
        overrides={last: 1 - (1 - rate / 2) ** turn} if stage.scope == "layer" else {},
    )
    return {f"{name}.weight": mask for name, mask in expand(model, select_weights(model, prune)).items()}


def shuffled(masks: Masks, seed: int) -> dict[str, Tensor]:
    """The masks mixed within each layer: as many weights are left, but not the same ones."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator)].view(mask.shape)
        for name, mask in masks.items()
    }


def sparsity_of(model: nn.Module, masks: Masks) -> float:
    """The fraction of the prunable weights that the masks drop."""
    total = sum(layer.weight.numel() for layer in prunable(model).values())
    return sum(mask.numel() - int(mask.sum()) for mask in masks.values()) / total


def rewind(model: nn.Module, weights: Mapping[str, Tensor], masks: Masks) -> None:
    """Give a model, in place, earlier weights, with zeros where the masks drop."""
    model.load_state_dict(weights)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask)
