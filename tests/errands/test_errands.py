"""What a page has done in a process of its own: its end, its faults, and what is left when it is stopped."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from compression import errands
from compression.data.own import own_names, own_report
from compression.data.sets import DATASETS
from compression.errands import AddData, AddModel, Export, Fetch, Order
from compression.export import FORMATS, export_model
from compression.models.files import save_weights
from compression.models.own import own_card, own_models
from compression.models.zoo import load
from compression.owner import working_for
from compression.recipe import Prune, Recipe
from compression.registry import UserError
from compression.studies import watch
from pages._errand import free
from pages._take_away import stem_of
from tests.data.given import good, zipped

pytestmark = pytest.mark.usefixtures("data_root", "no_errands")


def ended(order: Order, **files: bytes) -> watch.State:
    """The last state of an errand that is carried out with these files."""
    place = errands.start(order, {name.replace("_", "."): io.BytesIO(content) for name, content in files.items()})
    return until_its_end(place)


def until_its_end(place: str) -> watch.State:
    for _ in range(1000):
        present = errands.state(place)
        assert present
        if present.state not in watch.UNDER_WAY:
            return present
        time.sleep(0.05)
    raise AssertionError("it does not end")


def a_zip(tmp_path: Path) -> bytes:
    return zipped(tmp_path / "given.zip", good(n=5)).read_bytes()


def weights(net: nn.Module) -> bytes:
    content = io.BytesIO()
    torch.save(net.state_dict(), content)
    return content.getvalue()


def left(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_zip_becomes_a_data_set_with_its_report(data_root: Path, tmp_path: Path) -> None:
    present = ended(AddData(name="mine", size=(4, 4), grey=True), images_zip=a_zip(tmp_path))
    assert (present.state, present.done, present.message) == ("done", 100, "")
    report = own_report("mine")
    assert report.shape == (1, 4, 4) and report.images == 10
    assert errands.found("data")["counts"] == {"train": [5, 5]}
    assert not (data_root / "errands" / "data" / "work").exists()
    errands.cancel("data")
    assert left(data_root) == {"own/mine.safetensors"}


def test_weights_become_a_model_with_its_card(data_root: Path) -> None:
    net = nn.Sequential()
    net.layers = nn.ModuleList([nn.Linear(64, 8), nn.Linear(8, 10)])
    order = AddModel(
        name="mine", architecture="mlp", config={"inputs": 64, "hidden": [8]}, data="digits", weights="weights.pt"
    )
    assert ended(order, weights_pt=weights(net)).state == "done"
    torch.testing.assert_close(load("mine").model.state_dict()["layers.1.weight"], net.layers[1].weight.detach())
    assert errands.found("model") == own_card("mine")


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (AddData(name="mine"), "'images.zip' is not a zip file: it begins as something else"),
        (AddModel(name="mine", architecture="os:system"), "built by code, 'os:system', which is not run unless"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_no_path_of_the_server(order: Order, words: str, data_root: Path) -> None:
    present = ended(order, images_zip=b"")
    assert present.state == "failed"
    assert words in present.message
    assert "\n" not in present.message and str(data_root) not in present.message
    assert own_names() == () and own_models() == ()


SMALL = """
import sys
from pathlib import Path
from compression.errands import __main__ as errand
errand.MEMORY = dict.fromkeys(errand.MEMORY, 2**26)
sys.exit(errand.main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    "order",
    [
        AddData(name="mine", size=(2000, 2000), grey=False),
        AddModel(name="mine", architecture="mlp", config={"inputs": 64, "hidden": [4000, 4000]}, data="digits"),
    ],
    ids=["data", "model"],
)
def test_what_takes_more_memory_than_it_may_is_one_line(
    order: Order, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(folder: Path, module: str) -> None:
        subprocess.run([sys.executable, "-c", SMALL, str(folder)], check=True, timeout=100)

    monkeypatch.setattr(watch, "begin", begin)
    present = ended(order, images_zip=a_zip(tmp_path))
    assert (present.state, present.message) == (
        "failed",
        "It takes more memory than an upload may; bring something smaller",
    )
    assert own_names() == () and own_models() == ()


def test_what_is_cancelled_leaves_nothing(data_root: Path, tmp_path: Path) -> None:
    many = zipped(tmp_path / "many.zip", good(n=3000), zipfile.ZIP_STORED).read_bytes()
    place = errands.start(AddData(name="mine"), {"images.zip": io.BytesIO(many)})
    while (present := errands.state(place)) and present.state == "waiting":
        time.sleep(0.02)
    with pytest.raises(UserError, match="^One is under way already; wait for its end, or cancel it$"):
        errands.start(AddData(name="other"), {"images.zip": io.BytesIO(many)})
    errands.cancel(place)
    assert errands.state(place) is None and left(data_root) == set()


def test_a_fetch_that_is_cancelled_leaves_nothing(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # which takes every request and answers none
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        place = errands.start(Fetch(name="mnist"))
        while not list(data_root.glob("**/MNIST")):
            present = errands.state(place)
            assert present and present.state in watch.UNDER_WAY, present
            time.sleep(0.02)
        assert not DATASETS["mnist"].here()
        errands.cancel(place)
    assert not DATASETS["mnist"].here() and not list(data_root.glob("[!e]*")) and left(data_root) == set()


def test_a_process_that_is_killed_is_told_and_can_be_begun_again(data_root: Path, tmp_path: Path) -> None:
    place = errands.start(AddData(name="mine"), {"images.zip": io.BytesIO(a_zip(tmp_path))})
    watch.psutil.Process(int((data_root / "errands" / place / "pid").read_text())).kill()
    assert until_its_end(place).message.startswith("the process ended early")
    assert ended(AddData(name="mine"), images_zip=a_zip(tmp_path)).state == "done"


def test_a_fault_of_ours_is_one_line_and_in_the_log(data_root: Path) -> None:
    place = errands.start(order := Fetch(name="digits"))
    errands.cancel(place)
    folder = data_root / "errands" / errands.place_of(order)
    (folder / "work").mkdir(parents=True)
    (folder / "order.json").write_text("{}")
    watch.begin(folder, "compression.errands")
    assert "ValidationError" in until_its_end(place).message
    assert "Traceback" in (folder / "log.txt").read_text()


def test_data_that_comes_with_the_library_needs_no_fetching() -> None:
    assert ended(Fetch(name="digits")).state == "done"


@pytest.mark.parametrize("kept", [True, False])
def test_a_zip_holds_what_an_export_writes(kept: bool, data_root: Path, tmp_path: Path) -> None:
    recipe = Recipe(model="digits-mlp", data="digits", stages=(Prune(sparsity=0.5),) if not kept else ())
    path = tmp_path / "given" / "half.safetensors"
    path.parent.mkdir()
    loaded = load("digits-mlp")
    save_weights(loaded.model, loaded.blueprint, path)
    formats = ("safetensors", "packed")
    order = Export(recipe=recipe, weights=path if kept else None, stem="half", formats=formats)
    present = ended(order)
    assert present.state == "done", present.message
    card = errands.found(errands.place_of(order))
    with zipfile.ZipFile(errands.file(errands.place_of(order))) as archive:
        archive.extractall(tmp_path)
    shipped = tmp_path / "half"
    assert json.loads((shipped / "card.json").read_text()) == card
    for name, about in card["files"].items():
        content = (shipped / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (about["bytes"], about["sha256"])
    assert Recipe.from_yaml((shipped / "recipe.yaml").read_text()) == recipe
    state = load_file(shipped / "model.safetensors")
    zeros = sum(int((tensor == 0).sum()) for name, tensor in state.items() if name.endswith("weight"))
    whole = sum(tensor.numel() for name, tensor in state.items() if name.endswith("weight"))
    assert zeros / whole == pytest.approx(0 if kept else 0.5, abs=0.01)
    again = export_model(shipped, tmp_path / "again", formats)
    assert {path.name for path in (tmp_path / "again").iterdir()} == {path.name for path in shipped.iterdir()}
    assert again["files"].keys() == card["files"].keys() <= {form.file for form in FORMATS.values()}


def test_an_order_is_found_again_until_its_model_changes(data_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"1")
    order = Export(recipe=Recipe(model=str(path)), weights=None, stem="m", formats=("onnx",))
    place = errands.place_of(order)
    assert errands.place_of(order.model_copy()) == place != errands.place_of(order.model_copy(update={"stem": "n"}))
    time.sleep(0.01)
    path.write_bytes(b"2")
    assert errands.place_of(order) != place


def test_nobody_sees_the_errands_of_another_user_or_what_they_brought(data_root: Path) -> None:
    anna, bert = "a" * 16, "b" * 16
    with working_for(anna):
        place = errands.start(AddModel(name="mine", architecture="mlp", config={"hidden": [8]}, data="digits"))
        assert until_its_end(place).state == "done" and own_models() == ("mine",)
    with working_for(bert):
        assert errands.state(place) is None and own_models() == ()
    assert {path.parts[:2] for path in map(Path, left(data_root))} == {("users", anna)}


def test_more_than_a_user_may_bring_is_one_line(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_UPLOADS_GB", "0.000001")
    with pytest.raises(UserError, match="^What you brought takes 0 GB of your 1e-06 GB, and this needs"):
        errands.start(AddData(name="mine"), {"images.zip": io.BytesIO(bytes(2000))})
    order = AddModel(name="mine", architecture="mlp", config={"hidden": [8]}, data="digits")
    assert "What you brought takes 0 GB of your 1e-06 GB" in ended(order).message
    assert own_models() == ()


def test_what_was_made_goes_after_a_day_and_what_cannot_be_read_is_begun_anew(data_root: Path) -> None:
    room = data_root / "errands"
    for name, age in (("export-old", 90_000), ("export-new", 80_000)):
        (room / name).mkdir(parents=True)
        (room / name / "shipped.zip").write_bytes(b"zip")
        os.utime(room / name, (time.time() - age,) * 2)
    (room / "fetch").mkdir()
    (room / "fetch" / "state.json").write_text("{")
    assert errands.state("fetch") is None
    assert ended(Fetch(name="digits")).state == "done"
    assert {folder.name for folder in room.iterdir()} == {"export-new", "fetch"}


class Slow(io.BytesIO):
    """A file that takes its time."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.5)
        return super().read(size)


def test_of_two_pages_that_begin_at_once_one_does(data_root: Path, tmp_path: Path) -> None:
    content = a_zip(tmp_path)

    def begin(name: str) -> str:
        try:
            return errands.start(AddData(name=name), {"images.zip": Slow(content)})
        except UserError as fault:
            return str(fault)

    with ThreadPoolExecutor() as pages:
        said = sorted(pages.map(begin, ("one", "two")))
    assert said == ["One is under way already; wait for its end, or cancel it", "data"]
    assert until_its_end("data").state == "done" and len(own_names()) == 1


def test_exports_are_among_what_runs_at_once(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_STUDIES", "1")
    orders = [Export(recipe=Recipe(model="digits-mlp"), weights=None, stem=stem, formats=("onnx",)) for stem in "ab"]
    with working_for("e" * 16):
        place = errands.start(orders[0])
        with pytest.raises(UserError, match="^You have 1 under way, as many as run for one person at once"):
            errands.start(orders[1])
        errands.cancel(place)
        errands.cancel(errands.start(orders[1]))


def test_what_was_stopped_half_way_can_be_asked_for_again(data_root: Path) -> None:
    folder = data_root / "errands" / "fetch"
    folder.mkdir(parents=True)
    for state, again in (("waiting", False), ("done", False), ("failed", True), ("cancelled", True)):
        watch.write_state(folder, watch.State.model_validate({"state": state}))
        assert free("fetch") is again, state


@pytest.mark.parametrize("stem", ["", "..", "../x", "/x", "a/b", "a\\b", "a b"])
def test_an_export_writes_nowhere_else(stem: str) -> None:
    with pytest.raises(ValidationError, match="stem"):
        Export(recipe=Recipe(model="digits-mlp"), weights=None, stem=stem, formats=("onnx",))


@pytest.mark.parametrize("model", ["/tmp/a/my net (1).safetensors", "../a/my net (1).safetensors"])
def test_a_model_by_its_path_is_called_by_its_name_in_a_zip(model: str) -> None:
    stem = stem_of(Recipe(model=model), "2:4", date(2026, 1, 2))
    assert stem == "my-net--1--2of4-2026-01-02"
    assert Export(recipe=Recipe(model=model), weights=None, stem=stem, formats=("onnx",)).stem == stem
