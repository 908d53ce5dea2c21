"""The key of a measurement: two with the same key are one, and only the first is made."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from compression.data.root import own_file
from compression.machine import versions
from compression.models.own import weights_file
from compression.recipe import Recipe
from compression.studies.study import Study


def key_of(recipe: Recipe, study: Study) -> str:
    """What a measurement depends on, in sixteen hexadecimal digits: recipe, weights, data, split and versions."""
    about: list[object] = [recipe.digest(), _content(weights_file(recipe.model)), study.split, study.limit, versions()]
    if recipe.data and Path(recipe.data).is_dir():
        about.append(_images(Path(recipe.data)))
    elif own := _content(own_file(recipe.data)) if recipe.data else "":
        about.append(own)
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _content(path: Path) -> str:
    """The digest of a file; empty where there is none."""
    return _digest(path, path.stat().st_mtime_ns) if path.is_file() else ""


@lru_cache(maxsize=16)
def _digest(path: Path, changed: int) -> str:
    """The digest of a file as it was when it was last ``changed``; a study asks for it before every trial."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=16)
def _images(folder: Path) -> str:
    """The digest of a folder's listing, names, sizes and times, as a process first met it: as it loads its images."""
    known = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            facts = path.stat()
            known.update(f"{path.relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return known.hexdigest()
