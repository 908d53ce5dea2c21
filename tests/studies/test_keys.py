"""The key of a measurement changes with all that the measurement depends on, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from compression import errands
from compression.data import own
from compression.data.adding import add
from compression.errands import Export
from compression.library import add_model
from compression.models.own import remove_model
from compression.owner import working_for
from compression.recipe import Distill, Recipe
from compression.registry import UserError
from compression.studies import jobs, keys
from compression.studies.keys import key_of
from compression.studies.lineage import Lineage
from compression.studies.space import recipe_at
from compression.studies.study import Study
from compression.subject import identity
from tests.data.given import good, unpacked

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
        keys._listing.cache_clear()  # as in another process
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


def known_by(recipe: Recipe) -> tuple[str, ...]:
    """All names of what is made of a recipe."""
    order = Export(recipe=recipe, weights=None, stem="it", formats=("onnx",))
    return key_of(recipe, STUDY), jobs._name(Lineage(recipe=recipe)), errands.place_of(order)


def test_other_images_of_the_name_that_a_model_is_for_are_other_data(data_root: Path, tmp_path: Path) -> None:
    found, identities = set(), set()
    for first in (0, 50):
        add(unpacked(tmp_path / str(first), good(first=first)), "photos")
        if not found:
            add_model("mine", "mlp", {"hidden": [4]}, data="photos")
        found |= set(known_by(Recipe(model="mine")))
        identities.add(identity("mine", None))
        own.remove("photos")
    assert len(found) == 6 and len(identities) == 2


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_other_weights_of_a_teacher_or_student_are_another_lesson(role: str, data_root: Path) -> None:
    recipe, found = Recipe(model="digits-mlp", stages=(Distill.model_validate({role: "mine"}),)), set()
    for width in (4, 5):
        add_model("mine", "mlp", {"hidden": [width]}, data="digits")
        found |= set(known_by(recipe))
        remove_model("mine")
    assert len(found) == 6


@pytest.mark.parametrize("field", ["model", "data"])
def test_a_plan_walks_no_path_that_its_owner_may_not_follow(field: str, tmp_path: Path, data_root: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.mkdir()
    recipe = RECIPE.model_copy(update={field: str(path)})
    line = "is a path; on this server models and data sets go by their names$"
    with working_for("a" * 16), pytest.raises(UserError, match=line):
        key_of(recipe, STUDY)
