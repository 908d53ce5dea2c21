"""The key of a measurement: two with the same key are one, and only the first is made."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from compression.data.own import own_digest, own_names
from compression.machine import versions
from compression.models.samples import FOLDER, SAMPLES
from compression.recipe import Recipe
from compression.studies.study import Study


def key_of(recipe: Recipe, study: Study) -> str:
    """What a measurement depends on, in sixteen hexadecimal digits: recipe, weights, data, split and versions."""
    path = FOLDER / f"{recipe.model}.safetensors" if recipe.model in SAMPLES else Path(recipe.model)
    content = _content(path, path.stat().st_mtime_ns) if path.is_file() else ""
    about: list[object] = [recipe.digest(), content, study.split, study.limit, versions()]
    if recipe.data in own_names():
        about.append(own_digest(str(recipe.data)))
    elif recipe.data and Path(recipe.data).is_dir():
        about.append(_images(Path(recipe.data)))
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=16)
def _content(path: Path, changed: int) -> str:
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
