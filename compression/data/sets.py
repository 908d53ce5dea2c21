"""The catalogue of data sets, as resident uint8 tensors with fixed, stratified splits.

Shapes: N images, C channels, H×W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compression.data.images import read_tree
from compression.data.own import own_names, own_parts, own_report
from compression.data.readers import Parts, cifar10, digits, idx
from compression.data.root import data_root, own_path
from compression.normalisation import Normalisation
from compression.registry import UserError, in_a_line, pick

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Images as uint8 N×C×H×W and labels as int64 N."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Split:
        """The split at these positions."""
        return Split(self.images[index], self.labels[index])

    def head(self, n: int) -> Split:
        """The first n images; the splits are shuffled, so this is a random sample of a split."""
        return self if n >= len(self) else Split(self.images[:n], self.labels[:n])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits with their class names; ``note`` says what a reader of numbers must know.

    ``normalisation`` is what the model at hand was trained with, in place of the set's own mean and deviation.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    note: str = ""
    normalisation: Normalisation | None = None

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, on the scale 0 to 1: over the training split, or what the model was trained with."""
        return (self.normalisation or self._statistics).mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, as ``mean``."""
        return (self.normalisation or self._statistics).std

    @cached_property
    def _statistics(self) -> Normalisation:
        channels = self.train.images.shape[1]
        # Counting the 256 values is exact, and needs no floating-point copy of the images.
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for channel in range(channels):
            counts = torch.bincount(self.train.images[:, channel].reshape(-1).int(), minlength=256)
            weights = counts.double() / counts.sum()
            mean = float(weights @ levels)
            means.append(mean)
            stds.append(max(float((weights @ (levels - mean) ** 2).sqrt()), 1e-6))
        return Normalisation(tuple(means), tuple(stds))

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H and W of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def split(self, name: str) -> Split:
        """One split by name. Raises UserError for any other name than train, val, test."""
        return pick({"train": self.train, "val": self.val, "test": self.test}, name, "split")

    def splits(self) -> Iterator[tuple[str, Split]]:
        """Each split with its name."""
        return ((name, self.split(name)) for name in SPLITS)


def thumbnail(split: Split, index: int, size: int = 96) -> np.ndarray[Any, Any]:
    """One image as uint8 H×W×3, enlarged by whole pixels to about ``size`` on its longer side."""
    image = split.images[index]
    if image.shape[0] == 1:
        image = image.expand(3, -1, -1)
    factor = max(1, size // max(image.shape[1:]))
    image = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    return np.asarray(image.permute(1, 2, 0).contiguous().numpy())


def stratified(labels: Tensor, fractions: tuple[float, ...], seed: int) -> list[Tensor]:
    """Positions of disjoint parts, each with every class in proportion, shuffled by seed.

    Args:
        labels: int64 N.
        fractions: the share of each part; they sum to 1. Every class gives each part at
            least one image where it has that many.
        seed: fixes the split.
    """
    generator = torch.Generator().manual_seed(seed)
    parts: list[list[Tensor]] = [[] for _ in fractions]
    for label in torch.unique(labels):
        positions = (labels == label).nonzero().squeeze(1)
        positions = positions[torch.randperm(len(positions), generator=generator)]
        for part, share in zip(parts, _shares(len(positions), fractions), strict=True):
            part.append(positions[:share])
            positions = positions[share:]
    return [(joined := torch.cat(part))[torch.randperm(len(joined), generator=generator)] for part in parts]


def _shares(n: int, fractions: tuple[float, ...]) -> list[int]:
    edges = [round(n * sum(fractions[:i])) for i in range(len(fractions))] + [n]
    shares = [after - before for before, after in zip(edges, edges[1:], strict=False)]
    for i, share in enumerate(shares):
        if share == 0 and max(shares) > 1:
            shares[shares.index(max(shares))] -= 1
            shares[i] = 1
    return shares


@dataclass(frozen=True)
class Source:
    """A data set of the catalogue: what it is, where its files lie, how it is read and fetched.

    ``shape`` is C×H×W of an image.
    ``folders`` are the places under the data root of which one must exist; ``torchvision`` is
    the class that can fetch it. ``load`` gives the splits that it comes with, ``train`` always.
    ``paper`` is where it was published.
    """

    name: str
    label: str
    sentence: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    folders: tuple[str, ...]
    torchvision: str | None
    load: Callable[[Path], Parts]
    val_fraction: float
    megabytes: int
    note: str = ""
    paper: str = ""

    def here(self) -> bool:
        """Whether it can be loaded without fetching anything."""
        return not self.folders or any((data_root() / folder).is_dir() for folder in self.folders)


_DIGITS = tuple("0123456789")
_FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "digits", "Digits 8×8", "1,797 handwritten digits that come with scikit-learn.",
            _DIGITS, (1, 8, 8), (), None, digits, 0.2, 0,
            paper="Alpaydin and Kaynak 1998, Optical recognition of handwritten digits, UCI, doi 10.24432/C50P49",
        ),
        Source(
            "mnist", "MNIST", "70,000 handwritten digits, 28×28 (LeCun 1998).",
            _DIGITS, (1, 28, 28), ("MNIST",), "MNIST", idx("MNIST"), 1 / 12, 12,
            paper="LeCun et al. 1998, Gradient-based learning applied to document recognition, Proc. IEEE 86(11)",
        ),
        Source(
            "fashion-mnist", "Fashion-MNIST", "70,000 pieces of clothing, 28×28 (Xiao 2017).",
            _FASHION, (1, 28, 28), ("FashionMNIST",), "FashionMNIST", idx("FashionMNIST"), 1 / 12, 31,
            paper="Xiao et al. 2017, Fashion-MNIST, arXiv 1708.07747",
        ),
        Source(
            "cifar10", "CIFAR-10", "60,000 colour photographs, 32×32 (Krizhevsky 2009).",
            _CIFAR, (3, 32, 32), ("cifar-10-batches-py", "cifar10-jpg"), "CIFAR10", cifar10, 0.1, 170,
            paper="Krizhevsky 2009, Learning multiple layers of features from tiny images, University of Toronto",
        ),
    )
}  # fmt: skip


def sources() -> dict[str, Source]:
    """The catalogue, and after it the data sets of your own that were added."""
    return DATASETS | {name: _own(name) for name in own_names()}


def _own(name: str) -> Source:
    def load(root: Path) -> Parts:
        return own_parts(name)

    try:
        report = own_report(name)
    except UserError as fault:  # to be seen and removed all the same
        return Source(name, name, str(fault), (), (0, 0, 0), (), None, load, 0.2, 0)
    sentence = f"Your own: {report.images:,} images of {len(report.classes)} classes, {report.size}."
    return Source(name, name, sentence, report.classes, report.shape, (), None, load, 0.2, 0, report.note)


def load_data(name: str, seed: int = 0) -> Dataset:
    """Load a data set by name, one of your own that was added too, or a folder of class subfolders by path.

    The splits are the data set's own where it has them. The rest is split stratified by
    class, fixed by ``seed``. Nothing is fetched: see ``fetch``.

    Raises:
        UserError: an unknown name, a path that may not be followed, or a data set that is not on this machine.
    """
    known = sources()
    if name not in known and ("/" in name or os.path.isdir(name)):
        return load_folder(own_path(name), seed)
    source = pick(known, name, "data set")
    if not source.here():
        raise UserError(_absent(source))
    try:
        parts = {split: Split(*tensors) for split, tensors in source.load(data_root()).items()}
    except UserError:
        raise
    except (RuntimeError, ValueError, OSError) as fault:
        raise UserError(
            f"The files of data set '{name}' under {data_root()} are incomplete "
            f"({in_a_line(fault)}); run: espalier data {name} --get"
        ) from None
    dataset = _divided(source.name, source.classes, parts, source.val_fraction, seed)
    return replace(dataset, note=source.note or _note(source))


def _note(source: Source) -> str:
    copies = source.name == "cifar10" and not (data_root() / "cifar-10-batches-py").is_dir()
    return "JPEG copies (quality 75, lossy)" if copies else ""


def _absent(source: Source) -> str:
    return (
        f"Data set '{source.name}' is not in {data_root()}; fetch it ({source.megabytes} MB) with: "
        f"espalier data {source.name} --get, or use 'digits', which needs no download"
    )


def _divided(name: str, classes: tuple[str, ...], parts: dict[str, Split], share: float, seed: int) -> Dataset:
    """A data set of the splits that there are; each of the others has its share of the training images."""
    absent = [split for split in SPLITS if split not in parts]
    train = parts["train"]
    inner, *held = stratified(train.labels, (1 - len(absent) * share, *(share for _ in absent)), seed)
    # Shuffled, so that any head of a split is a fair sample of it.
    orders = {
        split: torch.randperm(len(part), generator=torch.Generator().manual_seed(seed)) for split, part in parts.items()
    }
    whole = {split: part.take(orders[split]) for split, part in parts.items() if split != "train"}
    whole |= {split: train.take(index) for split, index in zip(absent, held, strict=True)}
    return Dataset(name, classes, train.take(inner), whole["val"], whole["test"])


def load_folder(path: Path, seed: int = 0, size: tuple[int, int] | None = None) -> Dataset:
    """Load your own images: ``path/CLASS/*.png``, or ``path/train/CLASS`` and ``path/test/CLASS``.

    Without a test folder the images are split 60 / 20 / 20. Images of other sizes than the
    first are resized to it.

    Raises:
        UserError: no such folder, fewer than two classes, or fewer than three images a class.
    """
    if not os.path.isdir(path):  # which is False for names that no system takes, where Path raises
        raise UserError(f"No data set and no folder of that name: '{path}'; data sets: {', '.join(sources())}")
    parted = (path / "train").is_dir() and (path / "test").is_dir()
    images, labels, classes = read_tree(path / "train" if parted else path, size=size)
    parts = {"train": Split(images, labels)}
    if parted:
        channels, height, width = images.shape[1:]
        images, labels, other = read_tree(path / "test", size=(height, width), grey=channels == 1)
        if other != classes:
            raise UserError(f"The classes of {path}/test are {other}, but those of train are {classes}")
        parts["test"] = Split(images, labels)
    return _divided(path.name, classes, parts, 0.2, seed)
