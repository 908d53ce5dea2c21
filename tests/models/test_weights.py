"""Weights from strangers: what is whole is read; whatever else is one line, and nothing is run or crashes."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import nn

from compression.models import weights, weights_process
from compression.models.weights import read_weights_file
from compression.registry import UserError


class Evil:
    """Unpickled without care, it makes a file named as the test says."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def written(path: Path, body: object) -> Path:
    torch.save(body, path)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_weights_file(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def opened(path: Path) -> str:
    """What the reading process would complain of, asked in this one."""
    with pytest.raises(UserError) as caught:
        weights.check_tensors(weights_process._opened(path, path.name), path.stat().st_size, path.name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# State dicts


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": {"state_dict": s}, "epoch": 3}])
def test_a_state_dict_comes_back_as_it_was(wrap: Callable[[Any], Any], tmp_path: Path) -> None:
    state = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).state_dict() | {"half": torch.randn(3).half()}
    state["turned"] = torch.randn(4, 6).T
    found = read_weights_file(written(tmp_path / "w.pt", wrap(state)))
    assert list(found) == list(state) or set(found) == set(state)
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in state.items())


def test_a_malicious_pickle_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    message = complaint(written(tmp_path / "w.pt", {"weight": torch.zeros(2), "more": Evil(mark)}))
    assert "holds code or objects, posix.system, which are not read" in message
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Evil(mark), protocol=2))
    assert "bare.pt' " in opened(tmp_path / "bare.pt")
    assert not mark.exists()
    assert "weights_only" not in message  # torch's own words say how to run it


def test_a_whole_module_is_refused_by_its_class(tmp_path: Path) -> None:
    message = opened(written(tmp_path / "w.pt", nn.Linear(2, 2)))
    assert "holds code or objects, torch.nn.modules.linear.Linear" in message
    assert message.endswith("save model.state_dict() and give that")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"w": torch.zeros(1).expand(2**34)}, "holds 17,179,869,184 numbers; at most 1,000,000,000 are read"),
        ({"w": torch.zeros(1).expand(2**20)}, "would take 4,194,304 bytes, but the file has "),
        ({"w": torch.zeros(2**40, device="meta")}, "is strided, float32, meta; dense numbers are read"),
        ({"w": torch.zeros(3, dtype=torch.complex64)}, "is strided, complex64, cpu; dense numbers are read"),
        ({"<b>w</b>": torch.tensor([0.0, float("nan")])}, "Tensor '<b>w</b>' of 'w.pt' holds NaN or infinite values"),
        ({"w" * 300: torch.tensor([float("inf")])}, "w...w"),
        ({1: torch.zeros(3)}, "is no state dict: it has 1 of type Tensor"),
        ({"a": torch.zeros(3), "epoch": 4}, "is no state dict: it has 'epoch' of type int"),
        ([torch.zeros(3)], "is no state dict: it holds a list"),
        ({"state_dict": {}}, "holds no tensors"),
    ],
)
def test_what_is_no_state_dict_of_dense_finite_numbers_is_one_line(body: object, words: str, tmp_path: Path) -> None:
    assert words in opened(written(tmp_path / "w.pt", body))


@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
@pytest.mark.parametrize(
    ("column", "words"),
    [
        (1, "Tensor 'w' of 'w.pt' is sparse_csr, float32, cpu; dense numbers are read"),
        (10**9, "'w.pt' is not a whole file of tensors as torch.save writes it"),  # multiplied with, it would crash
    ],
)
def test_a_sparse_tensor_is_never_used(column: int, words: str, tmp_path: Path) -> None:
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        tensor = torch.sparse_csr_tensor([0, 1, 2], [0, column], [1.0, 1.0], size=(2, 2))
        path = written(tmp_path / "w.pt", {"w": tensor})
    assert opened(path) == words


@pytest.mark.parametrize("content", [bytes(1000), b"PK\x03\x04 no zip", b"\x80\x02" + b"(" * 100_000, b"plain words"])
def test_what_torch_did_not_write_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    assert opened(tmp_path / "w.pt") == "'w.pt' is not a whole file of tensors as torch.save writes it"


def test_a_state_dict_cut_short_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "w.pt", {"w": torch.randn(1000)})
    path.write_bytes(path.read_bytes()[:-600])
    assert "is not a whole file of tensors" in opened(path)


def test_a_file_that_unpacks_to_more_than_its_size_is_stopped(tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"w": torch.zeros(90_000_000)}, whole)
    with (
        zipfile.ZipFile(whole) as plain,
        zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
    ):
        for entry in plain.namelist():
            packed.writestr(entry, plain.read(entry))
    assert (tmp_path / "w.pt").stat().st_size < 2_000_000
    assert "asks for more memory than a file of its size can need" in complaint(tmp_path / "w.pt")


def test_a_reader_that_crashes_or_hangs_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "w.pt", {"w": torch.zeros(2)})

    def crashed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -11, "", "")

    def hung(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr(weights.subprocess, "run", crashed)
    assert "the process that read it ended with status -11" in complaint(path)
    monkeypatch.setattr(weights.subprocess, "run", hung)
    assert "took longer than 300 s to read" in complaint(path)


# Safetensors


def header(about: dict[str, Any], body: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(about).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


TWO = {"dtype": "F32", "shape": [2]}


@pytest.mark.parametrize(
    "content",
    [
        save({"w": torch.zeros(100)})[:-10],
        header({"w": {**TWO, "data_offsets": [0, 8]}, "v": {**TWO, "data_offsets": [4, 12]}}, bytes(12)),
        header({"w": {**TWO, "data_offsets": [0, 8]}}, bytes(8), length=2**62),
        header({"w": {**TWO, "shape": [2**40], "data_offsets": [0, 2**42]}}, bytes(8)),
        bytes(1000),
        b"\x80\x02pickle",
    ],
    ids=["truncated", "overlapping", "huge header", "huge tensor", "zeros", "pickle"],
)
def test_safetensors_that_are_not_whole_are_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    assert "is not a whole safetensors file (" in complaint(tmp_path / "w.safetensors")


def test_safetensors_are_read_and_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"w": torch.arange(3.0)}))
    assert torch.equal(read_weights_file(path)["w"], torch.tensor([0.0, 1.0, 2.0]))
    path.write_bytes(save({"w": torch.tensor([1.0, float("nan")])}))
    assert complaint(path) == f"Tensor 'w' of '{path}' holds NaN or infinite values"
    path.write_bytes(save({"w": torch.zeros(2, dtype=torch.complex64)}))
    assert "complex64" in complaint(path)


# Files that are none


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_what_is_no_file_is_one_line(suffix: str, tmp_path: Path) -> None:
    pipe, folder, empty = (tmp_path / f"{name}.{suffix}" for name in ("pipe", "folder", "empty"))
    os.mkfifo(pipe)
    folder.mkdir()
    empty.touch()
    for path in (pipe, folder, tmp_path / f"absent.{suffix}", Path("n" * 300 + f".{suffix}"), Path(f"a\0.{suffix}")):
        assert complaint(path).startswith("No weights file can be read at ")
    assert complaint(empty).endswith(f"empty.{suffix}' is empty")


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.truncate(5 * 2**30)  # a hole: it takes no room
    assert "w.safetensors' has 5.0 GiB; at most 4 GiB are read" in complaint(tmp_path / "w.safetensors")


def test_a_limit_that_cannot_be_had_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = []

    def limit(which: int, most: tuple[int, int]) -> None:
        if which == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")
        limited.append(which)

    monkeypatch.setattr(resource, "setrlimit", limit)
    weights_process._bound(1000)
    assert limited == [resource.RLIMIT_CPU, resource.RLIMIT_FSIZE]
