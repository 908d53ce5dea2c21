"""Images in class subfolders, read into resident uint8 tensors.

Shapes: N images, C channels, H×W pixels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file, save_file
from torch import Tensor

from compression.registry import UserError, in_a_line
from compression.writing import whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 25_000_000
"""Larger images are refused: a 10 KB file can unpack to 81 million pixels."""
MAX_BYTES = 4 * 2**30
"""A set is resident, so a folder of photographs in full size is refused."""
FEWEST_IMAGES = 3
"""A class needs one image for each of the three splits."""
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
GREY = ("1", "L", "LA", "I;16", "I;16L", "I;16B")
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What brings an image upright, by its orientation in EXIF."""
SWAPPING = tuple(TURNS[orientation] for orientation in (5, 6, 7, 8))
TRANSFORM = "turned upright as EXIF says, to {colours}, resized to {size} (bilinear, antialiased, proportions not kept)"
"""What ``read_image`` does to each image, in words."""


def read_tree(
    root: Path, size: tuple[int, int] | None = None, cache: bool = False, grey: bool | None = None
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Read ``root/CLASS/image`` into uint8 N×C×H×W, int64 N and the class names, sorted.

    Args:
        root: the folder that holds one subfolder a class; hidden folders and files are passed over.
        size: H×W to resize to; by default the size of the first image.
        cache: keep the decoded tensors beside the folder, for folders that do not change.
        grey: one channel or three; by default one where all images are grey.

    Raises:
        UserError: fewer than two classes, a class with too few images, an unreadable image, or
            more than 4 GiB of pixels.
    """
    kept = root.parent / f".{root.name}.safetensors"
    classes = tuple(sorted(p.name for p in _visible(root) if p.is_dir())) if root.is_dir() else ()
    if cache and kept.is_file() and kept.stat().st_mtime >= root.stat().st_mtime:
        tensors = load_file(kept)
        return tensors["images"], tensors["labels"], classes
    files = [_images(root / name) for name in classes]
    _check(root, classes, files)
    images = _read_all([path for group in files for path in group], size, grey)
    labels = torch.tensor([i for i, group in enumerate(files) for _ in group])
    if cache and os.access(root.parent, os.W_OK):
        with whole(kept) as partial:
            save_file({"images": images, "labels": labels}, partial)
    return images, labels, classes


def _visible(folder: Path) -> list[Path]:
    # Also without what unpacking an archive from a Mac leaves beside the folders.
    return [p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX"]


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in _visible(folder) if p.suffix.lower() in SUFFIXES and p.is_file())


def _check(root: Path, classes: tuple[str, ...], files: list[list[Path]]) -> None:
    if len(classes) < 2:
        raise UserError(f"{root} holds {len(classes)} class subfolders; at least 2 are needed, one a class")
    for name, group in zip(classes, files, strict=True):
        if len(group) < FEWEST_IMAGES:
            raise UserError(
                f"Class '{name}' in {root} has {len(group)} images ({', '.join(SUFFIXES)}); "
                f"at least {FEWEST_IMAGES} are needed"
            )


def _read_all(paths: list[Path], size: tuple[int, int] | None, grey: bool | None) -> Tensor:
    if size is None:
        with _named(paths[0]):
            size = look_at(paths[0]).size
    if grey is None:
        grey = all(_is_grey(path) for path in paths)
    pixels = room(len(paths), size, grey, "make the images smaller first")

    def fill(i: int) -> None:
        with _named(paths[i]):
            pixels[i] = read_image(paths[i], size, grey)

    # Decoding releases the interpreter lock, so threads pay.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(fill, range(len(paths))):
            pass  # each result is asked for, so that a fault in a thread is raised here
    return torch.from_numpy(pixels)


def room(n: int, size: tuple[int, int], grey: bool, remedy: str) -> Pixels:
    """An array for n images, N×C×H×W, not yet written.

    Raises:
        UserError: it would be larger than ``MAX_BYTES``; the line ends with the ``remedy``.
    """
    shape = (n, 1 if grey else 3, *size)
    total = math.prod(shape)
    if total > MAX_BYTES:
        raise UserError(
            f"{n:,} images of {size[1]}×{size[0]} would take {total / 2**30:.1f} GiB of memory; "
            f"at most {MAX_BYTES / 2**30:g} GiB are read: {remedy}"
        )
    return np.empty(shape, dtype=np.uint8)


class Look(NamedTuple):
    """What an image's header says: H×W when it stands upright, and whether it is grey."""

    size: tuple[int, int]
    grey: bool


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the image's name before what is wrong with it."""
    try:
        yield
    except UserError as fault:
        raise UserError(f"{path} {fault}") from None


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Image.Image]:
    """The image, its header read; whatever goes wrong with it becomes one line without its name."""
    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"has {image.width}×{image.height} pixels; at most {MAX_PIXELS:,} are read")
            if image.mode in ("I", "F"):
                raise UserError("has 32 bits a pixel; images of 8 or 16 bits a channel are read")
            yield image
    except UserError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise UserError(f"is not a readable image (cannot identify its format; it must be one of: {known})") from None
    except Exception as fault:  # a decoder may raise anything, and does when bytes are wrong
        raise UserError(f"is not a readable image ({in_a_line(fault)})") from None


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What brings an image upright; None for one that is, as Pillow's TIFF are, and where EXIF is damaged."""
    if "exif" not in image.info:  # asked for it all the same, Pillow decodes a whole PNG in search of it
        return None
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # hostile bytes make it raise anything, and say nothing of the pixels
        return None


def look_at(source: Path | BinaryIO) -> Look:
    """Read an image's header.

    Raises:
        UserError: what is wrong with it, as a sentence without its subject.
    """
    with _opened(source) as image:
        swapped = _turn(image) in SWAPPING
        return Look((image.width, image.height) if swapped else (image.height, image.width), image.mode in GREY)


def _is_grey(path: Path) -> bool:
    with _named(path):
        return look_at(path).grey


def read_image(source: Path | BinaryIO, size: tuple[int, int], grey: bool) -> Pixels:
    """One image as uint8 C×H×W, as ``TRANSFORM`` says.

    Raises:
        UserError: what is wrong with it, as a sentence without its subject.
    """
    with _opened(source) as image:
        turn = _turn(image)
        plain: Image.Image = image.transpose(turn) if turn is not None else image
        if plain.mode.startswith("I;16"):
            # Pillow's own conversion cuts 16 bits off at 255 instead of scaling them.
            plain = Image.fromarray((np.asarray(plain) >> 8).astype(np.uint8))
        if plain.mode == "P" and "transparency" in plain.info:
            plain = plain.convert("RGBA")  # or Pillow warns
        mode = "L" if grey else "RGB"
        plain = plain if plain.mode == mode else plain.convert(mode)
        if plain.size != (size[1], size[0]):
            plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.atleast_3d(np.asarray(plain)).transpose(2, 0, 1)
