"""The key of a measurement changes with all that the measurement depends on, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from compression.studies import keys
from compression.studies.keys import key_of
from compression.studies.space import recipe_at
from compression.studies.study import Study

STUDY = Study(name="first", model="digits-mlp", recipes={"recipe": ({"kind": "prune", "sparsity": 0.5},)})
RECIPE = recipe_at(STUDY.base, [{"kind": "prune", "sparsity": 0.5}])


def test_the_key_is_that_of_all_that_a_measurement_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of(RECIPE, STUDY)
    others: list[Any] = [
        (RECIPE.model_copy(update={"seed": 1}), STUDY),
        (RECIPE.model_copy(update={"model": "digits-cnn"}), STUDY),
        (RECIPE, STUDY.model_copy(update={"split": "test"})),
        (RECIPE, STUDY.model_copy(update={"limit": 100})),
    ]
    found = {key, *(key_of(*other) for other in others)}
    monkeypatch.setattr(keys, "versions", lambda: {"torch": "1.0"})
    assert len(found | {key_of(RECIPE, STUDY)}) == 6
    monkeypatch.undo()
    assert key_of(RECIPE, STUDY.model_copy(update={"name": "b", "trials": 9})) == key


def test_other_images_in_a_folder_are_other_data(tmp_path: Path) -> None:
    image = tmp_path / "cat" / "1.png"
    image.parent.mkdir()
    recipe = RECIPE.model_copy(update={"data": str(tmp_path)})

    def key() -> str:
        keys._images.cache_clear()  # as in another process
        return key_of(recipe, STUDY)

    found = {key()}
    image.write_bytes(b"one")
    found.add(key())
    image.write_bytes(b"three")
    found.add(key())
    os.utime(image, ns=(0, 0))
    found.add(key())
    image.rename(image.with_name("2.png"))
    found.add(key())
    assert len(found) == 5 and key() == key() and key_of(RECIPE, STUDY) not in found
