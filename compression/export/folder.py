"""The folder that is handed out: files in the formats asked for, each proven, with a card and a recipe."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compression.export.formats import FORMATS, TOLERANCE, Format, difference
from compression.export.plain import plain_python
from compression.export.source import Source, facts, read_source
from compression.machine import versions
from compression.measure import packing, sizes
from compression.models.files import Loaded
from compression.pipeline import measure
from compression.registry import UserError, pick, quoted
from compression.training import normalise

IMAGES = 64
WEIGHTS = ("safetensors", "packed")
"""The formats that hold tensors and no forward pass: ``load_model.py`` goes with them."""
Say = Callable[[str], None]
"""Hears what is being done."""
CARD = "card.json"
WRITTEN = (CARD, "recipe.yaml", "load_model.py", "packing.py", *(form.file for form in FORMATS.values()))
"""All that an export can write."""


def export_model(
    what: str | Path,
    folder: str | Path,
    formats: Sequence[str] = ("safetensors",),
    data: str | None = None,
    on_event: Say | None = None,
) -> dict[str, Any]:
    """Write a model into a folder in several formats, and return its card, which is written there too.

    Every file is read back as its user would, and its logits on images of the test split compared with
    its own. Besides the formats the folder gets ``card.json``, ``recipe.yaml`` where the recipe is
    known, and with weights ``load_model.py``, which needs nothing of Espalier.

    Args:
        what: a folder that ``espalier run --out`` wrote, a ``.safetensors`` file, or a sample model's name.
        folder: made where it is not there. A former export in it is replaced whole, once this one is proven.
        formats: keys of ``FORMATS``.
        data: the data set of the images; by default the one that the recipe names. Where it is not
            here the logits are compared on noise, and the card says so.
        on_event: hears what is being done.

    Raises:
        UserError: unknown names, files that are not whole, a folder that holds another model, or a format
            that cannot hold this one or gives other logits.
    """
    asked = [pick(FORMATS, key, "format") for key in formats]
    if not asked:
        raise UserError(f"No format is asked for; choose one or more of: {', '.join(FORMATS)}")
    say = on_event or (lambda line: None)
    source, home = read_source(str(what), data), Path(folder)
    _check_free(home)
    images, shown = _images(source)
    card = facts(source) | _measured(source) | {"files": {}, "compared_on": shown, "notes": []}
    home.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=home, prefix=".") as name:
            _fill(Path(name), source, asked, images, card, say)
            _replace(home, Path(name))
    finally:
        with suppress(OSError):  # it is empty only where the export has failed
            home.rmdir()
    return card


def _check_free(home: Path) -> None:
    """Raise UserError where a folder holds files of an export's names that no export wrote."""
    held = [name for name in WRITTEN if (home / name).exists()]
    if held and CARD not in held:
        raise UserError(f"{quoted(str(home))} holds {held[0]}, which no export wrote; choose another folder")


def _fill(home: Path, source: Source, forms: Sequence[Format], images: Tensor, card: dict[str, Any], say: Say) -> None:
    """Write every file into a folder, and what is to be said of them into the card."""
    for form in forms:
        say(f"writing {form.file}")
        card["files"][form.file] = _written(form, source.loaded, images, home / form.file)
    if source.note:
        card["notes"].append(f"Compared on noise: {source.note}")
    if held := [FORMATS[key].file for key in WEIGHTS if FORMATS[key] in forms]:
        say("writing load_model.py")
        card["notes"] += _loader(source, images, home, held[0])
    if source.recipe:
        (home / "recipe.yaml").write_text(source.recipe.to_yaml(), encoding="utf-8")
    card["versions"] = versions()
    (home / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _replace(home: Path, made: Path) -> None:
    """Put what was made in the place of a former export; the card goes first and comes last, with a whole folder."""
    for name in WRITTEN:
        (home / name).unlink(missing_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == CARD):
        path.rename(home / path.name)


def _images(source: Source) -> tuple[Tensor, str]:
    """Images N×C×H×W on which the files are compared, and which they are."""
    if source.dataset:
        images = source.dataset.test.images[:IMAGES]
        return normalise(images, source.dataset), f"{len(images)} test images of {source.dataset.name}"
    noise = torch.randn(IMAGES, *source.loaded.blueprint.input_shape, generator=torch.Generator().manual_seed(0))
    return noise, f"{IMAGES} images of noise"


def _measured(source: Source) -> dict[str, Any]:
    """The sizes, and what was measured with the recipe, or is now where there are images."""
    found: dict[str, Any] = {"sizes": asdict(sizes(source.loaded.model))}
    if source.result:
        found |= {"baseline": source.result.baseline.model_dump(mode="json")}
        found |= {"measured": source.result.final.model_dump(mode="json")}
    elif source.dataset:
        found |= {"measured": measure(source.loaded.model, source.dataset).model_dump(mode="json")}
    return found


def _written(form: Format, loaded: Loaded, images: Tensor, path: Path) -> dict[str, Any]:
    """Write one file, prove it, and say what a card says of it."""
    about = form.write(loaded, images, path)
    with torch.no_grad():
        apart = difference(form.outputs(loaded, images, path), loaded.model(images))
    if not apart <= TOLERANCE:  # so that NaN fails too
        raise UserError(
            f"{form.file} gives other logits than the model: {apart:.1e} of the largest, "
            f"where {TOLERANCE:.0e} is allowed"
        )
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"bytes": len(content), "sha256": digest, "largest_difference": apart, **about}


def _loader(source: Source, images: Tensor, home: Path, weights: str) -> list[str]:
    """Write ``load_model.py`` and what it needs; the reason where it cannot be written."""
    try:
        text = plain_python(source.loaded.model, images[:8], source.name, weights)
    except UserError as fault:
        return [f"No load_model.py: {fault}"]
    (home / "load_model.py").write_text(text, encoding="utf-8")
    if (home / FORMATS["packed"].file).exists():
        shutil.copyfile(packing.__file__, home / "packing.py")
    return []
