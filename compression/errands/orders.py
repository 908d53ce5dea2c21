"""What can be ordered, and how each order is carried out; a new one costs a class, a function and an entry."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from compression.data.adding import add
from compression.data.fetching import fetch
from compression.export import export_model
from compression.library import add_model
from compression.pipeline import run
from compression.recipe import Frozen, Recipe
from compression.registry import UserError, quoted

Say = Callable[[float, str], None]
"""Hears which share is done, and what is being done."""
Found = dict[str, Any]
SHIPPED = Path("..", "shipped.zip")
"""Where a zip to download goes: beside the folder of the work, which is deleted."""


class AddData(Frozen):
    """Make a data set of the images in ``images.zip``, which its owner calls ``upload``; nothing is opened by that."""

    kind: Literal["data"] = "data"
    name: str
    upload: str = "images.zip"
    size: tuple[int, int] | None = None
    grey: bool | None = None


class AddModel(Frozen):
    """Make a model of your own, with the weights in the file ``weights``, if one is named; ``upload`` as above."""

    kind: Literal["model"] = "model"
    name: str
    upload: str = ""
    architecture: str
    config: dict[str, Any] = {}
    classes: int | None = None
    input_shape: tuple[int, int, int] | None = None
    weights: Literal["", "weights.safetensors", "weights.pt"] = ""
    pretrained: str = ""
    data: str | None = None


class Fetch(Frozen):
    """Fetch a data set of the catalogue."""

    kind: Literal["fetch"] = "fetch"
    name: str


class Export(Frozen):
    """Ship a model: the recipe's, whose weights are in this file, or are made by running the recipe.

    ``stem``, which leads to no other folder, is what its files are called in the zip.
    """

    kind: Literal["export"] = "export"
    recipe: Recipe
    weights: Path | None
    stem: str = Field(pattern=r"^[\w.-]*\w$")
    formats: tuple[str, ...]


Order = Annotated[AddData | AddModel | Fetch | Export, Field(discriminator="kind")]


@contextmanager
def _as_uploaded(kept: str, upload: str) -> Iterator[None]:
    """Have errors name a file as its owner does, where it is kept by a name of ours."""
    try:
        yield
    except UserError as fault:
        raise UserError(str(fault).replace(repr(kept), quoted(upload or kept))) from None


def _add_data(order: AddData, say: Say) -> Found:
    kept = "images.zip"
    with _as_uploaded(kept, order.upload):
        return asdict(add(Path(kept), order.name, order.size, order.grey, lambda done: say(done, "reading the images")))


def _add_model(order: AddModel, say: Say) -> Found:
    say(0.0, f"building {order.architecture}")
    weights = Path(order.weights) if order.weights else None
    fields = ("name", "architecture", "config", "classes", "input_shape", "pretrained", "data")
    with _as_uploaded(order.weights, order.upload):
        return add_model(**{field: getattr(order, field) for field in fields}, weights=weights)


def _fetch(order: Fetch, say: Say) -> Found:
    fetch(order.name, lambda line: say(0.0, line))
    return {}


def _export(order: Export, say: Say) -> Found:
    """Export to a folder as `espalier export` does, and zip that."""
    made, shipped = Path("made", order.stem), Path("shipped", order.stem)  # by their last name the model is called
    if order.weights:
        made.mkdir(parents=True)
        try:
            shutil.copyfile(order.weights, made / "model.safetensors")
        except OSError:
            raise UserError("The model's file is not here any more; run its recipe again") from None
        (made / "recipe.yaml").write_text(order.recipe.to_yaml(), encoding="utf-8")
    else:
        say(0.0, "running the recipe")
        run(order.recipe).save(made)
    card = export_model(made, shipped, order.formats, on_event=lambda line: say(0.5, line))
    say(0.9, "packing")
    with zipfile.ZipFile(SHIPPED, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(shipped.iterdir()):
            archive.write(path, f"{order.stem}/{path.name}")
    return card


ERRANDS: dict[str, Callable[[Any, Say], Found]] = {
    "data": _add_data,
    "model": _add_model,
    "fetch": _fetch,
    "export": _export,
}
"""How each kind of order is carried out, in a folder with the files that came with it; what is told of the end."""
