"""What is exported loads back as it was: with Espalier, without it, in ONNX Runtime, as a torch.export program."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save

from compression import Prune, Recipe, UserError, load_model, run
from compression.data.sets import load_data
from compression.export import FORMATS, export_model, read_source
from compression.export import formats as module
from compression.models.zoo import available, load
from compression.training import normalise
from tests.export.shipped import keep_answers, loaded_afresh, pruned_samples, real_images, saved

EVERY = tuple(FORMATS)
DOCS = Path(__file__).parents[2] / "docs" / "export.md"
HALF = Recipe(model="digits-cnn", stages=(Prune(granularity="channels", scope="layer", sparsity=0.5),))


def in_onnxruntime(path: Path, x: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": x.numpy()})
    return np.asarray(logits)


def near(given: np.ndarray, wanted: torch.Tensor) -> bool:
    scale = max(1.0, float(wanted.abs().max()))
    return bool(np.abs(given - wanted.detach().numpy()).max() <= 1e-4 * scale)


@pytest.mark.parametrize(
    "names",
    [["digits-mlp"], pytest.param([name for name in available() if name != "resnet50-random"], marks=pytest.mark.slow)],
    ids=["one", "all"],
)
def test_every_granularity_loads_back_in_fresh_processes(names: list[str], tmp_path: Path) -> None:
    folders = []
    for name, loaded in pruned_samples(names).items():
        folder = tmp_path / name
        card = export_model(saved(loaded.model, loaded.blueprint, tmp_path / "m.safetensors"), folder,
                            ("safetensors", "packed"))  # fmt: skip
        assert not [note for note in card["notes"] if "load_model" in note]
        keep_answers(loaded, folder)
        folders.append(folder)
    assert len(folders) >= 5 * len(names)
    assert loaded_afresh(folders) == [f"{how} {folder.name}" for how in ("plain", "own") for folder in folders]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in available() if name != "resnet50-random"])
def test_every_granularity_gives_pytorchs_logits_in_other_engines(name: str, tmp_path: Path) -> None:
    for key, loaded in pruned_samples([name]).items():
        path, x = (
            saved(loaded.model, loaded.blueprint, tmp_path / "m.safetensors"),
            real_images(loaded.blueprint.input_shape),
        )
        export_model(path, tmp_path / key, ("onnx", "torch"))
        with torch.no_grad():
            wanted = loaded.model(x)
            assert near(in_onnxruntime(tmp_path / key / "model.onnx", x), wanted), key
            program = torch.export.load(tmp_path / key / "model.pt2").module()
            assert near(program(x).numpy(), wanted) and near(program(x[:1]).numpy(), wanted[:1]), key


def test_a_run_in_every_format_with_its_card_and_recipe(tmp_path: Path) -> None:
    result = run(HALF)
    result.save(tmp_path / "half")
    folder = tmp_path / "out"
    card = export_model(tmp_path / "half", folder, EVERY)
    assert json.loads((folder / "card.json").read_text()) == card
    assert Recipe.from_yaml((folder / "recipe.yaml").read_text()) == HALF
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors", "model.onnx", "model.pt2", "model.packed", "load_model.py", "packing.py", "card.json",
        "recipe.yaml",
    }  # fmt: skip
    assert card["measured"] == result.final.model_dump(mode="json")
    assert card["baseline"]["params"] == 77_290 > card["sizes"]["params"] == result.final.params
    assert (card["notes"], card["compared_on"]) == ([], "64 test images of digits")
    for name, about in card["files"].items():
        content = (folder / name).read_bytes()
        assert (about["bytes"], about["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert 0 <= about["largest_difference"] <= 1e-4
    assert card["files"]["model.onnx"]["opset"] == onnx.load(folder / "model.onnx").opset_import[0].version
    # The sizes that the charts promised: to the byte, and the dense file but for what it says of the architecture.
    assert len((folder / "model.packed").read_bytes()) == result.final.packed_bytes
    assert len(save(load_file(folder / "model.safetensors"))) == result.final.file_bytes
    digits = load_data("digits")
    assert (card["mean"], card["std"], card["classes"]) == (list(digits.mean), list(digits.std), list(digits.classes))
    x = normalise(digits.test.images, digits).contiguous()
    with torch.no_grad():
        wanted = result.model()(x)
        assert torch.equal(load_model(folder)(x), wanted)
        assert near(torch.export.load(folder / "model.pt2").module()(x).numpy(), wanted)
    assert near(in_onnxruntime(folder / "model.onnx", x), wanted)
    assert (wanted.argmax(1) == digits.test.labels).float().mean().item() == pytest.approx(card["measured"]["accuracy"])


def test_the_lines_of_the_documentation_load_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_model("digits-mlp", tmp_path / "shipped", EVERY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    x = real_images((1, 8, 8))
    with torch.no_grad():
        wanted = load("digits-mlp").model(x)
        assert torch.equal(names["model"](x), wanted) and torch.equal(names["small"](x), wanted)
        assert near(names["program"](x).numpy(), wanted)
    assert near(names["session"].run(None, {"input": x.numpy()})[0], wanted)
    assert list(names["state"]) == list(names["model"].state_dict())
    for module_name in ("load_model", "packing"):
        del sys.modules[module_name]


def test_every_format_and_file_is_documented(tmp_path: Path) -> None:
    told = DOCS.read_text()
    assert all(f"| `{form.file}` | `{key}` |" in told for key, form in FORMATS.items())


def test_what_was_exported_can_be_exported_again_over_itself(tmp_path: Path) -> None:
    first = export_model("digits-mlp", tmp_path, ("safetensors",))
    again = export_model(tmp_path, tmp_path, ("safetensors",))
    assert {**again, "name": "digits-mlp"} == first
    assert Recipe.from_yaml((tmp_path / "recipe.yaml").read_text()) == Recipe(model="digits-mlp")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nothing_of_a_former_export_stays_beside_another_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    export_model("digits-mlp", tmp_path, ("safetensors", "packed"))
    loaded = load("digits-mlp")
    path = saved(loaded.model, loaded.blueprint, tmp_path.parent / f"{tmp_path.name}.safetensors")
    export_model(path, tmp_path, ("onnx",))
    assert set(files_of(tmp_path)) == {"notes.txt", "model.onnx", "card.json"}


def test_a_folder_that_holds_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"a run's")
    with pytest.raises(UserError, match=r"holds model\.safetensors, which no export wrote; choose another folder$"):
        export_model("digits-mlp", tmp_path, ("onnx",))
    assert files_of(tmp_path) == {"model.safetensors": b"a run's"}


def test_an_export_that_fails_leaves_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_model("digits-mlp", tmp_path)
    before = files_of(tmp_path)
    wrong = replace(FORMATS["onnx"], outputs=lambda loaded, images, path: images.flatten(1)[:, :10])
    monkeypatch.setitem(module.FORMATS, "onnx", wrong)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(UserError, match=r"^model\.onnx gives other logits"):
            export_model("digits-mlp", folder, ("safetensors", "onnx"))
    assert files_of(tmp_path) == before


def test_a_file_alone_has_no_data_and_is_compared_on_noise(tmp_path: Path) -> None:
    loaded = load("digits-mlp")
    path = saved(loaded.model, loaded.blueprint, tmp_path / "mine.safetensors")
    card = export_model(path, tmp_path / "out")
    assert card["compared_on"] == "64 images of noise"
    assert card["notes"] == ["Compared on noise: no data set is known; name one as --data"]
    assert not {"classes", "mean", "measured"} & set(card)
    assert not (tmp_path / "out" / "recipe.yaml").exists()
    known = export_model(path, tmp_path / "out", data="digits")
    assert (known["compared_on"], known["measured"]["n"]) == ("64 test images of digits", 359)


def test_absent_data_are_a_note_unless_they_were_asked_for(data_root: Path) -> None:
    source = read_source("mnist-lenet-300-100")
    assert source.dataset is None and "mnist" in source.note
    with pytest.raises(UserError, match="mnist"):
        read_source("mnist-lenet-300-100", "mnist")
    with pytest.raises(UserError, match="takes 1×8×8 images"):
        read_source("digits-mlp", str(image_folder(data_root)))


def image_folder(home: Path) -> Path:
    from PIL import Image

    for kind in ("a", "b"):
        (home / "pictures" / kind).mkdir(parents=True)
        for n in range(10):
            Image.new("RGB", (9, 9), (n, n, n)).save(home / "pictures" / kind / f"{n}.png")
    return home / "pictures"


@pytest.mark.parametrize("key", ["safetensors", "packed", "onnx"])
def test_a_file_with_other_logits_is_taken_away(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = FORMATS[key]
    for spoil in (lambda y: y + 0.1 * y.abs().max(), lambda y: y * float("nan")):
        wrong = replace(honest, outputs=lambda *given, spoil=spoil: spoil(honest.outputs(*given)))
        monkeypatch.setitem(module.FORMATS, key, wrong)
        with pytest.raises(UserError, match=f"^{honest.file} gives other logits than the model: .* is allowed$"):
            export_model("digits-mlp", tmp_path / "out", (key,))
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("what", "formats", "words"),
    [
        ("digits-mpl", ("safetensors",), r"^Nothing to export at 'digits-mpl'; give a folder .* or one of: digits-cnn"),
        ("digits-mlp", ("pickle",), "^Unknown format 'pickle'.*; choose one of: safetensors, onnx, torch, packed$"),
        ("digits-mlp", (), "^No format is asked for; choose one or more of: safetensors, onnx"),
        ("absent.safetensors", ("onnx",), "^No model file can be read at 'absent.safetensors'$"),
        (".", ("onnx",), "^No model file can be read at 'model.safetensors'$"),
    ],
)
def test_faults_are_one_line_and_leave_no_folder(
    what: str, formats: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        export_model(what, "out", formats)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
