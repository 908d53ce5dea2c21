"""The sweep that a user would write from the READMEs of torch.nn.utils.prune and Torch-Pruning.

``python -m benchmarks.sweep_peer MODEL MEAN STD POINTS`` prints JSON; POINTS is a JSON list of
``[granularity, sparsity]``. Of Espalier it uses the trained model and the place of the images alone.
"""

from __future__ import annotations

import copy
import json
import sys
import time

import torch
import torch_pruning as tp
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from compression import load_model
from compression.data.root import data_root


def prune_weights(model: nn.Module, sparsity: float) -> None:
    """As in PyTorch's pruning tutorial, section "Global pruning"."""
    layers = [(module, "weight") for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=sparsity)
    for module, name in layers:
        prune.remove(module, name)


def prune_units(model: nn.Module, sparsity: float, channels: bool) -> None:
    """As in Torch-Pruning's README, section "High-level Pruners"."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    pruner = tp.pruner.MagnitudePruner(
        model,
        torch.randn(1, 1, 28, 28),
        importance=tp.importance.MagnitudeImportance(p=1),
        global_pruning=True,
        pruning_ratio=sparsity,
        ignored_layers=linear if channels else linear[-1:],
    )
    pruner.step()


@torch.no_grad()
def correct(model: nn.Module, loader: DataLoader) -> int:
    """How many images of the loader the model classifies correctly."""
    return sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)


def main() -> None:
    """Time each point: deep copy, prune, evaluate."""
    name, mean, std, points = sys.argv[1:]
    began = time.perf_counter()
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((float(mean),), (float(std),))])
    images = datasets.MNIST(data_root(), train=False, transform=transform)
    loader = DataLoader(images, batch_size=128)
    model = load_model(name)
    setup, rows = time.perf_counter() - began, []
    for granularity, sparsity in json.loads(points):
        began = time.perf_counter()
        pruned = copy.deepcopy(model)
        if granularity == "weights":
            prune_weights(pruned, sparsity)
        else:
            prune_units(pruned, sparsity, channels=granularity == "channels")
        right = correct(pruned, loader)
        seconds = time.perf_counter() - began
        rows.append({"granularity": granularity, "sparsity": sparsity, "correct": right, "seconds": seconds})
    print(json.dumps({"setup": setup, "points": rows}))


if __name__ == "__main__":
    main()
