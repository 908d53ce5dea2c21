"""Images in class subfolders, read into resident uint8 tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from compression.registry import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 25_000_000
"""Larger images are refused: a 10 KB file can unpack to 81 million pixels."""
MAX_BYTES = 4 * 2**30
"""A set is resident, so a folder of photographs in full size is refused."""
FEWEST_IMAGES = 3
"""A class needs one image for each of the three splits."""
GREY = ("1", "L", "LA", "I;16", "I;16L", "I;16B")


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
        partial = kept.with_suffix(f".{os.getpid()}")
        save_file({"images": images, "labels": labels}, partial)
        partial.replace(kept)
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
        with _opened(paths[0]) as first:
            size = first.height, first.width
    if grey is None:
        grey = all(_is_grey(path) for path in paths)
    shape = (len(paths), *size) if grey else (len(paths), *size, 3)
    total = int(np.prod(shape, dtype=np.int64))
    if total > MAX_BYTES:
        raise UserError(
            f"{len(paths):,} images of {size[1]}×{size[0]} would take {total / 2**30:.1f} GiB of memory; "
            f"at most {MAX_BYTES / 2**30:g} GiB are read: make the images smaller first"
        )
    pixels = np.empty(shape, dtype=np.uint8)

    def fill(i: int) -> None:
        pixels[i] = _read(paths[i], size, grey)

    # Decoding releases the interpreter lock, so threads pay.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(fill, range(len(paths))):
            pass  # each result is asked for, so that a fault in a thread is raised here
    images = torch.from_numpy(pixels)
    return images.unsqueeze(1) if grey else images.permute(0, 3, 1, 2).contiguous()


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image, its header read; whatever goes wrong with it becomes one line."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"{path} has {image.width}×{image.height} pixels; at most {MAX_PIXELS:,} are read")
            if image.mode in ("I", "F"):
                raise UserError(f"{path} has 32 bits a pixel; images of 8 or 16 bits a channel are read")
            yield image
    except UserError:
        raise
    except Exception as fault:  # a decoder may raise anything, and does when bytes are wrong
        raise UserError(f"{path} is not a readable image ({' '.join(str(fault).split())})") from None


def _is_grey(path: Path) -> bool:
    with _opened(path) as image:
        return image.mode in GREY


def _read(path: Path, size: tuple[int, int], grey: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One image as uint8 H×W, or H×W×3 where it is not to be grey."""
    with _opened(path) as image:
        plain: Image.Image = image
        if image.mode.startswith("I;16"):
            # Pillow's own conversion cuts 16 bits off at 255 instead of scaling them.
            plain = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        plain = plain.convert("L" if grey else "RGB")
        if plain.size != (size[1], size[0]):
            plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(plain)
