"""Hugging Face's folders: with the library itself where it is installed, and with one that notes what it is asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from compression.models.files import read_weights, weights_bytes
from compression.models.imports import import_model
from compression.pruning import coupled_groups, prune
from compression.recipe import Prune
from compression.registry import UserError


class Theirs(nn.Module):
    """A classifier as the library gives them: its logits are a part of what it returns."""

    def __init__(self, config: SimpleNamespace) -> None:
        super().__init__()
        self.config = config
        self.hidden = nn.Linear(12, config.width)
        self.classifier = nn.Linear(config.width, config.num_labels)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.classifier(self.hidden(pixel_values.flatten(1)).relu()))


class Config(SimpleNamespace):
    def to_diff_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A library of one model; what it was asked for."""
    told: list[dict[str, Any]] = []

    def from_config(config: Config, **options: Any) -> Theirs:
        told.append(options)
        return Theirs(config)

    def from_pretrained(folder: Path, **options: Any) -> tuple[Theirs, dict[str, list[str]]]:
        told.append(options)
        settings = json.loads((folder / "config.json").read_text())
        model = Theirs(Config(**settings, num_labels=len(settings["id2label"])))
        state = load_file(folder / "model.safetensors")
        missing, unexpected = model.load_state_dict(state, strict=False)
        return model, {"missing_keys": missing, "unexpected_keys": unexpected, "mismatched_keys": []}

    library = ModuleType("transformers")
    library.AutoConfig = SimpleNamespace(  # type: ignore[attr-defined]
        for_model=lambda model_type, **settings: Config(model_type=model_type, **settings)
    )
    library.AutoModelForImageClassification = SimpleNamespace(  # type: ignore[attr-defined]
        from_config=from_config, from_pretrained=from_pretrained
    )
    quiet = SimpleNamespace(set_verbosity_error=lambda: None, disable_progress_bar=lambda: None)
    library.utils = SimpleNamespace(logging=quiet)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", library)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    settings = {"model_type": "small", "width": 8, "id2label": {"0": "a", "1": "b", "2": "c"}, "image_size": 2}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1], "size": {"height": 2, "width": 2}})
    )
    save_file(Theirs(Config(width=8, num_labels=3)).state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def complaint(architecture: str, **more: Any) -> str:
    with pytest.raises(UserError) as fault:
        import_model(architecture, **more)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_a_folder_gives_its_logits_shape_and_normalisation(folder: Path, asked: list[dict[str, Any]]) -> None:
    made = import_model(f"hf:{folder}")
    theirs = Theirs(Config(width=8, num_labels=3))
    theirs.load_state_dict(load_file(folder / "model.safetensors"))
    images = torch.randn(4, 3, 2, 2)
    assert torch.equal(made.model(images), theirs(images).logits)
    assert made.blueprint.input_shape == (3, 2, 2)
    assert made.blueprint.normalisation == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert asked[0]["local_files_only"] and asked[0]["use_safetensors"] and not asked[0]["trust_remote_code"]
    assert all(one["attn_implementation"] == "eager" for one in asked) and os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("shown", "shape", "normalisation"),
    [
        ({"image_mean": 0.5, "image_std": 0.2}, (3, 2, 2), ((0.5,) * 3, (0.2,) * 3)),
        ({"image_mean": 0, "image_std": 1}, (3, 2, 2), ((0.0,) * 3, (1.0,) * 3)),
        ({"image_mean": 0.5, "image_std": 0.2, "do_normalize": False}, (3, 2, 2), None),
        ({"size": 2, "crop_size": 9, "do_center_crop": False}, (3, 2, 2), None),
        ({"size": 9, "crop_size": 2, "do_center_crop": True}, (3, 2, 2), None),
        ({"size": 9, "do_resize": False}, (3, 2, 2), None),
    ],
)
def test_images_are_prepared_as_the_folder_says(
    folder: Path, asked: list[dict[str, Any]], shown: dict[str, Any], shape: tuple[int, ...], normalisation: Any
) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(shown))
    found = import_model(f"hf:{folder}").blueprint
    assert (found.input_shape, found.normalisation) == (shape, normalisation)


def test_it_is_pruned_saved_and_loaded_like_any_other(folder: Path, asked: list[dict[str, Any]]) -> None:
    made = import_model(f"hf:{folder}")
    half = prune(made.model, Prune(granularity="rows", sparsity=0.5, round_to=1), (3, 2, 2)).model
    again = read_weights(weights_bytes(half, made.blueprint), "memory")
    images = torch.randn(4, 3, 2, 2)
    assert torch.equal(again.model(images), half(images)) and again.model.model.hidden.out_features == 4
    assert again.blueprint == made.blueprint


def test_another_number_of_classes_starts_a_random_head(folder: Path, asked: list[dict[str, Any]]) -> None:
    made = import_model(f"hf:{folder}", classes=7)
    assert made.model(torch.randn(1, 3, 2, 2)).shape == (1, 7) and "start random" in made.notes[0]
    assert torch.equal(made.model.model.hidden.weight, load_file(folder / "model.safetensors")["hidden.weight"])


def test_what_is_wrong_with_a_folder_is_one_line(folder: Path, asked: list[dict[str, Any]]) -> None:
    where = f"hf:{folder}"
    assert "There is no config.json" in complaint("hf:/nowhere")
    assert "weights that lie in the folder" in complaint(where, weights=folder / "model.safetensors")
    (folder / "preprocessor_config.json").write_text('{"image_mean": true, "image_std": {}}')
    assert "std is {}, {}, {}; give a number above 0" in complaint(where)
    (folder / "preprocessor_config.json").write_text("[")
    assert "is not a JSON object" in complaint(where)
    save_file({"hidden.weight": torch.zeros(8, 12)}, folder / "model.safetensors")
    assert "do not fit its config.json: 3, such as 'classifier.bias'" in complaint(where)
    (folder / "config.json").write_text("{}")
    assert "is no image classifier that transformers can build (KeyError" in complaint(where)
    (folder / "model.safetensors").unlink()
    assert "There is no model.safetensors" in complaint(where)


def test_without_the_library_it_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert complaint(f"hf:{folder}").endswith(
        "needs the package transformers; install it with: pip install transformers"
    )


@pytest.mark.filterwarnings("ignore")
def test_with_the_library_itself(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic")
    theirs = transformers.AutoModelForImageClassification.from_config(config).eval()
    theirs.save_pretrained(tmp_path)
    made = import_model(f"hf:{tmp_path}", input_shape=(3, 32, 32))
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(made.model(images), theirs(images).logits)
    groups = coupled_groups(made.model, (3, 32, 32))
    half = prune(made.model, Prune(granularity="channels", sparsity=0.5, round_to=1), (3, 32, 32), groups=groups).model
    again = read_weights(weights_bytes(half, made.blueprint), "memory").model
    assert torch.equal(again(images), half(images))
