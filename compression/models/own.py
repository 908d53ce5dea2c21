"""Models of your own, kept by name: a safetensors file each, with its card beside it. Read without torch."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from compression.data.root import own_path, own_root
from compression.models.samples import FOLDER, SAMPLES
from compression.registry import UserError, pick, plain_name

RESERVED = ("auto", "original", "present", "narrower", "shallower", "mlp", "same")
"""What recipes call teachers and students."""
FACTS = {
    *("name", "sentence", "data", "architecture", "config", "input_shape", "classes"),
    *("params", "macs", "notes", "prune", "layers"),
}
"""What every card says."""


def own_models() -> tuple[str, ...]:
    """The names of all models that were added, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("[!.]*.safetensors")))


def weights_file(name: str) -> Path:
    """Where the weights of a sample model, of a file by its path, or of a model of your own lie, or would.

    Raises:
        UserError: a path that may not be followed.
    """
    if name in SAMPLES:
        return FOLDER / f"{name}.safetensors"
    return own_path(name) if "/" in name or name.endswith(".safetensors") else own_model_file(name)


def own_model_file(name: str) -> Path:
    """Where a model that is called so lies, or would."""
    return _folder() / f"{name}.safetensors"


def own_card(name: str) -> dict[str, Any]:
    """The card of a model that was added.

    Raises:
        UserError: there is none of that name, or its card cannot be read.
    """
    path = _found(name).with_name(f"{name}.json")
    try:
        card = dict(_card(path, path.stat().st_mtime_ns))
    except (OSError, ValueError, TypeError):
        card = {}
    if not card.keys() >= FACTS:
        raise UserError(f"The card of model '{name}' is damaged; remove it: espalier models rm '{name}' --yes")
    return card


@lru_cache(maxsize=256)
def _card(path: Path, changed: int) -> dict[str, Any]:
    """A card as it was at a time: every menu of every page asks for all of them."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def damaged() -> dict[str, str]:
    """The models of your own that are here only to be removed, since their cards cannot be read; what is wrong."""
    faults = {}
    for name in own_models():
        try:
            own_card(name)
        except UserError as fault:
            faults[name] = str(fault)
    return faults


def home_data(name: str) -> str | None:
    """The data set that a model was trained on or made for, where that is known."""
    if name in SAMPLES:
        return SAMPLES[name].data
    return own_card(name).get("data") if name in own_models() else None


def check_model_name(name: str) -> None:
    """Raise UserError for a name that is not plain, has a meaning already, or is taken."""
    if plain_name(name) in (*SAMPLES, *RESERVED) or name.endswith(".safetensors"):
        taken = ", ".join((*SAMPLES, *RESERVED))
        raise UserError(f"name is '{name}', which has a meaning of its own; choose no file's name and none of: {taken}")
    if name in own_models():
        raise UserError(f"There is a model '{name}' already; choose another name, or delete that model first")


def remove_model(name: str) -> None:
    """Delete a model that was added, with its card.

    Raises:
        UserError: there is none of that name, or none at all.
    """
    path = _found(name)
    path.unlink(missing_ok=True)
    path.with_name(f"{name}.json").unlink(missing_ok=True)


def _folder() -> Path:
    return own_root() / "models"


def _found(name: str) -> Path:
    known = own_models()
    if not known:
        raise UserError("There is no model of your own here; make one with: espalier import … --name NAME")
    return pick({one: own_model_file(one) for one in known}, name, "model of your own")
