"""Packed files: the identical state dict, and whatever a stranger put there instead is one clear line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compression.export import load_packed
from compression.export.packed import save_packed
from compression.measure import pack, packed_bytes
from compression.models.zoo import load_model
from compression.registry import UserError


def sparse() -> dict[str, Tensor]:
    """A tensor for each encoding."""
    wide = torch.zeros(3, 400)
    wide[0, 7], wide[2, 399] = 1.5, -2.5
    half = torch.arange(40.0).reshape(5, 8) * (torch.arange(40).reshape(5, 8) % 2)
    return {"dense": torch.arange(1.0, 17).reshape(4, 4), "bitmask": half, "csr": wide}


def with_header(change: dict[str, object] | str, tensors: bytes = b"") -> bytes:
    text = (change if isinstance(change, str) else json.dumps(change)).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def complaint(content: bytes, folder: Path) -> str:
    (folder / "x.packed").write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_packed(folder / "x.packed")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sparse_model_comes_back_identical_from_the_bytes_that_were_promised(tmp_path: Path) -> None:
    model = load_model("digits-cnn")
    with torch.no_grad():
        for n, parameter in enumerate(model.parameters()):
            parameter[torch.rand(parameter.shape, generator=torch.Generator().manual_seed(n)) < 0.9] = 0
    save_packed(model, tmp_path / "m.packed")
    back, state = load_packed(tmp_path / "m.packed"), model.state_dict()
    assert list(back) == list(state)
    assert all(torch.equal(back[name], state[name]) and back[name].dtype == state[name].dtype for name in state)
    assert all(tensor.add_(1) is tensor for tensor in back.values())  # memory of its own, to be written to
    # A tenth of 310 KB is left, and at most a bit for each place, two bytes of row and column at the densest.
    values = sum(int(tensor.count_nonzero()) for tensor in state.values())
    places = sum(tensor.numel() for tensor in state.values())
    length = (tmp_path / "m.packed").stat().st_size
    assert 4 * values < length == packed_bytes(model) < 4 * values + places / 8 + 3000


def test_every_length_but_the_whole_is_refused(tmp_path: Path) -> None:
    whole = pack(sparse())
    header = 8 + int.from_bytes(whole[:8], "little")
    for length in (*range(0, len(whole), 7), len(whole) - 1):
        message = complaint(whole[:length], tmp_path)
        assert (
            "ends within its header" if length < header else f"has {length:,} bytes where its header asks"
        ) in message
    assert f"has {len(whole) + 1:,} bytes" in complaint(whole + b"\0", tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        7, [], ["F32", [2], "dense"], ["F33", [2], "dense", 2], [["F32"], [2], "dense", 2], ["F32", 2, "dense", 2],
        ["F32", [-2], "dense", 0], ["F32", [2.0], "dense", 2], ["F32", [True], "dense", 1], ["F32", [2], "zip", 2],
        ["F32", [2], ["csr"], 2], ["F32", [2], "csr", 3], ["F32", [2], "csr", -1], ["F32", [2], "csr", True],
        ["F32", [1] * 17, "dense", 1], ["F32", [2**40], "csr", 0],
    ],
    ids=str,
)  # fmt: skip
def test_entries_that_cannot_be_are_named(entry: object, tmp_path: Path) -> None:
    assert "its header says of tensor 'w' what cannot be" in complaint(with_header({"w": entry}, b"\0" * 8), tmp_path)


def test_headers_that_are_no_table_are_refused(tmp_path: Path) -> None:
    assert "its header is not JSON" in complaint(with_header("{"), tmp_path)
    assert "its header is not JSON" in complaint(with_header("[" * 100_000), tmp_path)
    assert "its header is not JSON" in complaint((2).to_bytes(8, "little") + b"\xff\xfe", tmp_path)
    assert "its header is no table" in complaint(with_header("[1]"), tmp_path)
    assert "ends within its header" in complaint(b"\xff" * 8, tmp_path)


def test_a_few_bytes_cannot_ask_for_memory_without_end(tmp_path: Path) -> None:
    one = ["F32", [1, 2**29], "csr", 0]
    assert "would take more than 4,294,967,296 bytes" in complaint(
        with_header({"a": one, "b": one, "c": one}), tmp_path
    )


def test_places_that_are_not_there_are_refused(tmp_path: Path) -> None:
    value = np.float32(1).tobytes()
    csr = {"w": ["F32", [2, 5], "csr", 1]}
    assert load(with_header(csr, bytes([0, 0, 1, 4]) + value), tmp_path)["w"].tolist() == [[0] * 5, [0, 0, 0, 0, 1]]
    for starts, column in (([0, 0, 1], 5), ([0, 2, 1], 0), ([1, 1, 1], 0), ([0, 0, 0], 0), ([0, 0, 2], 0)):
        message = complaint(with_header(csr, bytes([*starts, column]) + value), tmp_path)
        assert message.endswith("tensor 'w': rows or columns that are not there")
    mask = {"w": ["F32", [9], "bitmask", 1]}
    assert load(with_header(mask, bytes([0, 0x80]) + value), tmp_path)["w"][8] == 1
    for bits in ([0x81, 0], [0, 0], [0x80, 0x80]):
        assert "places for 1 values" in complaint(with_header(mask, bytes(bits) + value), tmp_path)


def load(content: bytes, folder: Path) -> dict[str, Tensor]:
    (folder / "x.packed").write_bytes(content)
    return load_packed(folder / "x.packed")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinite_weights_are_refused_by_name(value: float, tmp_path: Path) -> None:
    state = sparse()
    state["csr"][1, 1] = value
    assert "Tensor 'csr' of" in complaint(pack(state), tmp_path)


def test_missing_files_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.packed", tmp_path, Path("zero\0byte")):
        with pytest.raises(UserError, match="^No packed file can be read at "):
            load_packed(path)


def test_whatever_bytes_change_it_loads_or_is_refused(tmp_path: Path) -> None:
    whole, dice = pack(sparse()), random.Random(0)
    refused = 0
    for _ in range(300):
        spoiled = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        (tmp_path / "x.packed").write_bytes(spoiled)
        try:
            load_packed(tmp_path / "x.packed")
        except UserError:
            refused += 1
    assert refused > 50
