"""The models that have names, the samples and your own: their cards, and loading their trained weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from compression.models.files import Blueprint, Loaded, initialised, load_weights
from compression.models.own import damaged, own_card, own_models, weights_file
from compression.models.samples import FOLDER, SAMPLES, Sample, Training
from compression.normalisation import known_normalisation
from compression.owner import owner
from compression.registry import UserError, quoted, unknown

__all__ = [
    "FOLDER",
    "SAMPLES",
    "Sample",
    "Training",
    "available",
    "blueprint_of",
    "cards",
    "load",
    "load_model",
    "model_card",
    "rebuild",
    "trained_with",
]


def available() -> tuple[str, ...]:
    """The sample models whose weights are here (random ones always are), then your own, in the order of the menus."""
    samples = (name for name, sample in SAMPLES.items() if not sample.training or weights_file(name).is_file())
    faults = damaged()
    return (*samples, *(name for name in own_models() if name not in faults))


def cards() -> list[dict[str, Any]]:
    """The cards of all models that have names; of a damaged one what is wrong with it."""
    faults = ({"name": name, "data": None, "sentence": fault} for name, fault in damaged().items())
    return [*map(model_card, available()), *faults]


def trained_with(name: str) -> str:
    """The augmentation that a sample model saw last in training; none for other models."""
    sample = SAMPLES.get(name)
    return sample.training[-1].augment if sample and sample.training else "none"


def model_card(name: str) -> dict[str, Any]:
    """The card of a sample model: data, split, test accuracy with interval, parameters, seed, command; or of your own.

    Raises:
        UserError: an unknown name, or its card is missing.
    """
    sample = SAMPLES.get(name)
    if sample is None:
        return own_card(_known(name))
    path = FOLDER / f"{sample.name}.json"
    if not sample.training:
        return {"name": name, "sentence": sample.sentence, "data": sample.data, "command": None}
    if not path.is_file():
        raise UserError(f"Model '{name}' has no card at {path}; make it with: {rebuild(name)}")
    card: dict[str, Any] = json.loads(path.read_text())
    return card


def blueprint_of(name: str) -> Blueprint:
    """What a model that has a name is built from. Raises UserError for an unknown one."""
    if sample := SAMPLES.get(name):
        return Blueprint(sample.architecture, sample.config, sample.input_shape)
    card = own_card(_known(name))
    shape = tuple(card["input_shape"])
    return Blueprint(card["architecture"], card["config"], shape, known_normalisation(card, shape[0]))


def load(name: str) -> Loaded:
    """Load a sample model or one of your own by name, or a ``.safetensors`` file of Espalier's, with its blueprint.

    Raises:
        UserError: an unknown name, a path that may not be followed, or a file that is missing, truncated or holds NaN.
    """
    sample = SAMPLES.get(name)
    if sample is None:
        return load_weights(weights_file(name if name.endswith(".safetensors") else _known(name)))
    if not sample.training:
        return Loaded(initialised(blueprint := blueprint_of(name)).eval(), blueprint)
    path = weights_file(name)
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


def _known(name: str) -> str:
    """The name of a model of your own. Raises UserError for an unknown one."""
    if name not in own_models():
        if not owner() and os.path.isdir(name):  # users of a shared server learn nothing of its folders
            raise UserError(f"{quoted(name)} is a folder; give the file in it, model.safetensors of a run or an export")
        raise UserError(unknown("model", name, (*SAMPLES, *own_models())))
    return name


def rebuild(name: str) -> str:
    """The command that trains a sample model again."""
    return f"python sample_models/train.py {name}"
