"""The key of a measurement: two with the same key are one, and only the first is made."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from compression.data.root import own_file, own_path
from compression.data.sets import DATASETS
from compression.machine import versions
from compression.models.own import home_data, weights_file
from compression.recipe import Recipe
from compression.studies.study import Study


class Plan(Protocol):
    """A recipe, or whatever else says which model and data it is about."""

    @property
    def model(self) -> str:
        """Its name, or the path of its file."""

    @property
    def data(self) -> str | None:
        """Its name, or the path of its folder; None is the model's own."""

    def model_dump(self) -> dict[str, Any]:
        """The plan as plain data."""


def key_of(recipe: Recipe, study: Study) -> str:
    """What a measurement depends on, in sixteen hexadecimal digits: recipe, weights, data, split and versions."""
    weights, *others = contents(recipe)
    about = [recipe.digest(), weights, study.split, study.limit, versions(), *others]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def contents(plan: Plan) -> tuple[str, ...]:
    """What the names in a plan mean at present: the digests of its model, its teachers and students, and its images.

    Only the first may be empty: the others are of what is there.

    Raises:
        UserError: a path that may not be followed.
    """
    weights, *taught = (_content(weights_file(name)) for name in (plan.model, *named(plan, ("teacher", "student"))))
    return weights, *filter(None, (*taught, _images(plan.data or home_data(plan.model) or "")))


def named(plan: Plan, fields: Collection[str]) -> Iterator[str]:
    """What these fields of a plan say, at whatever depth; every choice of one that is open."""
    return _said(plan.model_dump(), fields, False)


def _said(body: Any, fields: Collection[str], asked: bool) -> Iterator[str]:
    if isinstance(body, Mapping):
        for field, value in body.items():
            yield from _said(value, fields, asked or field in fields)
    elif isinstance(body, list | tuple):
        for value in body:
            yield from _said(value, fields, asked)
    elif asked and isinstance(body, str):
        yield body


def _images(data: str) -> str:
    """The digest of the images that are called so; empty for those of the catalogue, which nobody changes."""
    if data in DATASETS or not data:
        return ""
    if "/" in data or os.path.isdir(data):
        return _listing(own_path(data))
    return _content(own_file(data))


def _content(path: Path) -> str:
    """The digest of a file; empty where there is none."""
    return _digest(path, path.stat().st_mtime_ns) if os.path.isfile(path) else ""


@lru_cache(maxsize=16)
def _digest(path: Path, changed: int) -> str:
    """The digest of a file as it was when it was last ``changed``; a study asks for it before every trial."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=16)
def _listing(folder: Path) -> str:
    """The digest of a folder's listing, names, sizes and times, as a process first met it: as it loads its images."""
    known = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            facts = path.stat()
            known.update(f"{path.relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return known.hexdigest()
