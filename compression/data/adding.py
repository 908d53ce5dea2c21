"""Your own images as a data set with a name: a folder, a zip or a table is read once, and loads fast afterwards.

A data set has the mean and standard deviation of its own training images; the normalisation that a model
was trained with is a matter of the model, and belongs on its card.

Shapes: N images, C channels, H×W pixels.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from compression.data.found import found
from compression.data.images import FEWEST_IMAGES, TRANSFORM, Look, Pixels, look_at, read_image, room
from compression.data.names import Item, LeftOut, said
from compression.data.own import Report, keep, own_names
from compression.data.sets import DATASETS, SPLITS
from compression.registry import UserError, plain_name

LARGEST_SIDE = 224
"""Images that all have one size keep it up to this side."""
SIDE = 64
"""What others are resized to where no size is asked for."""
LISTED = 1000
"""Files of each kind that a report names; it counts them all."""
RESERVED = ("add", "rm", "clean")
"""What the command line would not take for a name."""
Step = Callable[[float], None]
Size = tuple[int, int]


def add(
    path: Path, name: str, size: Size | None = None, grey: bool | None = None, step: Step = lambda done: None
) -> Report:
    """Make a data set of the images in a folder, a .zip or a .csv, kept under the data root.

    Args:
        path: ``CLASS/image`` or ``SPLIT/CLASS/image`` in a folder or zip; or a table with the columns
            ``path``, ``label`` and perhaps ``split``, beside its images or at the top of a zip with them.
        name: what ``load_data`` will know it by.
        size: H×W; by default the one that all images have, or 64×64.
        grey: one channel or three; by default one where all images are grey.
        step: called with the share that is done.

    Raises:
        UserError: a name that is taken or not plain, nothing readable at the path, fewer than two
            classes, classes with too few images or not in every split, or more than 4 GiB of pixels.
    """
    check_name(name)
    with found(path) as (items, left_out), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what decoders mutter about bytes that they read all the same
        _check(items, left_out)
        # A split after the other, so that each is a slice of the whole.
        items = sorted(items, key=lambda item: SPLITS.index(item.split))
        items, looks = _looked_at(items, left_out, lambda done: step(0.3 * done))
        _check(items, left_out)
        size = size or _size(looks)
        grey = all(look.grey for look in looks) if grey is None else grey
        pixels = room(len(items), size, grey, "ask for a smaller size, such as 32x32")
        items = _read(items, left_out, pixels, grey, lambda done: step(0.3 + 0.7 * done))
    _check(items, left_out)
    classes = tuple(sorted({item.label for item in items}))
    places = {label: place for place, label in enumerate(classes)}
    labels = torch.tensor([places[item.label] for item in items])
    pixels = pixels[: len(items)]
    digests = [hashlib.blake2b(image, digest_size=16).digest() for image in pixels]
    across, repeated = _duplicates(items, digests)
    counts = Counter((item.split, item.label) for item in items)
    report = Report(
        name=name,
        classes=classes,
        shape=(pixels.shape[1], *size),
        counts={split: tuple(counts[split, label] for label in classes) for split in _splits(items)},
        transform=TRANSFORM.format(colours="grey" if grey else "RGB", size=f"{size[0]}×{size[1]}"),
        left_out=tuple(one.plain() for one in left_out[:LISTED]),
        left_out_count=len(left_out),
        across=tuple(across[:LISTED]),
        across_count=len(across),
        repeated=repeated,
        digest=hashlib.sha256(repr((classes, labels.tolist(), digests)).encode()).hexdigest(),
    )
    keep(report, torch.from_numpy(pixels), labels)
    return report


def check_name(name: str) -> None:
    """Raise UserError for a name that is not plain, has a meaning already, or is taken."""
    taken = (*DATASETS, *RESERVED)
    if plain_name(name) in taken:
        raise UserError(f"name is '{name}', which has a meaning of its own; choose another than {', '.join(taken)}")
    if name in own_names():
        raise UserError(f"There is a data set '{name}' already; choose another name, or delete that one first")


def _splits(items: Sequence[Item]) -> list[str]:
    present = {item.split for item in items}
    return [split for split in SPLITS if split in present]


def _check(items: Sequence[Item], left_out: Sequence[LeftOut]) -> None:
    """Raise UserError where the images are too few to train and to judge by; the line says what was left out."""
    why = f"; {len(left_out):,} files were left out, the first: {said(left_out[0])}" if left_out else ""
    classes = sorted({item.label for item in items})
    if len(classes) < 2:
        raise UserError(f"Classes with images: {len(classes)}; at least 2 are needed{why}")
    counts = Counter((item.split, item.label) for item in items)
    splits = _splits(items)
    for split in ("train", *splits):
        # Training images give one to each split that the images do not come with.
        fewest = FEWEST_IMAGES - len({*splits} - {"train"}) if split == "train" else 1
        for label in classes:
            if counts[split, label] < fewest:
                n = counts[split, label]
                raise UserError(f"Class '{label}' has {n} images in {split}; at least {fewest} are needed{why}")


def _looked_at(items: Sequence[Item], left_out: list[LeftOut], step: Step) -> tuple[list[Item], list[Look]]:
    """The images whose headers can be read, with what these say; the others are left out."""
    fit, looks = [], []
    for number, item in enumerate(items):
        if number % 100 == 0:
            step(number / len(items))
        try:
            with item.opened() as content:
                looks.append(look_at(content))
            fit.append(item)
        except (UserError, OSError) as fault:
            left_out.append(LeftOut(item.name, _reason(fault)))
    return fit, looks


def _reason(fault: Exception) -> str:
    return str(fault) if isinstance(fault, UserError) else f"cannot be read ({getattr(fault, 'strerror', fault)})"


def _size(looks: Sequence[Look]) -> Size:
    sizes = {look.size for look in looks}
    return sizes.pop() if len(sizes) == 1 and max(looks[0].size) <= LARGEST_SIDE else (SIDE, SIDE)


def _read(items: Sequence[Item], left_out: list[LeftOut], pixels: Pixels, grey: bool, step: Step) -> list[Item]:
    """Fill the first places of ``pixels`` with the images that can be decoded, one at a time; which these are."""
    fit: list[Item] = []
    height, width = pixels.shape[2:]
    for number, item in enumerate(items):
        if number % 100 == 0:
            step(number / len(items))
        try:
            with item.opened() as content:
                pixels[len(fit)] = read_image(content, (height, width), grey)
            fit.append(item)
        except (UserError, OSError) as fault:
            left_out.append(LeftOut(item.name, _reason(fault)))
    return fit


def _duplicates(items: Sequence[Item], digests: Sequence[bytes]) -> tuple[list[tuple[str, str]], int]:
    """Pairs of files with equal pixels in two splits, and how many images repeat one of their own split."""
    first: dict[bytes, dict[str, str]] = {}
    across, repeated = [], 0
    for item, digest in zip(items, digests, strict=True):
        met = first.setdefault(digest, {})
        if item.split in met:
            repeated += 1
        else:
            across += [(name, item.name) for name in met.values()]
            met[item.split] = item.name
    return across, repeated
