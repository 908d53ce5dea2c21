"""Small networks, one for each way in which layers can be coupled, with their couplings by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.models.architectures import ResNet
from compression.models.transformers import ViT


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3))


def normed_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Linear(8, 3))


class LeNet(nn.Module):
    """Convolutions, then flattened: nine inputs of the linear layer belong to one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.fc1 = nn.Linear(8 * 3 * 3, 10)
        self.fc2 = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


class Residual(nn.Module):
    """A stem with BatchNorm, a block that adds its input, and one that widens over a 1×1 shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.a1, self.an1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.a2, self.an2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b1, self.bn1 = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.b2, self.bn2 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.short, self.shortn = nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.stem(x)))
        y = F.relu(self.an1(self.a1(x)))
        x = F.relu(x + self.an2(self.a2(y)))
        y = F.relu(self.bn1(self.b1(x)))
        x = F.relu(self.shortn(self.short(x)) + self.bn2(self.b2(y)))
        return self.head(x.mean((2, 3)))


class Depthwise(nn.Module):
    """Expand, filter each channel by itself, project: the depthwise layer follows the expansion."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.norm = nn.Conv2d(2, 8, 1), nn.BatchNorm2d(8)
        self.each = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.project = nn.Conv2d(8, 6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(F.relu(self.each(F.relu(self.norm(self.expand(x))))))
        return self.head(x.mean((2, 3)))


class Signal(nn.Module):
    """One dimension, with normalisation of each sample by itself and a slope for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.slope = nn.Conv1d(2, 6, 3), nn.InstanceNorm1d(6, affine=True), nn.PReLU(6)
        self.pool = nn.Sequential(nn.Conv1d(6, 8, 3, stride=2), nn.BatchNorm1d(8, affine=False), nn.PReLU())
        self.head = nn.Linear(8, 3)
        nn.init.uniform_(self.slope.weight, 0.1, 0.9)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.slope(self.norm(self.conv(x)))).mean(2))


class Grouped(nn.Module):
    """A convolution in two blocks: as many channels must go from each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.blocks = nn.Conv2d(8, 12, 3, padding=1, groups=2)
        self.last = nn.Conv2d(12, 6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.last(F.relu(self.blocks(F.relu(self.first(x))))))
        return self.head(x.mean((2, 3)))


class Joined(nn.Module):
    """Two branches side by side: each owns a part of what the next layer reads."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(2, 4, 1)
        self.norm = nn.BatchNorm2d(10)
        self.after = nn.Conv2d(10, 5, 1)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(torch.cat([self.left(x), self.right(x)], 1))
        return self.head(F.relu(self.after(F.relu(x))).mean((2, 3)))


class PlusInput(nn.Module):
    """The first convolution is added to the image itself, whose channels nobody can remove."""

    def __init__(self) -> None:
        super().__init__()
        self.same, self.free = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.free(x + self.same(x))).mean((2, 3)))


class Halves(nn.Module):
    """The two halves of a layer are multiplied, which couples its units with one another."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.free = nn.Conv2d(2, 8, 1), nn.Conv2d(4, 6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.twice(x).chunk(2, 1)
        return self.head(F.relu(self.free(a * b)).mean((2, 3)))


class Averaged(nn.Module):
    """GroupNorm averages over the four channels of a block; LayerNorm over all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.free, self.layernorm = nn.Conv2d(8, 6, 1), nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.free(F.relu(self.norm(self.conv(x)))))
        return self.head(self.layernorm(x.mean((2, 3))))


@dataclass(frozen=True)
class Case:
    """A network with its input shape and, by hand, the layers that make or normalise each group."""

    build: type[nn.Module] | object
    input_shape: tuple[int, ...]
    kind: str
    couplings: dict[str, tuple[str, ...]]

    def model(self, seed: int = 0) -> nn.Module:
        """With random weights, and BatchNorms that are not the identity."""
        torch.manual_seed(seed)
        model = self.build()  # type: ignore[operator]
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                if module.affine:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.normal_(module.bias, 0, 0.2)
        return model.eval()


CASES = {
    "mlp": Case(mlp, (3, 2, 2), "rows", {"1": ("1",), "3": ("3",)}),
    "normed_mlp": Case(normed_mlp, (3, 2, 2), "rows", {"1": ("1", "2")}),
    "lenet_channels": Case(LeNet, (1, 12, 12), "channels", {"conv1": ("conv1",), "conv2": ("conv2",)}),
    "lenet_rows": Case(LeNet, (1, 12, 12), "rows", {"fc1": ("fc1",)}),
    "residual": Case(
        Residual,
        (1, 8, 8),
        "channels",
        {
            "stem": ("stem", "bn", "a2", "an2"),
            "a1": ("a1", "an1"),
            "b1": ("b1", "bn1"),
            "b2": ("b2", "bn2", "short", "shortn"),
        },
    ),
    "signal": Case(Signal, (2, 16), "channels", {"conv": ("conv", "norm", "slope"), "pool.0": ("pool.0", "pool.1")}),
    "depthwise": Case(
        Depthwise, (2, 6, 6), "channels", {"expand": ("expand", "norm", "each"), "project": ("project",)}
    ),
    "grouped": Case(Grouped, (2, 6, 6), "channels", {"first": ("first",), "blocks": ("blocks",), "last": ("last",)}),
}


def vit() -> nn.Module:
    return ViT(channels=1, side=6, patch=2, dim=8, blocks=2, heads=4, hidden=12, classes=3)


def resnet() -> nn.Module:
    return ResNet(channels=1, widths=[4], blocks=4, classes=3)


WHOLE = {"vit": Case(vit, (1, 6, 6), "heads", {}), "resnet": Case(resnet, (1, 6, 6), "blocks", {})}
"""Networks of attention heads and of blocks, whose couplings nobody needs to write down."""
