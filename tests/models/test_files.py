"""Model files: what is saved loads back as it was, and a bad file is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import nn

from compression.models.files import Blueprint, Loaded, load_weights, read_weights, save_weights, weights_bytes
from compression.pruning import prune
from compression.recipe import Prune
from compression.registry import UserError

BLUEPRINTS = {
    "mlp": Blueprint("mlp", {"inputs": 16, "hidden": [12], "classes": 3}, (1, 4, 4)),
    "lenet5": Blueprint("lenet5", {"filters": [4, 6], "hidden": 8, "classes": 3}, (1, 28, 28)),
    "resnet": Blueprint("resnet", {"channels": 2, "widths": [8, 16], "blocks": 1, "classes": 3}, (2, 8, 8)),
}


def built(kind: str) -> nn.Module:
    """A module with weights, and statistics of BatchNorm, unlike those of a fresh one."""
    torch.manual_seed(7)
    model = BLUEPRINTS[kind].build().train()
    model(torch.randn(20, *BLUEPRINTS[kind].input_shape))
    return model.eval()


def outputs(model: nn.Module, kind: str) -> torch.Tensor:
    x = torch.randn(5, *BLUEPRINTS[kind].input_shape, generator=torch.Generator().manual_seed(1))
    return model(x).detach()


def rewritten(about: dict[str, Any] | None = None, tensors: dict[str, torch.Tensor] | None = None) -> bytes:
    """The small MLP's file with parts of its metadata or its tensors replaced."""
    content = weights_bytes(built("mlp"), BLUEPRINTS["mlp"])
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["espalier"])
    body = {name: tensor.clone() for name, tensor in load(content).items()} | (tensors or {})
    return bytes(save(body, metadata={"espalier": json.dumps(metadata | (about or {}))}))


def complaint(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read_weights(content, "a file")
    message = str(caught.value)
    assert "\n" not in message
    return message


# Round trips


@pytest.mark.parametrize("kind", BLUEPRINTS)
def test_a_file_gives_back_the_same_outputs_and_blueprint(kind: str, tmp_path: Path) -> None:
    model = built(kind)
    save_weights(model, BLUEPRINTS[kind], tmp_path / "m.safetensors")
    loaded = load_weights(tmp_path / "m.safetensors")
    assert isinstance(loaded, Loaded)
    assert torch.equal(outputs(loaded.model, kind), outputs(model, kind))
    assert loaded.blueprint == BLUEPRINTS[kind]
    assert not loaded.model.training
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize(("kind", "granularity"), [("mlp", "rows"), ("lenet5", "channels"), ("resnet", "channels")])
def test_a_surgically_pruned_model_comes_back_at_its_smaller_widths(kind: str, granularity: str) -> None:
    model = built(kind)
    stage = Prune(granularity=granularity, sparsity=0.5, round_to=1)  # type: ignore[arg-type]
    smaller = prune(model, stage, BLUEPRINTS[kind].input_shape).model
    content = weights_bytes(smaller, BLUEPRINTS[kind])
    again = read_weights(content, "pruned").model
    assert torch.equal(outputs(again, kind), outputs(smaller, kind))
    assert [p.shape for p in again.parameters()] == [p.shape for p in smaller.parameters()]
    assert sum(p.numel() for p in again.parameters()) < sum(p.numel() for p in model.parameters())
    assert weights_bytes(again, BLUEPRINTS[kind]) == content  # and so on, for ever


def test_a_channels_last_model_saves_as_the_same_file() -> None:
    model = built("resnet")
    plain = weights_bytes(model, BLUEPRINTS["resnet"])
    assert weights_bytes(model.to(memory_format=torch.channels_last), BLUEPRINTS["resnet"]) == plain


def test_the_file_is_plain_safetensors_that_others_read(tmp_path: Path) -> None:
    model = built("lenet5")
    save_weights(model, BLUEPRINTS["lenet5"], tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert set(file.keys()) == set(model.state_dict())
        assert torch.equal(file.get_tensor("conv1.weight"), model.conv1.weight)
        assert json.loads(file.metadata()["espalier"])["architecture"] == "lenet5"


def test_loading_draws_no_random_numbers_and_gives_weights_of_its_own() -> None:
    content = weights_bytes(built("mlp"), BLUEPRINTS["mlp"])
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    one, other = read_weights(content, "a").model, read_weights(content, "b").model
    assert torch.equal(torch.rand(3), expected)
    with torch.no_grad():
        one.layers[0].weight.zero_()
    assert other.layers[0].weight.abs().sum() > 0
    # Where vectors are read fastest, wherever they lay in the file: or timings would compare places.
    assert {p.data_ptr() % 64 for p in one.parameters()} == {0}


@pytest.mark.parametrize("name", ["regnet_y_400mf", "mnasnet0_5"])
def test_models_that_cannot_be_built_without_memory_or_ask_for_a_version_load_too(name: str) -> None:
    blueprint = Blueprint("torchvision", {"name": name, "num_classes": 4}, (3, 32, 32))
    model = blueprint.build().eval()
    again = read_weights(weights_bytes(model, blueprint), name).model
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(again(x), model(x))


def test_half_precision_files_are_read_as_floats() -> None:
    half = {name: tensor.half() for name, tensor in built("mlp").state_dict().items()}
    model = read_weights(rewritten(tensors=half), "half").model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.layers[0].weight, half["layers.0.weight"].float())


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    save_weights(built("mlp"), BLUEPRINTS["mlp"], path)
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(built("mlp"), BLUEPRINTS["mlp"], path)
    assert path.read_bytes() == before


# Faults


def test_missing_file_and_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(UserError, match=f"^No model file can be read at '.*{path.name[-10:]}'$"):
            load_weights(path)


@pytest.mark.parametrize("name", ["a" * 300, "zero\0byte", "two\nlines"])
def test_names_that_no_system_takes_are_one_short_line(name: str) -> None:
    with pytest.raises(UserError, match="^No model file can be read at .{,99}$"):
        load_weights(Path(name))


@pytest.mark.parametrize("length", [0, 5, 8, 100, -1])
def test_a_truncated_file_is_not_whole(length: int) -> None:
    content = weights_bytes(built("mlp"), BLUEPRINTS["mlp"])
    assert "'a file' is not a whole safetensors file" in complaint(content[:length])


def test_noise_is_not_a_safetensors_file() -> None:
    assert "'a file' is not a whole safetensors file" in complaint(b"\x80\x04pickle" * 40)


def test_a_safetensors_file_of_somebody_else_is_named_as_such() -> None:
    for metadata in (None, {"format": "pt"}):
        content = bytes(save({"weight": torch.zeros(2)}, metadata=metadata))
        assert complaint(content) == "'a file' was not written by Espalier: its metadata names no architecture"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinite_weights_are_refused_by_name(value: float) -> None:
    weight = torch.zeros(12)
    weight[3] = value
    assert complaint(rewritten(tensors={"layers.0.bias": weight})) == (
        "Tensor 'layers.0.bias' of 'a file' holds NaN or infinite values"
    )


def test_an_architecture_with_a_typo_is_met_with_those_there_are() -> None:
    message = complaint(rewritten({"architecture": "mpl"}))
    assert message.startswith("Unknown architecture 'mpl' (did you mean 'mlp'?); choose one of: mlp, lenet5")


@pytest.mark.parametrize(
    ("about", "tensors", "named"),
    [
        ({}, {"layers.0.weight": torch.zeros(12, 17)}, "layers.0.weight"),
        ({}, {"layers.7.weight": torch.zeros(2, 2)}, "layers.7.weight"),
        ({"config": {"inputs": 16, "hidden": [12, 5], "classes": 3}}, {}, "layers.2"),
        ({"config": {"inputs": 16, "hiden": [12], "classes": 3}}, {}, "hiden"),
        ({"config": {"inputs": 16, "hidden": 12, "classes": 3}}, {}, "iterable"),
        ({"config": {"inputs": 16, "hidden": [-1], "classes": 3}}, {}, "negative"),
        ({"config": []}, {}, "mapping"),
        ({"architecture": "resnet", "config": {"channels": 1, "widths": [], "blocks": 1, "classes": 3}}, {}, "index"),
        ({"architecture": "torchvision", "config": {"name": "resnet51", "num_classes": 3}}, {}, "resnet51"),
        (
            {"architecture": "torchvision", "config": {"name": "fasterrcnn_resnet50_fpn", "num_classes": 3}},
            {},
            "no classification model",
        ),
        ({"removed": 7}, {}, "not iterable"),
        ({"input_shape": [1, 5, 5]}, {}, "shapes"),
        ({"input_shape": ["a"]}, {}, ""),
        ({"input_shape": 7}, {}, "not iterable"),
    ],
)
def test_what_does_not_fit_the_architecture_is_one_line(
    about: dict[str, Any], tensors: dict[str, torch.Tensor], named: str
) -> None:
    message = complaint(rewritten(about, tensors))
    assert message.startswith("The tensors of 'a file' do not fit its architecture (")
    assert named in message


@pytest.mark.parametrize("about", ["[]", "7", "not json", "{}", "[" * 100_000])
def test_metadata_that_is_no_description_is_one_line(about: str) -> None:
    content = bytes(save({"weight": torch.zeros(2)}, metadata={"espalier": about}))
    assert complaint(content).startswith("The tensors of 'a file' do not fit its architecture (")


def test_a_file_cannot_ask_for_more_memory_than_its_own_size() -> None:
    # A terabyte of weights; what the file holds is checked before any memory is taken.
    huge = {"inputs": 500_000, "hidden": [500_000], "classes": 3}
    assert "do not fit" in complaint(rewritten({"config": huge, "structure": {}}))
    assert "at most 4,000,000 values" in complaint(rewritten({"input_shape": [1, 100_000, 100_000]}))


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (["layers.9"], "Unknown block among the removed 'layers.9'"),
        ([""], "Unknown block among the removed ''"),
        (["layers.0", "layers.0.bias"], "Unknown block among the removed 'layers.0.bias'"),
        ([7], "Unknown block among the removed 7"),
        ("layers", "Unknown block among the removed 'l'"),
    ],
)
def test_removed_blocks_that_no_model_has_are_refused(gone: object, words: str) -> None:
    assert words in complaint(rewritten({"removed": gone}))


def test_a_block_that_is_there_cannot_be_called_removed() -> None:
    assert "do not fit" in complaint(rewritten({"removed": ["layers.0"], "structure": {}}))


def test_widths_that_grow_are_refused() -> None:
    wider = {"layers.0": {"in_features": 16, "out_features": 13}}
    assert "out_features of layer 'layers.0' is 13" in complaint(rewritten({"structure": wider}))
