"""The sample architectures, written to be read.

Shapes: N images, C channels, H×W pixels, K classes.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from compression.models.heads import with_separate_heads
from compression.models.huggingface import huggingface_model
from compression.models.quantized import Quantized
from compression.models.transformers import ViT
from compression.registry import UserError, quoted


class MLP(nn.Module):
    """Fully connected layers with ReLU between them, on flattened images.

    Args:
        inputs: pixels × channels of an image.
        hidden: width of each hidden layer.
        classes: K.
        dropout: probability of dropping a hidden unit while training.
        input_dropout: probability of dropping a pixel while training.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [inputs, *hidden, classes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.input_dropout = nn.Dropout(input_dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits N×K."""
        x = self.input_dropout(x_NCHW.flatten(1))
        for layer in list(self.layers)[:-1]:
            x = self.dropout(F.relu(layer(x)))
        logits: Tensor = self.layers[-1](x)
        return logits


class LeNet5(nn.Module):
    """LeNet-5 in the shape that Caffe made customary: 20 and 50 filters of 5×5, then 500 units.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition";
    the widths are those of Caffe's example and of Han et al. 2015 (arXiv 1506.02626).
    """

    def __init__(self, filters: Sequence[int] = (20, 50), hidden: int = 500, classes: int = 10) -> None:
        super().__init__()
        first, second = filters
        self.conv1 = nn.Conv2d(1, first, 5)
        self.conv2 = nn.Conv2d(first, second, 5)
        self.fc1 = nn.Linear(second * 4 * 4, hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits N×K of images N×1×28×28."""
        # Pooling first gives the same numbers, and ReLU a quarter of the work.
        x = F.relu(F.max_pool2d(self.conv1(x_NCHW), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.fc1(x.flatten(1)))
        logits: Tensor = self.fc2(x)
        return logits


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm, added to their input.

    Where resolution or width changes, the input passes a 1×1 convolution with BatchNorm
    (option B of the paper).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×C×H×W to N×C'×H'×W'."""
        y = F.relu(self.bn1(self.conv1(x_NCHW)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x_NCHW))


class ResNet(nn.Module):
    """A residual network for small images: a 3×3 stem, then one group of blocks for each width.

    Widths (16, 32, 64) with three blocks each is ResNet-20. Every group but the first halves
    the resolution.

    Source: He et al. 2015, "Deep residual learning for image recognition", section 4.2
    (arXiv 1512.03385).
    """

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        layers: list[nn.Module] = []
        inputs = widths[0]
        for group, width in enumerate(widths):
            for block in range(blocks):
                layers.append(ResidualBlock(inputs, width, 2 if group and not block else 1))
                inputs = width
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits N×K."""
        x = self.blocks(F.relu(self.bn(self.stem(x_NCHW))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def torchvision_model(name: str, num_classes: int, **options: Any) -> nn.Module:
    """One of torchvision's classification models, with random weights; ``options`` go to torchvision.

    Its transformers get attention of which heads can be cut out; they take 224×224 images
    unless ``image_size`` says otherwise.

    Raises:
        ValueError: no such classification model. Others would fetch a backbone's weights unasked.
    """
    import torchvision

    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(f"torchvision has no classification model {name!r}")
    return with_separate_heads(torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options))


def timm_model(name: str, num_classes: int, **options: Any) -> nn.Module:
    """One of timm's models, with random weights; ``options`` go to ``timm.create_model``.

    Raises:
        UserError: timm is not installed.
        ValueError: no such model. A name may otherwise be an address that timm would fetch from.
    """
    timm = timm_library()
    if name not in timm.list_models():
        raise ValueError(f"timm has no model {name!r}")
    # Both said, so that a file's configuration cannot: they would fetch weights, or unpickle some.
    made: nn.Module = timm.create_model(name, pretrained=False, checkpoint_path="", num_classes=num_classes, **options)
    return made


def timm_library() -> Any:
    """The package timm. Raises UserError where it is not installed."""
    try:
        import timm
    except ImportError:
        raise UserError("Architecture 'timm' needs the package timm; install it with: pip install timm") from None
    return timm


TRUSTED = "ESPALIER_CODE"
"""The environment variable that names the functions which may build models, with commas between them."""


def called(function: str, num_classes: int, **options: Any) -> nn.Module:
    """What ``package.module:function`` returns for ``options``, and for ``num_classes`` if it takes that.

    Importing a module runs its code, and a file's metadata may name any; so only what the environment
    variable ``ESPALIER_CODE`` names is imported.

    Raises:
        UserError: it is not named there, cannot be imported, or returns no module.
    """
    if function not in os.environ.get(TRUSTED, "").split(","):
        raise UserError(
            f"The model is built by code, {quoted(function)}, which is not run unless you trust it: "
            f"then set {TRUSTED} to this name"
        )
    place, _, name = function.partition(":")
    try:
        make = getattr(importlib.import_module(place), name)
    except (ImportError, AttributeError, ValueError) as fault:
        raise UserError(f"No function {quoted(function)} can be imported ({fault}); is it on PYTHONPATH?") from None
    takes = inspect.signature(make).parameters
    if "num_classes" in takes or any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        options = {"num_classes": num_classes, **options}
    made = make(**options)
    if not isinstance(made, nn.Module):
        raise UserError(f"Function {quoted(function)} returned a {type(made).__name__}, not a torch module")
    return made


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "lenet5": LeNet5,
    "resnet": ResNet,
    "vit": ViT,
    "torchvision": torchvision_model,
    "timm": timm_model,
    "transformers": huggingface_model,
    "code": called,
    "quantized": Quantized,
}
