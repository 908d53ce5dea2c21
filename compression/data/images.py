"""Images in class subfolders, read into resident uint8 tensors."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file, save_file
from torch import Tensor

from compression.registry import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MAX_PIXELS = 25_000_000
"""Larger images are refused: a 10 KB file can unpack to 81 million pixels."""
FEWEST_IMAGES = 3
"""A class needs one image for each of the three splits."""


def read_tree(
    root: Path, size: tuple[int, int] | None = None, cache: bool = False
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Read ``root/CLASS/image`` into uint8 N×C×H×W, int64 N and the class names, sorted.

    Args:
        root: the folder that holds one subfolder a class.
        size: H×W to resize to; by default the size of the first image.
        cache: keep the decoded tensors beside the folder, for folders that do not change.

    Raises:
        UserError: fewer than two classes, a class with too few images, an unreadable image.
    """
    kept = root.parent / f".{root.name}.safetensors"
    classes = tuple(sorted(p.name for p in root.iterdir() if p.is_dir())) if root.is_dir() else ()
    if cache and kept.is_file() and kept.stat().st_mtime >= root.stat().st_mtime:
        tensors = load_file(kept)
        return tensors["images"], tensors["labels"], classes
    files = [_images(root / name) for name in classes]
    _check(root, classes, files)
    paths = [path for group in files for path in group]
    size = size or _read(paths[0], None).shape[:2]
    grey = all(_is_grey(path) for path in paths[:32])
    # Decoding releases the interpreter lock, so threads pay.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pixels = list(pool.map(lambda path: _read(path, size, grey), paths))
    images = torch.from_numpy(np.stack(pixels))
    images = images.unsqueeze(1) if grey else images.permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([i for i, group in enumerate(files) for _ in group])
    if cache and os.access(root.parent, os.W_OK):
        partial = kept.with_suffix(f".{os.getpid()}")
        save_file({"images": images, "labels": labels}, partial)
        partial.replace(kept)
    return images, labels, classes


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _check(root: Path, classes: tuple[str, ...], files: list[list[Path]]) -> None:
    if len(classes) < 2:
        raise UserError(
            f"{root} holds {len(classes)} class subfolders; at least 2 are needed, one a class"
        )
    for name, group in zip(classes, files, strict=True):
        if len(group) < FEWEST_IMAGES:
            raise UserError(
                f"Class '{name}' in {root} has {len(group)} images ({', '.join(SUFFIXES)}); "
                f"at least {FEWEST_IMAGES} are needed"
            )


def _is_grey(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in ("L", "1", "I", "F", "LA", "I;16")


def _read(path: Path, size: tuple[int, int] | None, grey: bool = False) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(
                    f"{path} has {image.width}×{image.height} pixels; at most {MAX_PIXELS:,} are read"
                )
            plain = image.convert("L" if grey else "RGB")
            if size is not None and plain.size != (size[1], size[0]):
                plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(plain)
    except (UnidentifiedImageError, OSError) as fault:
        raise UserError(f"{path} is not a readable image ({fault})") from None
