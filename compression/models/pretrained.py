"""Torchvision's and timm's own trained weights, fetched by name and kept where they keep them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch

from compression.models.architectures import timm_library
from compression.models.given import Given
from compression.models.weights import read_weights_file
from compression.normalisation import checked_normalisation
from compression.registry import UserError, in_a_line, pick, quoted


def fetched(architecture: str, name: str) -> Given:
    """Trained weights that torchvision or timm calls by ``name``; fetched if they are not here.

    Raises:
        UserError: an architecture or weights that neither has, or no network.
    """
    kind, _, model = architecture.partition(":")
    if kind not in FETCHED:
        known = " and ".join(f"{kind}:NAME" for kind in FETCHED)
        raise UserError(f"pretrained is for {known}, not {quoted(architecture)}; give weights a file")
    return FETCHED[kind](model, name)


def _torchvision(model: str, name: str) -> Given:
    import torchvision

    if model not in torchvision.models.list_models(module=torchvision.models):
        raise UserError(f"torchvision has no classification model {quoted(model)}")
    entry = pick(torchvision.models.get_model_weights(model).__members__, name, "pretrained weights")
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if not path.is_file():
        _fetch(entry.url, path)
    shown = entry.transforms()
    return Given(
        read_weights_file(path),
        where=str(path),
        # These two were trained on images normalised otherwise, which they correct themselves if told.
        options={"transform_input": True} if model in ("googlenet", "inception_v3") else {},
        input_shape=(3, shown.crop_size[0], shown.crop_size[0]),
        normalisation=checked_normalisation(shown.mean, shown.std, channels=3),
        notes=(f"torchvision's {entry}",),
    )


def _timm(model: str, name: str) -> Given:
    """The weights of a tag such as ``a1_in1k``, or of the first, ``DEFAULT``."""
    library = timm_library()
    if model not in library.list_models():  # a name may otherwise be an address that timm would fetch from
        raise UserError(f"timm has no model {quoted(model)}")
    tags = [full.partition(".")[2] for full in library.list_pretrained(f"{model}.*")]
    if name != "DEFAULT":
        pick(dict.fromkeys(["DEFAULT", *tags]), name, "pretrained weights")
    full = f"{model}.{name}" if name != "DEFAULT" else model
    try:
        made = library.create_model(full, pretrained=True)
    except Exception as fault:  # no network, or none that timm has for this model
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())[:120]
        raise UserError(f"timm cannot fetch the weights of {quoted(full)} ({reason})") from None
    shown = made.pretrained_cfg
    return Given(
        made.state_dict(),
        where=full,
        input_shape=tuple(shown["input_size"]),
        normalisation=checked_normalisation(shown["mean"], shown["std"], channels=shown["input_size"][0]),
        notes=(f"timm's {full}",),
    )


FETCHED: dict[str, Callable[[str, str], Given]] = {"torchvision": _torchvision, "timm": _timm}
"""By whose models they are: what fetches a model's weights by name."""


def _fetch(url: str, path: Path) -> None:
    digest = re.search(r"-([a-f0-9]{8,})\.", path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), digest and digest[1], progress=False)
    except (OSError, RuntimeError) as fault:  # no network, or other bytes than were promised
        reason = in_a_line(fault, 120)
        raise UserError(f"The weights cannot be fetched from {url} ({reason})") from None
