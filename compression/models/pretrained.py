"""Torchvision's own trained weights, fetched by name and kept where torch keeps them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compression.normalisation import Normalisation, checked_normalisation
from compression.registry import UserError, pick, quoted


@dataclass(frozen=True)
class Pretrained:
    """A file of trained weights, and what it was trained on: the side of its images, their normalisation, options."""

    path: Path
    side: int
    normalisation: Normalisation
    options: dict[str, Any]
    note: str


def fetched(architecture: str, name: str) -> Pretrained:
    """The weights of ``torchvision:NAME`` that torchvision calls by ``name``; fetched if they are not here.

    Raises:
        UserError: an architecture or weights that torchvision does not have, or no network.
    """
    kind, _, model = architecture.partition(":")
    if kind != "torchvision":
        raise UserError(f"pretrained is for torchvision:NAME, not {quoted(architecture)}; give weights a file")
    import torchvision

    if model not in torchvision.models.list_models(module=torchvision.models):
        raise UserError(f"torchvision has no classification model {quoted(model)}")
    entry = pick(torchvision.models.get_model_weights(model).__members__, name, "pretrained weights")
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if not path.is_file():
        _fetch(entry.url, path)
    shown = entry.transforms()
    return Pretrained(
        path,
        side=shown.crop_size[0],
        normalisation=checked_normalisation(shown.mean, shown.std, channels=3),
        # These two were trained on images normalised otherwise, which they correct themselves if told.
        options={"transform_input": True} if model in ("googlenet", "inception_v3") else {},
        note=f"torchvision's {entry}",
    )


def _fetch(url: str, path: Path) -> None:
    digest = re.search(r"-([a-f0-9]{8,})\.", path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), digest and digest[1], progress=False)
    except (OSError, RuntimeError) as fault:  # no network, or other bytes than were promised
        reason = " ".join(str(fault).split())[:120]
        raise UserError(f"The weights cannot be fetched from {url} ({reason})") from None
