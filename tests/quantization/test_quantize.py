"""int8 files: what is in them against the float weights, what they answer against NumPy, and what is refused."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from compression.data.sets import Dataset, load_data
from compression.measure import macs, sizes
from compression.models.files import read_weights, weights_bytes
from compression.models.imports import import_model
from compression.models.quantized import Quantized
from compression.models.structure import outline
from compression.models.zoo import load
from compression.quantization import MODES, Made, quantize
from compression.recipe import Mode, Prune, Quantize
from compression.registry import UserError
from compression.subject import load_subject, prune_subject
from compression.training import inputs, normalise, predict

DIGITS = "digits-cnn", "digits-mlp", "digits-vit"


@cache
def made(name: str, mode: Mode = "static", seed: int = 0, **fields: object) -> Made:
    loaded = load(name)
    stage = Quantize.model_validate({"mode": mode, **fields})
    return quantize(loaded.model, loaded.blueprint.input_shape, load_data("digits"), stage, seed)


def tensors(file: bytes) -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(file).graph.initializer}


def weight_matrices(file: bytes) -> list[tuple[np.ndarray, np.ndarray]]:
    """The int8 matrices of a dynamic file, in order, each with its scales: MatMulInteger, and the Mul of two scales."""
    graph, values = onnx.load_from_string(file).graph, tensors(file)
    found = []
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            scales = next(
                values[name]
                for other in graph.node
                if other.op_type == "Mul" and _scale_of(graph, node) in other.input
                for name in other.input
                if name in values
            )
            found.append((values[node.input[1]], scales))
    return found


def _scale_of(graph: onnx.GraphProto, product: onnx.NodeProto) -> str:
    rounding = next(node for node in graph.node if product.input[0] in node.output)
    return str(rounding.output[1])


@pytest.mark.parametrize("per_channel", [True, False])
def test_int8_weights_times_their_scales_are_the_float_weights_within_half_a_scale(per_channel: bool) -> None:
    found = weight_matrices(made("digits-mlp", "dynamic", per_channel=per_channel).model.file)
    layers = [layer for layer in load("digits-mlp").model.modules() if isinstance(layer, nn.Linear)]
    assert len(found) == len(layers) == 3
    for (rounded, scales), layer in zip(found, layers, strict=True):
        assert rounded.dtype == np.int8 and np.abs(rounded).max() == 64, "7 of the 8 bits"
        assert scales.size == (layer.out_features if per_channel else 1)
        apart = np.abs(rounded * scales - layer.weight.detach().numpy().T)
        assert (apart <= scales / 2 * 1.001).all()
        assert apart.max() > 0


def by_hand(x_NI: np.ndarray, matrices: list[tuple[np.ndarray, np.ndarray]], biases: list[np.ndarray]) -> np.ndarray:
    """A dynamic MLP in NumPy: what enters a layer is rounded to 256 steps between its extremes, 0 among them."""
    for place, ((rounded, scales), bias) in enumerate(zip(matrices, biases, strict=True)):
        low, high = min(0.0, x_NI.min()), max(0.0, x_NI.max())
        scale = np.float32((high - low) / 255)
        zero = np.clip(np.rint(-low / scale), 0, 255)
        steps = np.clip(np.rint(x_NI / scale) + zero, 0, 255)
        x_NI = (steps - zero) @ rounded.astype(np.float64) * scale * scales + bias
        x_NI = np.maximum(x_NI, 0) if place < len(matrices) - 1 else x_NI
    return x_NI


def test_a_dynamic_file_answers_as_the_arithmetic_done_by_hand() -> None:
    model, data = made("digits-mlp", "dynamic").model, load_data("digits")
    x = inputs(data.test, data)[:32]
    layers = [layer for layer in load("digits-mlp").model.modules() if isinstance(layer, nn.Linear)]
    biases = [layer.bias.detach().numpy() for layer in layers]
    wanted = by_hand(x.flatten(1).double().numpy(), weight_matrices(model.file), biases)
    np.testing.assert_allclose(model(x).numpy(), wanted, rtol=1e-3, atol=1e-2)
    with torch.no_grad():
        assert np.abs(load("digits-mlp").model(x).numpy() - wanted).max() > 0.02, "which is not the float model's"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", DIGITS)
def test_a_file_is_nearly_as_right_smaller_and_holds_no_float_weights(name: str, mode: Mode) -> None:
    loaded, found, data = load(name), made(name, mode).model, load_data("digits")
    x, labels = inputs(data.test, data), data.test.labels
    before, after = (float((predict(one, x).argmax(1) == labels).float().mean()) for one in (loaded.model, found))
    assert abs(before - after) <= 0.015
    ratio = sizes(loaded.model).file_bytes / sizes(found).file_bytes
    assert (2.7 if name == "digits-vit" else 3.1) < ratio < 4
    floats = [
        one for one in tensors(found.file).values() if one.dtype == np.float32 and one.ndim > 1 and one.size > 800
    ]
    assert not floats
    weights = sum(p.numel() for p in loaded.model.parameters() if p.ndim > 1)
    rounded = sum(one.size for one in tensors(found.file).values() if one.dtype == np.int8 and one.ndim > 1)
    assert rounded == pytest.approx(weights, abs=900)  # but for the places of patches


def test_static_looks_at_training_images_alone_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Tensor]] = []
    real = MODES["static"].call

    def spying(*given: object) -> None:
        *others, batches = given
        seen.append(list(batches))  # type: ignore[call-overload]
        real(*others, iter(seen[-1]))

    monkeypatch.setitem(MODES, "static", replace(MODES["static"], call=spying))
    files = [made.__wrapped__("digits-mlp", images=40, seed=seed).model.file for seed in (0, 0, 1)]
    assert files[0] == files[1] != files[2]
    train = {tuple(image.flatten().tolist()) for image in inputs(load_data("digits").train, load_data("digits"))}
    assert [[len(batch) for batch in batches] for batches in seen] == [[32, 8]] * 3
    assert {tuple(image.flatten().tolist()) for batches in seen for batch in batches for image in batch} <= train


def test_no_more_than_a_batch_is_ever_normalised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    module = sys.modules["compression.quantization.quantize"]

    def spying(images: Tensor, dataset: Dataset) -> Tensor:
        asked.append(len(images))
        return normalise(images, dataset)

    monkeypatch.setattr(module, "normalise", spying)
    made.__wrapped__("digits-mlp", images=1000)
    assert sum(asked) == 1000 and max(asked) == 32


def test_pruned_zeros_stay_zero_and_the_numbers_are_those_of_the_model_that_was_rounded() -> None:
    subject = load_subject("digits-mlp")
    pruned = prune_subject(subject, Prune(sparsity=0.8)).model
    model = quantize(pruned, subject.blueprint.input_shape, subject.dataset, Quantize()).model
    rounded = [one for one in tensors(model.file).values() if one.dtype == np.int8 and one.ndim == 2]
    zeros = sum((one == 0).sum() for one in rounded) / sum(one.size for one in rounded)
    assert zeros == pytest.approx(0.8, abs=1e-3)
    assert sizes(model).sparsity == sizes(pruned).sparsity == pytest.approx(0.8, abs=1e-3)
    assert sizes(model).packed_bytes < 0.6 * sizes(model).file_bytes == 0.6 * len(model.file)
    assert macs(model, (1, 8, 8)) == macs(pruned, (1, 8, 8)) == model.origin.int8_macs


def test_an_attention_product_is_not_counted_as_int8() -> None:
    origin = made("digits-vit", "dynamic").model.origin
    # 4 blocks, 4 heads of 12, 17 or 16 tokens: queries by keys and weights by values.
    tokens = 16
    assert origin.macs - origin.int8_macs == 4 * 2 * tokens * tokens * 48


def test_a_module_survives_copies_files_and_a_fresh_process(tmp_path: Path) -> None:
    found, x = made("digits-cnn"), torch.randn(3, 1, 8, 8)
    wanted = found.model(x)
    path = tmp_path / "int8.safetensors"
    path.write_bytes(weights_bytes(found.model, found.blueprint))
    filed = read_weights(path.read_bytes(), "it").model
    assert isinstance(filed, Quantized) and filed.origin == found.model.origin
    for twin in (filed, copy.deepcopy(found.model), pickle.loads(pickle.dumps(found.model))):
        assert torch.equal(twin(x), wanted)
    torch.save(x, tmp_path / "x.pt")
    lines = "import sys, torch; from compression import load_model; f = sys.argv[1]"
    lines += "; print(load_model(f + '/int8.safetensors')(torch.load(f + '/x.pt')).tolist())"
    done = subprocess.run([sys.executable, "-c", lines, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(wanted.tolist())


def test_other_bytes_are_other_answers() -> None:
    model, x = copy.deepcopy(made("digits-mlp", "dynamic").model), torch.randn(2, 1, 8, 8)
    other = quantize(_doubled(), (1, 8, 8), load_data("digits"), Quantize(mode="dynamic")).model
    before = model(x)
    assert len(other.file) == len(model.file)
    model.load_state_dict(other.state_dict())
    assert torch.equal(model(x), other(x)) and not torch.allclose(other(x), before)


def _doubled() -> nn.Module:
    model = copy.deepcopy(load("digits-mlp").model)
    with torch.no_grad():
        model.layers[-1].weight.mul_(2)  # type: ignore[union-attr, operator]
    return model


def test_outlines_tell_graphs_apart_and_not_values() -> None:
    static, other = (made("digits-mlp", seed=seed).model for seed in (0, 1))
    dynamic = made("digits-mlp", "dynamic").model
    assert outline(static) == outline(other) != outline(dynamic)
    assert outline(static) != outline(load("digits-mlp").model)


def test_it_is_silent_and_leaves_logging_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = list(logging.root.handlers)
    made.__wrapped__("digits-vit")
    assert capfd.readouterr() == ("", "")
    assert logging.root.handlers == handlers and logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize(("name", "mode"), [("mobilenet_v3_small", "static"), ("shufflenet_v2_x0_5", "dynamic")])
def test_other_families_are_rounded_too(name: str, mode: Mode) -> None:
    digits = load_data("digits")
    few = [part.take(torch.arange(8)) for part in (digits.train, digits.val, digits.test)]
    train, val, test = (replace(part, images=part.images.repeat(1, 3, 4, 4)) for part in few)
    data = replace(digits, train=train, val=val, test=test)
    model = import_model(f"torchvision:{name}", classes=10, input_shape=(3, 32, 32)).model
    found = quantize(model, (3, 32, 32), data, Quantize(mode=mode, images=8)).model
    assert sizes(model).file_bytes > 3 * sizes(found).file_bytes
    x = inputs(data.test, data)
    with torch.no_grad():
        wanted = model(x)
    assert float((found(x) - wanted).norm() / wanted.norm()) < 0.15


class Sum(nn.Module):
    """Ten numbers of an image, without any layer."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10]


class Sorted(nn.Module):
    """What no exporter can write."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor(np.sort(x.numpy().reshape(len(x), -1))[:, :10])


@pytest.mark.parametrize(("module", "reason"), [(Sum(), "no convolution or linear layer"), (Sorted(), "")])
def test_what_cannot_be_quantised_is_one_line(module: nn.Module, reason: str) -> None:
    with pytest.raises(UserError, match=f"^The model cannot be quantised: .*{reason}") as told:
        quantize(module, (1, 8, 8), load_data("digits"), Quantize())
    assert "\n" not in str(told.value)


NUMBERS = {
    "six": [600_000_000],
    "three": [[3]],
    "column": np.zeros((40_000, 1), np.float32),
    "row": np.zeros((1, 40_000), np.float32),
}
VAST: dict[str, list[tuple[str, list[str]]]] = {
    "constant": [("ConstantOfShape", ["six"])],
    "product": [("MatMul", ["column", "row"])],
    "chosen": [("NonZero", ["three"]), ("Shape", ["made0"]), ("Tile", ["row", "made1"])],
}
"""Nodes that make much of little: their operators, and what each is given."""


def tampered(kind: str) -> bytes:
    """A sound file's graph with one thing in it that nobody should run."""
    model = onnx.load_from_string(made("digits-mlp", "dynamic").model.file)
    graph = model.graph
    if kind == "outside":
        tensor = next(one for one in graph.initializer if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 2)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
    elif kind == "foreign":
        graph.node[0].domain = "evil"
    elif kind == "nan":
        scales = next(one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT and one.dims)
        scales.CopyFrom(numpy_helper.from_array(np.full(scales.dims, np.nan, np.float32), scales.name))
    elif kind == "loop":
        branch = onnx.helper.make_attribute("body", onnx.helper.make_graph([], "g", [], []))
        graph.node.add(op_type="Loop").attribute.append(branch)
    elif kind in VAST:
        graph.initializer.extend(numpy_helper.from_array(np.array(one), name) for name, one in NUMBERS.items())
        graph.node.extend(onnx.helper.make_node(op, given, [f"made{i}"]) for i, (op, given) in enumerate(VAST[kind]))
    elif kind == "noise":
        return b"no graph at all" * 100
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("outside", "in another file"),
        ("foreign", "domain 'evil'"),
        ("nan", "NaN or infinite"),
        ("loop", "a graph within its graph"),
        ("constant", "makes 600,000,000 numbers of one image"),
        ("product", "makes 1,600,000,000 numbers of one image"),
        ("chosen", "does not tell the size of what 'NonZero' makes"),
        ("noise", "is not ONNX"),
    ],
)
def test_a_strangers_graph_is_looked_over(kind: str, reason: str) -> None:
    sound, file = made("digits-mlp", "dynamic"), tampered(kind)
    model = Quantized(len(file), sound.blueprint.config["origin"])
    model.load_state_dict({"graph": torch.frombuffer(bytearray(file), dtype=torch.uint8)})
    blueprint = replace(sound.blueprint, config=sound.blueprint.config | {"size": len(file)})
    with pytest.raises(UserError, match=reason):
        read_weights(weights_bytes(model, blueprint), "a file")


def test_every_mode_has_a_card() -> None:
    for key, card in MODES.items():
        assert (card.key, card.sentence[-1]) == (key, ".")
        assert card.formula and "arXiv" in card.paper
        assert Quantize.model_validate({"mode": key})
