"""The sample models: their cards, and loading their trained weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from compression.data.root import own_path
from compression.models.files import Blueprint, Loaded, initialised, load_weights
from compression.models.samples import FOLDER, SAMPLES, Sample, Training
from compression.registry import UserError, pick

__all__ = [
    "FOLDER",
    "SAMPLES",
    "Sample",
    "Training",
    "available",
    "load",
    "load_model",
    "model_card",
    "rebuild",
    "trained_with",
]


def available() -> tuple[str, ...]:
    """The sample models whose weights are here (random ones always are), in the order of the menus."""
    return tuple(
        name for name, sample in SAMPLES.items() if not sample.training or (FOLDER / f"{name}.safetensors").is_file()
    )


def trained_with(name: str) -> str:
    """The augmentation that a sample model saw last in training; none for other models."""
    sample = SAMPLES.get(name)
    return sample.training[-1].augment if sample and sample.training else "none"


def model_card(name: str) -> dict[str, Any]:
    """The card of a sample model: data, split, test accuracy with interval, parameters, seed, command.

    Raises:
        UserError: an unknown name, or its card is missing.
    """
    sample = pick(SAMPLES, name, "model")
    path = FOLDER / f"{sample.name}.json"
    if not sample.training:
        return {"name": name, "sentence": sample.sentence, "data": sample.data, "command": None}
    if not path.is_file():
        raise UserError(f"Model '{name}' has no card at {path}; make it with: {rebuild(name)}")
    card: dict[str, Any] = json.loads(path.read_text())
    return card


def load(name: str) -> Loaded:
    """Load a sample model by name, or a ``.safetensors`` file that Espalier wrote, with its blueprint.

    Raises:
        UserError: an unknown name, a path that may not be followed, or a file that is missing, truncated or holds NaN.
    """
    if name not in SAMPLES and name.endswith(".safetensors"):
        return load_weights(own_path(name))
    sample = pick(SAMPLES, name, "model")
    if not sample.training:
        blueprint = Blueprint(sample.architecture, sample.config, sample.input_shape)
        return Loaded(initialised(blueprint).eval(), blueprint)
    path = FOLDER / f"{sample.name}.safetensors"
    if not path.is_file():
        raise UserError(f"Model '{name}' has no weights at {path}; make them with: {rebuild(name)}")
    return load_weights(path)


def load_model(name: str | Path) -> nn.Module:
    """The module of ``load``, or of a folder that a run or an export wrote, in ``eval()`` mode.

    Raises:
        UserError: as ``load``.
    """
    if str(name) not in SAMPLES and os.path.isdir(name):
        name = Path(name) / "model.safetensors"
    return load(str(name)).model


def rebuild(name: str) -> str:
    """The command that trains a sample model again."""
    return f"python sample_models/train.py {name}"
