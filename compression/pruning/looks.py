"""What can be seen of a model on training images: its gradients, inputs and activations.

Shapes: N images, B images of a batch, C channels, H×W pixels. What is seen of a parameter has
the parameter's shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from compression.data.sets import Dataset, Split
from compression.models.structure import CONVOLUTIONS, Layer
from compression.training import hold, normalise

PASSES, LR, STEP = 4, 0.01, 32
"""The fine-tuning of ``movement``: passes over the images, learning rate of plain SGD, images a step."""
ZEROING = ("relu", "relu_", "relu6", "hardtanh", "hardswish")
"""Torch's names of the activations that make zeros; its ReLU6 is a hardtanh from 0 to 6."""
BY_GRADIENT = ("gradients", "squared gradients", "movement")
"""What is seen of every parameter; the rest only of the weights of layers."""

Seen = dict[str, Tensor]
"""By parameter name, such as ``conv1.weight``."""


@dataclass(frozen=True, eq=False)
class Images:
    """Training images with their labels, given out in batches as a network sees them."""

    split: Split
    dataset: Dataset
    layout: torch.memory_format
    batch_size: int

    def __len__(self) -> int:
        return len(self.split)

    def batches(self, size: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images B×C×H×W and labels B, ``size`` at a time or as many as save time."""
        size = size or self.batch_size
        parts = (torch.split(whole, size) for whole in (self.split.images, self.split.labels))
        for images, labels in zip(*parts, strict=True):
            yield normalise(images, self.dataset).clone(memory_format=self.layout), labels


def _loss_gradients(model: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> Seen:
    """The gradient of the summed cross-entropy with respect to each parameter; 0 where it is not used."""
    parameters = dict(model.named_parameters())
    loss = F.cross_entropy(model(images_BCHW), labels_B, reduction="sum")
    gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    return dict(zip(parameters, gradients, strict=True))


def _zeros(model: nn.Module) -> Seen:
    return {name: torch.zeros_like(parameter.detach()) for name, parameter in model.named_parameters()}


def _gradients(model: nn.Module, shown: Images) -> Seen:
    r"""The gradient of the mean loss, :math:`\frac{1}{N} \sum_n g_n`."""
    sums = _zeros(model)
    for images, labels in shown.batches():
        for name, gradient in _loss_gradients(model, images, labels).items():
            sums[name] += gradient / len(shown)
    return sums


def _squared_gradients(model: nn.Module, shown: Images) -> Seen:
    r"""The mean of the squared gradients, :math:`\frac{1}{N} \sum_n g_n^2`.

    One image at a time: the square of a batch's gradient is another thing, and on a CPU this
    costs about twice as much as one pass in batches, for any kind of layer.
    """
    sums = _zeros(model)
    for image, label in shown.batches(1):
        for name, gradient in _loss_gradients(model, image, label).items():
            sums[name].addcmul_(gradient, gradient, value=1 / len(shown))
    return sums


def _movement(model: nn.Module, shown: Images) -> Seen:
    r"""What each parameter gained by fine-tuning, :math:`-\sum_t \theta_t g_t`.

    The model is trained by SGD without momentum or decay, ``PASSES`` times over the images,
    ``STEP`` at a time and with BatchNorm's statistics fixed. Weights that are zero stay zero.
    """
    parameters, sums = dict(model.named_parameters()), _zeros(model)
    held = [(p.data, p.detach() != 0) for p in parameters.values() if p.dim() > 1]
    for _ in range(PASSES):
        for images, labels in shown.batches(STEP):
            for name, gradient in _loss_gradients(model, images, labels).items():
                weight, gradient = parameters[name].data, gradient / len(labels)
                sums[name].addcmul_(weight, gradient, value=-1)
                weight.add_(gradient, alpha=-LR)
            hold(held)
    return sums


def _inputs(model: nn.Module, shown: Images) -> Seen:
    r"""The root mean square of what each weight reads, :math:`\lVert x_j \rVert_2 / \sqrt{n}`."""
    layers = _layers(model)
    squares: Seen = {}
    values: Counter[str] = Counter()

    def watch(name: str, layer: Layer) -> None:
        axis = _axis(layer)

        def add(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            x = given[0].detach().movedim(axis, -1).flatten(0, -2)
            squares[name] = squares.get(name, 0) + x.square().sum(0, dtype=torch.float64)
            values[name] += len(x)

        layer.register_forward_pre_hook(add)

    for name, layer in layers.items():
        watch(name, layer)
    with torch.no_grad():
        for images, _ in shown.batches():
            model(images)
    norms = {name: (total / values[name]).sqrt().float() for name, total in squares.items()}
    return {f"{name}.weight": _by_inputs(norm, layers[name]) for name, norm in norms.items()}


def _by_inputs(norm: Tensor, layer: Layer) -> Tensor:
    """One number an input, spread over the weights that read it; a grouped convolution's blocks read their own."""
    blocks = getattr(layer, "groups", 1)
    weight = layer.weight
    rows = norm.view(blocks, -1).repeat_interleave(weight.shape[0] // blocks, 0)
    return rows.view(*rows.shape, *[1] * (weight.dim() - 2)).expand_as(weight)


def _activations(model: nn.Module, shown: Images) -> Seen:
    """The share of a unit's values that its activation does not set to zero, spread over the unit's weights."""
    watch = _Watch(model)
    with torch.no_grad(), watch:
        for images, _ in shown.batches():
            model(images)
    shares = {name: (total / watch.values[name]).float() for name, total in watch.passed.items()}
    weights = {name: layer.weight for name, layer in watch.layers.items()}
    return {
        f"{name}.weight": share.view(-1, *[1] * (weights[name].dim() - 1)).expand_as(weights[name])
        for name, share in shares.items()
    }


class _Watch(TorchFunctionMode):
    """Follows each layer's outputs to the activations that they reach, and counts what passes there.

    Normalisation, pooling and addition hand on whose outputs a value is made of; the next layer
    starts anew. So it does not matter how a model writes its activations.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layers = _layers(model)
        self.makers: MutableMapping[Tensor, frozenset[str]] = WeakTensorKeyDictionary()
        self.passed: Seen = {}
        self.values: Counter[str] = Counter()
        for name, layer in self.layers.items():
            layer.register_forward_hook(self._starts(name))

    def _starts(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def start(_: nn.Module, given: Any, result: Tensor) -> None:
            self.makers[result] = frozenset((name,))

        return start

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        makers: frozenset[str] = frozenset().union(*(self.makers.get(tensor, frozenset()) for tensor in given))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.makers[tensor] = makers
        if getattr(function, "__name__", "") in ZEROING:
            for name in makers:
                self._count(name, result)
        return result

    def _count(self, name: str, activated: Tensor) -> None:
        layer = self.layers[name]
        axis = _axis(layer)
        if activated.shape[axis] == layer.weight.shape[0]:  # else it is a part, or several layers side by side
            values = activated.movedim(axis, -1).flatten(0, -2)
            self.passed[name] = self.passed.get(name, 0) + (values != 0).sum(0, dtype=torch.float64)
            self.values[name] += len(values)


def _layers(model: nn.Module) -> dict[str, Layer]:
    return {name: module for name, module in model.named_modules() if isinstance(module, (nn.Linear, *CONVOLUTIONS))}


def _axis(layer: Layer) -> int:
    """Where a layer's inputs and outputs hold its features or channels."""
    return -1 if isinstance(layer, nn.Linear) else 1


LOOKS: dict[str, Callable[[nn.Module, Images], Seen]] = {
    "gradients": _gradients,
    "squared gradients": _squared_gradients,
    "movement": _movement,
    "inputs": _inputs,
    "activations": _activations,
}
"""What can be seen, by the word that a criterion's card needs; the model that is given may be changed."""
