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
from compression.recipe import Lottery, Prune
from compression.results import Epoch
from compression.training import Diverged, fit

Masks = Mapping[str, Tensor]


def draw(
    fresh: Callable[[int], nn.Module], stage: Lottery, dataset: Dataset, seed: int = 0, number: int = 0
) -> Generator[Epoch, None, tuple[nn.Module, Masks, str]]:
    """Draw a ticket and train it, yielding every epoch; the value is the ticket, its masks, and why it stopped early.

    Args:
        fresh: a new network, its weights drawn by the seed.
        stage: how many rounds, to which sparsity, rewinding where, and which control if any.
        dataset: trains on ``train``.
        seed: of the weights, of the order of images, and, plus one, of the controls.
        number: of the stage, passed on into the epochs.

    Raises:
        Diverged: the loss is not finite in the first epoch; later, what whole epochs made is kept.
    """
    settings = stage.settings()
    model = fresh(seed)
    start, masks = copy.deepcopy(model.state_dict()), dict[str, Tensor]()
    for turn in range(stage.rounds + 1):
        done = turn * stage.epochs
        try:
            for epoch in fit(model, dataset, **settings, masks=masks, seed=seed, stage=number):
                done += 1
                if done == stage.rewind:
                    start = copy.deepcopy(model.state_dict())
                yield epoch.model_copy(update={"epoch": done, "sparsity": sparsity_of(model, masks)})
        except Diverged as fault:
            if not done:
                raise
            return model, masks, f"{fault}; kept what {done} epochs made"
        if turn == stage.rounds:
            break
        masks, weights = ticket(model, stage, turn + 1), start
        if turn + 1 == stage.rounds and stage.ticket == "shuffled":
            masks = shuffled(masks, seed + 1)
        if turn + 1 == stage.rounds and stage.ticket == "reinitialised":
            weights = fresh(seed + 1).state_dict()
        rewind(model, weights, masks)
    return model, masks, ""


def ticket(model: nn.Module, stage: Lottery, turn: int) -> dict[str, Tensor]:
    """The keep-masks after so many rounds, by parameter name: the largest weights of a trained network."""
    kept = expand(model, select_weights(model, after_round(model, stage, turn)))
    return {f"{name}.weight": mask for name, mask in kept.items()}


def after_round(model: nn.Module, stage: Lottery, turn: int) -> Prune:
    """What is pruned in all after so many rounds, each of which takes the fraction r of what is left.

    Where layers are compared within themselves the output layer loses r / 2, as in the paper, for
    it has few weights to spare; r is such that the last round reaches the stage's sparsity.
    """
    sizes = {name: layer.weight.numel() for name, layer in prunable(model).items()}
    last, total = list(sizes)[-1], sum(sizes.values())
    if stage.scope == "global" or len(sizes) == 1:
        return Prune(sparsity=1 - (1 - stage.sparsity) ** (turn / stage.rounds), scope=stage.scope)

    def left(rate: float) -> float:
        others = (total - sizes[last]) * (1 - rate) ** stage.rounds
        return (others + sizes[last] * (1 - rate / 2) ** stage.rounds) / total

    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        low, high = (rate, high) if left(rate) > 1 - stage.sparsity else (low, rate)
    return Prune(sparsity=1 - (1 - low) ** turn, scope="layer", overrides={last: 1 - (1 - low / 2) ** turn})


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
