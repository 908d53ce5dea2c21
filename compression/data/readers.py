"""The files of the catalogue's data sets: each reader turns a folder into the splits that lie there.

A split is uint8 images N×C×H×W (N images, C channels, H×W pixels) and int64 labels N.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from compression.data.images import read_tree
from compression.registry import UserError

Parts = dict[str, tuple[Tensor, Tensor]]


def digits(root: Path) -> Parts:
    """The table that lies in scikit-learn's package: 64 pixels of 0 to 16 and the label, a line each.

    Read as a file, since importing scikit-learn takes 40 times as long, at the first page of a server.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise UserError("Data set 'digits' comes with scikit-learn, which is not installed: pip install scikit-learn")
    table = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images = (table[:, :64] * (255 / 16)).round().astype(np.uint8).reshape(-1, 1, 8, 8)
    return {"train": (torch.from_numpy(images), torch.from_numpy(table[:, 64]).long())}


def idx(folder: str) -> Callable[[Path], Parts]:
    """The four files of MNIST's format, read as files: importing torchvision takes longer than all of them."""

    def load(root: Path) -> Parts:
        raw = root / folder / "raw"
        return {
            part: (
                _array(raw / f"{file}-images-idx3-ubyte").unsqueeze(1),
                _array(raw / f"{file}-labels-idx1-ubyte").long(),
            )
            for part, file in (("train", "train"), ("test", "t10k"))
        }

    return load


def _array(path: Path) -> Tensor:
    """An array of bytes after its header: two zeros, the kind of number, how many axes, then the length of each.

    Raises:
        ValueError: the file holds no bytes, or not as many as its header says.
    """
    content = path.read_bytes()
    if content[:3] != b"\x00\x00\x08" or len(content) < 4:
        raise ValueError(f"{path.name} is no array of bytes")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    if len(content) != start + math.prod(shape):
        raise ValueError(f"{path.name} has {len(content):,} bytes of {start + math.prod(shape):,}")
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(shape)


def cifar10(root: Path) -> Parts:
    """The original batches where they are; else JPEG copies in class folders."""
    if (root / "cifar-10-batches-py").is_dir():
        return _batches(root)
    copies = root / "cifar10-jpg"
    parts = {}
    for part in ("train", "test"):
        images, labels, _ = read_tree(copies / part, size=(32, 32), cache=True)
        parts[part] = (images, labels)
    return parts


def _batches(root: Path) -> Parts:
    import torchvision

    parts = {part: torchvision.datasets.CIFAR10(root, train=part == "train") for part in ("train", "test")}
    return {
        part: (torch.as_tensor(one.data).permute(0, 3, 1, 2).contiguous(), torch.as_tensor(one.targets))
        for part, one in parts.items()
    }
