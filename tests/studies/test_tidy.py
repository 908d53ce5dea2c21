"""The clean-up of old uploads: by age, in every room, and never what a study has."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compression.cli import main
from compression.data.root import own_root
from compression.models.own import FACTS
from compression.owner import working_for
from compression.registry import UserError
from compression.studies import database, store
from compression.studies.plan import Sweep
from compression.studies.study import Study
from compression.studies.tidy import clean, old

ANNA, BEN = "a" * 16, "b" * 16
STUDY = Study(name="ours", model="digits-mlp", data="used", recipes={"recipe": ({"kind": "prune", "sparsity": 0.5},)})
NETS = ("swept-net", "taught", "learns")


@pytest.fixture(autouse=True)
def room(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(database.VARIABLE, raising=False)
    yield
    database.let_go()


def brought(name: str, days: float, whom: str = ANNA, folder: str = "own") -> Path:
    with working_for(whom):
        path = own_root() / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    then = time.time() - days * 86_400
    for changed in (path, path.parent):
        os.utime(changed, (then, then))
    return path


def test_what_is_old_goes_and_what_is_young_or_used_stays() -> None:
    with working_for(ANNA):
        store.create(STUDY)
        job = own_root() / "sweeps" / "abc"
        job.mkdir(parents=True)
        (job / "plan.json").write_text(Sweep(model="digits-mlp", data="swept", sparsities=(0.5,)).model_dump_json())
        card = own_root() / "models" / "swept-net.json"
        card.parent.mkdir()
        card.write_text(json.dumps(dict.fromkeys(FACTS) | {"data": "home"}))
        lesson = {"kind": "distill", "teacher": {"choose": ["taught", "original"]}, "student": "learns"}
        store.create(Study(name="taught", model="swept-net", recipes={"recipe": (lesson,)}))
        (job.parent / "broken").mkdir()
        (job.parent / "broken" / "plan.json").write_text("{")
    gone = [
        brought("old.safetensors", 31), brought("used.safetensors", 31, BEN),  # which another one's study has
        brought("net.safetensors", 31, folder="models"), brought("net.json", 31, folder="models"),
        brought("mine.safetensors", 31, ""), brought(".half.safetensors.77", 1.1),
        brought("shipped.zip", 1.1, folder="errands/export-1"),
    ]  # fmt: skip
    stay = [
        brought("used.safetensors", 400), brought("swept.safetensors", 400), brought("young.safetensors", 29),
        brought("home.safetensors", 400), *(brought(f"{name}.safetensors", 400, folder="models") for name in NETS),
        brought(".half.safetensors.78", 0.5),
        brought("shipped.zip", 0.5, folder="errands/export-2"), brought("weights.safetensors", 400, folder="studies"),
    ]  # fmt: skip
    assert sorted(old(30)) == sorted(gone) and all(path.exists() for path in gone)
    assert sorted(clean(30)) == sorted(gone)
    assert [path.exists() for path in (*gone, *stay)] == [False] * len(gone) + [True] * len(stay)


def test_what_a_killed_fetch_left_goes_after_a_day(data_root: Path) -> None:
    left, present = data_root / ".fetch-old", data_root / ".fetch-present"
    for folder in (left, present):
        (folder / "MNIST" / "raw").mkdir(parents=True)
        (folder / "MNIST" / "raw" / "half.gz").touch()
    os.utime(left, (0, 0))
    assert old(30) == clean(30) == [left]
    assert not left.exists() and (present / "MNIST" / "raw" / "half.gz").exists()


def test_where_studies_cannot_be_read_nothing_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    path = brought("old.safetensors", 31)
    monkeypatch.setenv(database.VARIABLE, "sqlite:////dev/null/studies.db")
    with pytest.raises(UserError, match="cannot be reached"):
        clean(30)
    assert path.exists()


def test_a_folder_that_is_no_room_is_left_alone(data_root: Path) -> None:
    path = data_root / "users" / "somebody" / "own" / "old.safetensors"
    path.parent.mkdir(parents=True)
    path.touch()
    os.utime(path, (0, 0))
    assert clean(30) == [] and path.exists()


def test_the_command_lists_first_and_removes_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    path = brought("old.safetensors", 31)
    assert main(["data", "clean", "--days", "30"]) == 0
    assert capsys.readouterr() == (f"old: {path}\n", "1 files and folders are old; say --yes to remove them\n")
    assert path.exists()
    assert main(["data", "clean", "--days", "30", "--yes"]) == 0
    assert capsys.readouterr().out == f"removed: {path}\n" and not path.exists()
    assert main(["data", "clean"]) == 2
    assert capsys.readouterr().err.startswith("espalier: clean needs --days N")
