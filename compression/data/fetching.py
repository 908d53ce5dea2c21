"""Data sets of the catalogue, fetched with torchvision."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from compression.data.root import data_root
from compression.data.sets import DATASETS
from compression.registry import UserError, in_a_line, pick

Notify = Callable[[str], None]
PARTIAL = ".fetch-"
"""How a folder is called that is being fetched into; one of a fetch that was killed stays until a clean-up."""


def fetch(name: str, notify: Notify = print) -> Path:
    """Download a data set with torchvision into the data root, saying what happens; it is there when it is whole.

    Raises:
        UserError: an unknown name, or the download failed (no network, say).
    """
    source = pick(DATASETS, name, "data set")
    if source.torchvision is None:
        notify(f"'{name}' comes with scikit-learn: nothing to fetch")
        return data_root()
    import torchvision

    root = data_root()
    root.mkdir(parents=True, exist_ok=True)
    notify(f"Fetching '{name}' ({source.megabytes} MB) into {root}")
    try:
        with TemporaryDirectory(prefix=PARTIAL, dir=root) as made:
            for train in (True, False):
                getattr(torchvision.datasets, source.torchvision)(made, train=train, download=True)
            for folder in source.folders:
                _settle(Path(made, folder), root / folder)
    except (OSError, RuntimeError, HTTPException) as fault:
        raise UserError(
            f"Could not fetch '{name}' ({in_a_line(fault)}); put its files under {root}, "
            "or use 'digits', which needs no download"
        ) from None
    notify(f"'{name}' is in {root}")
    return root


def _settle(made: Path, place: Path) -> None:
    """Move a folder that was made to its place; what was there goes with what else was made."""
    if made.is_dir():
        if place.is_dir():
            place.rename(made.with_name("replaced"))
        made.rename(place)
