"""Small networks for the tests of measuring; importable, so that they can be pickled."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def cnn() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(32, 3),
    ).eval()


class Attention(nn.Module):
    """Self-attention over the rows of an image, by ``nn.MultiheadAttention``."""

    def __init__(self, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(width, 3)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = x_NCHW[:, 0]
        y: Tensor = self.attention(x, x, x, need_weights=False)[0]
        logits: Tensor = self.head(y.mean(1))
        return logits


class Encoder(nn.Module):
    """One transformer layer, which has a fused path of its own in ``eval()`` mode."""

    def __init__(self, width: int = 16, heads: int = 4, hidden: int = 24) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(width, heads, hidden, batch_first=True)
        self.head = nn.Linear(width, 3)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layer(x_NCHW[:, 0]).mean(1))
        return logits


class Tied(nn.Module):
    """Two linear layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return y


class Broken(nn.Module):
    """Fails as soon as it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("out of luck")


def sparse(model: nn.Module, fraction: float) -> nn.Module:
    """Zero this fraction of every tensor of two or more dimensions, at random."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter[torch.rand(parameter.shape, generator=generator) < fraction] = 0
    return model


class Chatty(nn.Module):
    """Prints whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        print("here I am")
        y: Tensor = self.layer(x)
        return y
