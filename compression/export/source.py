"""What can be exported: a run's folder, a model file, or a sample model, with what is known of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compression.data.sets import Dataset, load_data
from compression.models.files import Loaded, load_weights, read_weights
from compression.models.own import home_data
from compression.models.zoo import available, load
from compression.pipeline import load_result
from compression.recipe import Recipe
from compression.registry import UserError, quoted
from compression.results import Result
from compression.subject import as_trained


@dataclass(frozen=True)
class Source:
    """A model to export.

    Attributes:
        name: what it is called.
        loaded: the module and its blueprint.
        recipe: how it was made, where that is known.
        result: what was measured while it was made, where that was kept.
        dataset: images for it, where they are here.
        note: why there are none.
    """

    name: str
    loaded: Loaded
    recipe: Recipe | None = None
    result: Result | None = None
    dataset: Dataset | None = None
    note: str = ""


def read_source(what: str, data: str | None = None) -> Source:
    """A folder that ``espalier run --out`` wrote, a ``.safetensors`` file of Espalier's, or a model's name.

    Args:
        what: which.
        data: its data set, where it is not the one that its recipe names. Where none is
            known, or it is not on this machine, there are no images, and ``note`` says so.

    Raises:
        UserError: neither of the three, files that are not whole, or ``data`` that is absent or does not fit.
    """
    loaded, recipe, result = _read(what)
    own = recipe.data or home_data(recipe.model) if recipe else None
    try:
        dataset, note = _images(what, loaded, data or own), ""
    except UserError as fault:
        if data:
            raise
        dataset, note = None, str(fault)
    return Source(Path(what).name or what, loaded, recipe, result, dataset, note)


def _read(what: str) -> tuple[Loaded, Recipe | None, Result | None]:
    if what in available():
        return load(what), Recipe(model=what), None
    if what.endswith(".safetensors"):
        return load(what), None, None
    folder = Path(what)
    if not os.path.isdir(folder):
        raise UserError(
            f"Nothing to export at {quoted(what)}; give a folder that `espalier run --out` wrote, "
            f"a .safetensors file, or one of: {', '.join(available())}"
        )
    if os.path.isfile(folder / "result.json"):
        result = load_result(folder)
        return read_weights(result.weights, what), result.recipe, result
    # As `espalier tune --out` and an export leave it.
    return load_weights(folder / "model.safetensors"), _recipe(folder / "recipe.yaml"), None


def _recipe(path: Path) -> Recipe | None:
    if not os.path.isfile(path):
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UserError(f"No recipe file can be read at {quoted(str(path))}") from None
    return Recipe.from_yaml(text)


def _images(what: str, loaded: Loaded, data: str | None) -> Dataset:
    if data is None:
        raise UserError("no data set is known; name one as --data")
    dataset = load_data(data)
    return as_trained(what, loaded, dataset)


def facts(source: Source) -> dict[str, Any]:
    """What a user of the model must know besides its files."""
    shape = source.loaded.blueprint.input_shape
    about: dict[str, Any] = {
        "name": source.name,
        "architecture": source.loaded.blueprint.architecture,
        "input_shape": list(shape),
    }
    if source.dataset:
        about |= {"data": source.dataset.name, "classes": list(source.dataset.classes)}
    if trained := source.dataset or source.loaded.blueprint.normalisation:
        about |= {
            "mean": list(trained.mean),
            "std": list(trained.std),
            "normalise": "(pixel / 255 - mean) / std, for each channel",
        }
    return about
