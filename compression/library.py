"""Models of your own are made here: built, filled, described, and written with their card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compression.card import Card, model_card_of
from compression.data.sets import sources
from compression.models.files import save_weights
from compression.models.imports import Imported, import_model
from compression.models.own import check_model_name, home_data, own_model_file
from compression.models.zoo import blueprint_of
from compression.registry import UserError, pick, quoted
from compression.writing import write_whole


def add_model(
    name: str,
    architecture: str,
    config: Mapping[str, Any] | None = None,
    classes: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    weights: Path | None = None,
    pretrained: str = "",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    data: str | None = None,
) -> Card:
    """Make a model of your own that goes by ``name`` wherever a sample model's name does, and return its card.

    ``data``, the data set that it is for, gives the classes and the input where they are left out. The others are
    as ``import_model`` takes them.

    Raises:
        UserError: a name that is taken or not plain, an unknown data set, or as ``import_model``.
    """
    check_model_name(name)
    if data is not None:
        source = pick(sources(), data, "data set")
        classes, input_shape = classes or len(source.classes), input_shape or source.shape
    made = import_model(architecture, config, classes, input_shape, weights, pretrained, mean, std)
    path = own_model_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"data": data, "sentence": f"Your own: {architecture}, {'; '.join(made.notes) or 'with your weights'}."}
    return write_model(path, made, about)


def shape_of(text: str, what: str) -> tuple[int, int, int]:
    """Read ``3x224x224``. Raises UserError, which calls it ``what``, where it is not three whole numbers."""
    if not re.fullmatch(r"\d{1,7}([x×]\d{1,7}){2}", text):
        raise UserError(f"{what} is {quoted(text)}; give channels, height and width such as 3x224x224")
    channels, height, width = map(int, re.split("[x×]", text))
    return channels, height, width


def options_of(text: str, what: str) -> dict[str, Any]:
    """The options of an architecture. Raises UserError, which calls them ``what``, where they are not a JSON object."""
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise UserError(f"{what} is {quoted(text)}; give a JSON object such as '{{\"hidden\": [64]}}'")
    return options


def fitting_data(model: str) -> tuple[str, ...]:
    """The data sets whose images and classes fit a model that has a name, its own first.

    Raises:
        UserError: an unknown model, or its card cannot be read.
    """
    wanted, home = blueprint_of(model), home_data(model)
    shape, classes = tuple(wanted.input_shape), wanted.classes
    known = sources().items()
    fitting = [name for name, source in known if (source.shape, len(source.classes)) == (shape, classes)]
    return tuple(sorted(fitting, key=lambda name: name != home))


def write_model(path: Path, made: Imported, about: Mapping[str, Any] | None = None) -> Card:
    """Write a model's file and, beside it, its card with what else is known ``about`` it; the card."""
    card = model_card_of(path.stem, made.model, made.blueprint, made.notes) | dict(about or {})
    write_whole(path.with_name(f"{path.stem}.json"), (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    save_weights(made.model, made.blueprint, path)  # last: a model is there once its weights are
    return card
