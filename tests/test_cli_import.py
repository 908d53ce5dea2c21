"""``espalier import``: what it writes is a model file like any other, with a card beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compression.cli import main
from compression.models.zoo import load, load_model
from compression.pipeline import measure

Call = Callable[..., str]
MLP = ("mlp", "--config", '{"inputs": 64, "hidden": [128, 64]}', "--input", "1x8x8")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write into, and a trust that ends with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_CODE", "")
    return tmp_path


@pytest.fixture
def espalier(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command; what it printed, after its status and what it said on stderr are as expected."""

    def call(*arguments: str, status: int = 0) -> str:
        assert main(arguments) == status
        printed = capsys.readouterr()
        assert printed.out == "" or status == 0
        assert printed.err.count("\n") <= 1
        return printed.err if status else printed.out

    return call


def digits_weights(path: Path) -> Path:
    state = {f"module.{name}": tensor.clone() for name, tensor in load_model("digits-mlp").state_dict().items()}
    save_file(state, path)
    return path


def test_what_is_imported_measures_and_runs_as_the_model_that_it_was(espalier: Call, here: Path) -> None:
    weights = digits_weights(here / "theirs.safetensors")
    body = json.loads(espalier("import", *MLP, "--weights", str(weights), "--out", "mine.safetensors", "--json"))
    assert body == json.loads((here / "mine.json").read_text())
    assert (body["name"], body["classes"], body["params"]) == ("mine", 10, 17_226)
    assert body["notes"] == ["'module.' was taken off the names of its tensors"]
    assert sorted(p.name for p in here.iterdir()) == ["mine.json", "mine.safetensors", "theirs.safetensors"]
    found = json.loads(espalier("measure", "mine.safetensors", "--data", "digits", "--no-latency", "--json"))
    assert found["accuracy"] == measure("digits-mlp").accuracy
    recipe = "model: mine.safetensors\ndata: digits\nstages:\n- {kind: prune, granularity: rows, sparsity: 0.5}\n"
    (here / "half.yaml").write_text(recipe)
    assert json.loads(espalier("run", "half.yaml", "--json"))["final"]["params"] < 17_226


def test_the_card_is_printed_as_tables(espalier: Call) -> None:
    lines = espalier("import", *MLP, "--classes", "10").splitlines()
    assert lines[0].split() == ["model", "mlp"]
    table = "\n".join(line.rstrip() for line in lines)
    assert re.search(r"^parameters +17,226$", table, re.MULTILINE)
    assert re.search(r"^rows +2 +192$", table, re.MULTILINE)
    assert re.search(r"^heads +0 +0 +the model has no heads$", table, re.MULTILINE)
    assert re.search(r"^layers\.0 +Linear +128×64 +8,320 +8\.19 K +128 rows$", table, re.MULTILINE)
    assert re.search(r"^layers\.2 +Linear +10×64 +650 +640 +it gives the model's output$", table, re.MULTILINE)
    assert load("mlp.safetensors").model(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_naming_a_function_trusts_it_for_that_command_alone(
    espalier: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "somebodys_nets.py").write_text(
        "from torch import nn\n"
        "def net(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, num_classes))\n"
    )
    monkeypatch.syspath_prepend(here)
    espalier("import", "somebodys_nets:net", "--classes", "10", "--input", "1x8x8")
    ask = ("measure", "net.safetensors", "--data", "digits", "--no-latency", "--json")
    monkeypatch.setenv("ESPALIER_CODE", "")
    assert "is built by code, 'somebodys_nets:net', which is not run unless" in espalier(*ask, status=2)
    monkeypatch.setenv("ESPALIER_CODE", "somebodys_nets:net")
    assert json.loads(espalier(*ask))["params"] == 64 * 8 + 8 + 80 + 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet18",), "Unknown architecture 'resnet18'"),
        ((*MLP,), "Architecture 'mlp' needs a number of classes; give --classes"),
        ((*MLP, "--classes", "0"), "The number of classes is 0; it must be"),
        ((*MLP, "--input", "8x8"), "--input is '8x8'; give channels, height and width such as 3x224x224"),
        ((*MLP, "--input", "1x0x8"), "The input is 1×0×8; give"),
        ((*MLP, "--config", "[1]"), "--config is '[1]'; give a JSON object such as"),
        ((*MLP, "--config", "[" * 100_000), "--config is '[[[["),
        ((*MLP, "--out", "mine.pt"), "--out is 'mine.pt'; give a file that ends in .safetensors"),
        ((*MLP, "--out", "no/mine.safetensors"), "There is no folder 'no' to write --out into"),
        ((*MLP, "--weights", "mlp.safetensors"), "--out would write over the weights at 'mlp.safetensors'"),
        ((*MLP, "--weights", "absent.pt"), "No weights file can be read at 'absent.pt'"),
        ((*MLP, "--weights", "<b>" + "n" * 300), "No weights file can be read at '<b>nnn"),
        ((*MLP, "--weights", "."), "No weights file can be read at '.'"),
        ((*MLP, "--pretrained", "DEFAULT"), "pretrained is for torchvision:NAME and timm:NAME, not 'mlp'"),
        (("absent_package:net",), "No function 'absent_package:net' can be imported (No module named"),
        (("textwrap:dedent", "--config", '{"text": ""}'), "Function 'textwrap:dedent' returned a str, not a"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(
    espalier: Call, arguments: tuple[str, ...], words: str, here: Path
) -> None:
    said = espalier("import", *arguments, status=2)
    assert words in said and len(said) < 400
    assert list(here.iterdir()) == []
