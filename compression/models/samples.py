"""Which sample models there are, and how each was trained; read without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "sample_models"


@dataclass(frozen=True)
class Training:
    """One rise and fall of the rate, or ``restarts`` of them; ``resolutions`` are images' sides in equal parts."""

    epochs: int
    lr: float
    weight_decay: float = 5e-4
    batch_size: int = 128
    augment: str = "none"
    resolutions: tuple[int, ...] = ()
    restarts: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Sample:
    """A sample model: its architecture and widths, its data set and how it was trained.

    ``training`` holds its trainings in order, each going on from the weights of the one before.
    Empty means random weights: there is no file, and its accuracy is chance. ``averaged`` says of how
    many of the last trainings the mean of the final weights is taken, BatchNorm counted anew
    (Izmailov et al. 2018, arXiv 1803.05407).
    """

    name: str
    sentence: str
    architecture: str
    config: dict[str, Any]
    data: str
    input_shape: tuple[int, int, int]
    training: tuple[Training, ...] = field(repr=False)
    averaged: int = 1


SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample(
            "digits-cnn",
            "A small residual network with BatchNorm on 8×8 digits; needs no download.",
            "resnet",
            {"channels": 1, "widths": [32, 64], "blocks": 1, "classes": 10},
            "digits",
            (1, 8, 8),
            (Training(epochs=40, lr=0.1, batch_size=64, augment="jitter"),),
        ),
        Sample(
            "digits-mlp",
            "Two hidden layers on 8×8 digits; needs no download.",
            "mlp",
            {"inputs": 64, "hidden": [128, 64], "classes": 10},
            "digits",
            (1, 8, 8),
            (Training(epochs=100, lr=0.1, batch_size=64, augment="jitter"),),
        ),
        Sample(
            "digits-vit",
            "A small vision transformer, 16 patches of 2×2, on 8×8 digits; needs no download.",
            "vit",
            {"channels": 1, "side": 8, "patch": 2, "dim": 48, "blocks": 4, "heads": 4, "hidden": 96, "classes": 10},
            "digits",
            (1, 8, 8),
            (Training(epochs=150, lr=0.1, batch_size=64, augment="jitter", weight_decay=1e-3),),
        ),
        Sample(
            "mnist-lenet-300-100",
            "The fully connected LeNet on which pruning papers have compared since 2015.",
            "mlp",
            {"inputs": 784, "hidden": [300, 100], "classes": 10},
            "mnist",
            (1, 28, 28),
            (Training(epochs=40, lr=0.1, augment="jitter", weight_decay=1e-4),),
        ),
        Sample(
            "mnist-lenet-5",
            "The convolutional LeNet with Caffe's widths, 20-50-500.",
            "lenet5",
            {"filters": [20, 50], "hidden": 500, "classes": 10},
            "mnist",
            (1, 28, 28),
            (Training(epochs=15, lr=0.05, augment="jitter"),),
        ),
        Sample(
            "mnist-mlp-1200",
            "The teacher of the first distillation paper: two layers of 1,200 units with dropout.",
            "mlp",
            {"inputs": 784, "hidden": [1200, 1200], "classes": 10, "dropout": 0.25, "input_dropout": 0.1},
            "mnist",
            (1, 28, 28),
            (Training(epochs=30, lr=0.07, augment="jitter", weight_decay=5e-5),),
        ),
        Sample(
            "mnist-vit",
            "A vision transformer that reads MNIST as 16 patches of 7×7.",
            "vit",
            {"channels": 1, "side": 28, "patch": 7, "dim": 64, "blocks": 4, "heads": 4, "hidden": 128, "classes": 10},
            "mnist",
            (1, 28, 28),
            (Training(epochs=24, lr=0.1, augment="jitter"),),
        ),
        Sample(
            "cifar10-resnet20",
            "ResNet-20 on CIFAR-10 photographs.",
            "resnet",
            {"channels": 3, "widths": [16, 32, 64], "blocks": 3, "classes": 10},
            "cifar10",
            (3, 32, 32),
            (
                Training(epochs=32, lr=0.3, augment="crop_flip", resolutions=(20, 24, 28, 32)),
                Training(epochs=24, lr=0.2, augment="crop_flip", resolutions=(24, 28, 32, 32)),
                Training(epochs=16, lr=0.06, augment="crop_flip", resolutions=(28, 32, 32, 32)),
                Training(epochs=12, lr=0.06, augment="crop_flip", restarts=3),
                Training(epochs=16, lr=0.08, augment="crop_flip", resolutions=(28, 32, 32, 32), seed=1),
                Training(epochs=8, lr=0.04, augment="reflect_flip", seed=2),
                Training(epochs=24, lr=0.08, augment="reflect_flip", seed=3),
            ),
            averaged=2,
        ),
        Sample(
            "resnet50-random",
            "torchvision's ResNet-50 with random weights: surgery and histograms at 25 million parameters.",
            "torchvision",
            {"name": "resnet50", "num_classes": 10},
            "cifar10",
            (3, 32, 32),
            (),
        ),
    )
}
"""In the order of the menus: the first is the embedded default."""
