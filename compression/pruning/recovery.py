"""Recovery without training: the biases of linear layers put right after pruning.

Shapes: N images, O units of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.training import normalise, predict


def correct_biases(
    model: nn.Module,
    before: nn.Module,
    dataset: Dataset,
    kept: Mapping[str, NDArray[np.bool_]],
    images: int = 2048,
    seed: int = 0,
) -> bool:
    r"""Shift the biases of linear layers so that each unit's mean output is that before pruning.

    .. math:: b_o \leftarrow b_o + \mathbb{E}[z_o^{\text{before}}] - \mathbb{E}[z_o]

    Layers go in the order in which the network names them, each seeing what the corrected ones before it give.

    Args:
        model: the pruned network, changed in place.
        before: the network before it was pruned.
        dataset: whose training images the means are taken over.
        kept: by layer, True for each unit that is left, where units were cut out.
        images: how many training images, drawn by the seed.
        seed: draws them.

    Returns:
        False where there is no linear layer with a bias.

    Source: Nagel et al. 2019, Data-free quantization, section 4.2, arXiv 1906.04721.
    """
    names = [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and m.bias is not None]
    drawn = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:images]
    inputs_NCHW = normalise(dataset.train.images[drawn], dataset)
    wanted = _means(before, names, inputs_NCHW)
    for name in names:
        mean_O = wanted[name][_rows(kept[name], len(wanted[name]))] if name in kept else wanted[name]
        shift_O = mean_O - _means(model, [name], inputs_NCHW)[name]
        with torch.no_grad():
            model.get_parameter(f"{name}.bias").add_(shift_O)
    return bool(names)


def _rows(kept: NDArray[np.bool_], outputs: int) -> Tensor:
    """Which outputs of a layer are left: one a unit, or for heads those of queries, keys and values in turn."""
    each = outputs // len(kept)
    return torch.from_numpy(kept if each == 1 else np.tile(np.repeat(kept, each // 3), 3))


def _means(model: nn.Module, names: list[str], inputs_NCHW: Tensor) -> dict[str, Tensor]:
    """The mean output of every unit of the named layers over all images, and over tokens where there are any."""
    sums: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, given, output: sums[name].append(
            output.flatten(0, -2).double().mean(0).cpu() * len(output)
        )

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        predict(model, inputs_NCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (torch.stack(parts).sum(0) / len(inputs_NCHW)).float() for name, parts in sums.items()}
