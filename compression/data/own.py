"""Data sets of your own, kept by name under the data root: one safetensors file each, with its report inside.

The tensors are ``images`` (uint8 N×C×H×W) and ``labels`` (int64 N), the splits one after another as the
report counts them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from compression.data.names import LeftOut
from compression.data.quota import check_upload
from compression.data.root import own_file, own_root
from compression.registry import UserError, pick, plain_name
from compression.writing import whole


@dataclass(frozen=True)
class Report:
    """What became of the images that were given.

    Attributes:
        name: of the data set.
        classes: their names, sorted; a label is a place among them.
        shape: C, H and W of every image.
        counts: for each split the images of each class.
        transform: what was done to every image, in words.
        left_out: files and why they are not in it; of very many the first.
        left_out_count: how many these are in all.
        across: pairs of files with equal pixels, one in each of two splits; of very many the first.
        across_count: how many these are in all.
        repeated: how many images have the pixels of another one of their split.
        digest: of all pixels and labels.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    counts: dict[str, tuple[int, ...]]
    transform: str
    left_out: tuple[LeftOut, ...]
    left_out_count: int
    across: tuple[tuple[str, str], ...]
    across_count: int
    repeated: int
    digest: str

    @property
    def images(self) -> int:
        """How many images there are in all."""
        return sum(map(sum, self.counts.values()))

    @property
    def size(self) -> str:
        """The shape of an image in words."""
        channels, height, width = self.shape
        return f"{height}×{width}{' grey' if channels == 1 else ''}"

    @property
    def put_aside(self) -> str:
        """What becomes of the training images where they came without some other split; empty where they did not."""
        lacking = [words for split, words in (("val", "validation"), ("test", "test")) if split not in self.counts]
        if not lacking:
            return ""
        each = " each" if len(lacking) > 1 else ""
        return f"When it is loaded, a fifth{each} of the training images becomes {' and '.join(lacking)} images."

    @property
    def note(self) -> str:
        """What a reader of numbers must know; empty where the splits share no image."""
        return f"images in two splits: {self.across_count:,}" if self.across_count else ""


def own_names() -> tuple[str, ...]:
    """The names of all data sets that were added, sorted."""
    wanted = own_file("[!.]*")
    return tuple(sorted(path.stem for path in wanted.parent.glob(wanted.name)))


def own_report(name: str) -> Report:
    """The report of a data set that was added.

    Raises:
        UserError: there is none of that name, or its file is damaged.
    """
    path = _found(name)
    try:
        with safe_open(path, framework="np") as file:
            body: dict[str, Any] = json.loads(file.metadata()["report"])
        lists = {
            "classes": tuple(body["classes"]),
            "shape": tuple(body["shape"]),
            "counts": {split: tuple(row) for split, row in body["counts"].items()},
            "left_out": tuple(LeftOut(*pair) for pair in body["left_out"]),
            "across": tuple((one, other) for one, other in body["across"]),
        }
        return Report(**body | lists)
    except (SafetensorError, OSError, ValueError, TypeError, LookupError):
        raise UserError(_damaged(name)) from None


def own_parts(name: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Images and labels of each split that a data set was added with, ``train`` always.

    Raises:
        UserError: there is none of that name, or its file is damaged.
    """
    sizes = {split: sum(row) for split, row in own_report(name).counts.items()}
    try:
        tensors = load_file(_found(name))
        images, labels = (torch.split(tensors[key], list(sizes.values())) for key in ("images", "labels"))
    except (SafetensorError, OSError, LookupError, RuntimeError):
        raise UserError(_damaged(name)) from None
    return dict(zip(sizes, zip(images, labels, strict=True), strict=True))


def own_digest(name: str) -> str:
    """What the images of this name are, in hexadecimal digits; empty where none were added by it."""
    return own_report(name).digest if name in own_names() else ""


def keep(report: Report, images: Tensor, labels: Tensor) -> None:
    """Write a data set in one step.

    Raises:
        UserError: the disk is full, may not be written, or is not to hold so much of one user.
    """
    check_upload(images.nbytes + labels.nbytes)
    path = own_file(plain_name(report.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole(path) as partial:
            save_file({"images": images, "labels": labels}, partial, metadata={"report": json.dumps(asdict(report))})
    except SafetensorError as fault:
        raise UserError(f"Data set '{report.name}' cannot be written to {path.parent} ({fault})") from None


def remove(name: str) -> None:
    """Delete a data set that was added.

    Raises:
        UserError: there is none of that name, or none at all.
    """
    _found(name).unlink(missing_ok=True)


def _found(name: str) -> Path:
    if not own_names():
        raise UserError(f"There is no data set of your own in {own_root()}; make one with: espalier data add")
    return pick({known: own_file(known) for known in own_names()}, name, "data set of your own")


def _damaged(name: str) -> str:
    return f"The file of data set '{name}' is damaged; remove it with: espalier data rm '{name}' --yes"
