"""A model's own normalisation: kept in its file, used in place of the data set's, handed on to what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compression.cli import main
from compression.data.sets import load_data
from compression.export.source import facts, read_source
from compression.library import add_model
from compression.models.files import Blueprint, load_weights, read_weights, weights_bytes
from compression.models.zoo import blueprint_of, load, load_model
from compression.normalisation import Normalisation, checked_normalisation
from compression.pipeline import load_result, measure
from compression.registry import UserError
from compression.subject import load_subject
from compression.training import normalise

THEIRS = Normalisation((0.25,), (0.5,))
MLP = ("mlp", "--config", '{"inputs": 64, "hidden": [128, 64]}', "--input", "1x8x8")


def moved(path: Path) -> Path:
    """The weights of digits-mlp for images normalised otherwise, worked out by hand: its first layer takes up the rest.

    x = (p − m) / s was, x' = (p − m') / s' is given: W x + b = (W s'/s) x' + b + W (m' − m) / s.
    """
    data, state = load_data("digits"), {name: t.clone() for name, t in load_model("digits-mlp").state_dict().items()}
    weight = state["layers.0.weight"].double()
    state["layers.0.bias"] += (weight.sum(1) * (THEIRS.mean[0] - data.mean[0]) / data.std[0]).float()
    state["layers.0.weight"] = (weight * THEIRS.std[0] / data.std[0]).float()
    save_file(state, path)
    return path


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "mine.safetensors"
    weights = moved(tmp_path / "theirs.safetensors")
    given = ("--weights", str(weights), "--mean", "0.25", "--std", "0.5", "--out", str(out))
    assert main(("import", *MLP, *given)) == 0
    assert "0.25" in capsys.readouterr().out
    return out


def test_weights_are_judged_on_images_normalised_as_in_their_training(imported: Path, tmp_path: Path) -> None:
    expected = measure("digits-mlp")
    found = measure(str(imported), "digits")
    assert found.accuracy == expected.accuracy and found.loss == pytest.approx(expected.loss, rel=1e-4)
    bare = tmp_path / "bare.safetensors"
    assert main(("import", *MLP, "--weights", str(tmp_path / "theirs.safetensors"), "--out", str(bare))) == 0
    assert measure(str(bare), "digits").loss != pytest.approx(expected.loss, rel=1e-2)


def test_the_file_and_its_card_say_so(imported: Path) -> None:
    assert load_weights(imported).blueprint.normalisation == THEIRS
    assert json.loads(imported.with_suffix(".json").read_text())["normalisation"] == {"mean": [0.25], "std": [0.5]}
    assert load("digits-mlp").blueprint.normalisation is None


def test_a_data_set_takes_it_on_and_stays_what_it_was(imported: Path) -> None:
    data, subject = load_data("digits"), load_subject(str(imported), "digits")
    pixels = data.val.images[:3].double() / 255
    torch.testing.assert_close(normalise(data.val.images[:3], subject.dataset).double(), (pixels - 0.25) / 0.5)
    assert (subject.dataset.mean, subject.dataset.std) == THEIRS and data.mean != THEIRS.mean


@pytest.mark.parametrize(
    "stage", ["{kind: prune, sparsity: 0.5}", "{kind: distill, student: narrower, epochs: 1}", "{kind: quantize}"]
)
def test_what_is_made_of_it_keeps_it(imported: Path, tmp_path: Path, stage: str) -> None:
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "made"
    recipe.write_text(f"model: {imported}\ndata: digits\nstages:\n- {stage}\n")
    assert main(("run", str(recipe), "--out", str(out))) == 0
    assert read_weights(load_result(out).weights, "made").blueprint.normalisation == THEIRS
    found = facts(read_source(str(out)))
    assert (found["mean"], found["std"]) == ([0.25], [0.5])


def test_an_export_says_it_without_images_too(imported: Path) -> None:
    found = facts(read_source(str(imported)))
    assert "data" not in found and found["mean"] == [0.25] and "pixel / 255" in found["normalise"]


def test_the_blueprint_of_a_model_of_your_own_has_it(data_root: Path) -> None:
    add_model("mine", "mlp", {"inputs": 64, "hidden": [8]}, data="digits", mean=(0.25,), std=(0.5,))
    assert blueprint_of("mine").normalisation == load("mine").blueprint.normalisation == THEIRS


def test_a_teacher_that_saw_other_images_is_refused(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: digits-mlp\nstages:\n- {{kind: distill, teacher: {imported}, epochs: 1}}\n")
    assert main(("run", str(recipe))) == 2
    assert "normalised otherwise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((0.5, 0.5), (0.1,), "mean is 0.5, 0.5; give a number, on the scale 0 to 1, for each of 1 channels"),
        ((0.5,), (0.0,), "std is 0.0; give a number above 0"),
        ((0.5,), (), "std is left out"),
        ((float("nan"),), (0.1,), "mean is nan"),
        (("a",), (0.1,), "mean is a"),
    ],
)
def test_numbers_that_cannot_be_are_told(mean: tuple[float, ...], std: tuple[float, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        checked_normalisation(mean, std, channels=1)


def test_a_strangers_file_is_checked() -> None:
    blueprint = Blueprint("mlp", {"inputs": 4, "hidden": [3], "classes": 2}, (1, 2, 2), Normalisation((0.5,), (-1.0,)))
    with pytest.raises(UserError, match="std is -1.0"):
        read_weights(weights_bytes(blueprint.build(), blueprint), "theirs")
