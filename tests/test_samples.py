"""The script that rebuilds the sample models, on a short training in a folder of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from scipy.stats import binomtest

from compression.data.sets import load_data
from compression.models.files import Blueprint, load_weights
from compression.models.zoo import SAMPLES, Sample, Training, model_card
from compression.training import fit, normalise

SCRIPT = Path(__file__).resolve().parents[1] / "sample_models" / "train.py"
SHORT = Training(epochs=2, lr=0.1, batch_size=64, augment="jitter", seed=4)
AGAIN = Training(epochs=1, lr=0.02, batch_size=64, seed=4)
MLP = SAMPLES["digits-mlp"]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module that writes into a temporary folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("train_samples", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


def called(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    status: int = script.main()
    return status


def test_training_writes_weights_and_a_card_that_agree(script: ModuleType, tmp_path: Path) -> None:
    card = script.train(replace(MLP, training=(SHORT, AGAIN)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits-mlp.json", "digits-mlp.safetensors"]
    assert json.loads((tmp_path / "digits-mlp.json").read_text()) == json.loads(json.dumps(card))
    model, dataset = load_weights(tmp_path / "digits-mlp.safetensors").model, load_data("digits")
    right = int((model(normalise(dataset.test.images, dataset)).argmax(1) == dataset.test.labels).sum())
    assert (card["accuracy"], card["n"], card["split"]) == (right / 359, 359, "test")
    low, high = binomtest(right, 359).proportion_ci(0.95, method="wilson")
    assert (card["accuracy_low"], card["accuracy_high"]) == pytest.approx((low, high), abs=1e-6)
    assert card["params"] == sum(p.numel() for p in model.parameters())
    assert (card["seed"], card["epochs"], card["torch"]) == (4, 3, torch.__version__)
    assert set(card) == set(model_card("digits-mlp"))
    assert card["accuracy"] > 0.8  # three epochs; chance is a tenth


def test_the_same_settings_train_the_same_weights_whatever_was_drawn_before(script: ModuleType, tmp_path: Path) -> None:
    files = []
    for seed in (4, 4, 5):
        torch.rand(len(files) + 1)
        script.train(replace(MLP, training=(replace(SHORT, seed=seed, epochs=1),)))
        files.append((tmp_path / "digits-mlp.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


def test_names_choose_what_is_trained(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[Sample] = []

    def train(sample: Sample) -> dict[str, object]:
        trained.append(sample)
        return {"accuracy": 0.975, "params": 1234}

    monkeypatch.setattr(script, "train", train)
    assert called(script, monkeypatch, "digits-cnn", "digits-mlp") == 0
    assert trained == [SAMPLES["digits-cnn"], SAMPLES["digits-mlp"]]
    assert "digits-mlp: test accuracy 97.50%, 1,234 parameters" in capsys.readouterr().out
    trained.clear()
    assert called(script, monkeypatch, "--all") == 0
    assert trained == [sample for sample in SAMPLES.values() if sample.training]


def test_a_second_training_goes_on_from_the_weights_of_the_first(script: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(SHORT.seed)
    dataset, model = load_data("digits"), Blueprint(MLP.architecture, MLP.config, MLP.input_shape).build()
    for lr, epochs, augment in ((SHORT.lr, SHORT.epochs, SHORT.augment), (AGAIN.lr, AGAIN.epochs, AGAIN.augment)):
        list(fit(model, dataset, epochs=epochs, lr=lr, augment=augment, batch_size=64, seed=4))
    script.train(replace(MLP, training=(SHORT, AGAIN)))
    written = load_weights(tmp_path / "digits-mlp.safetensors").model
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), written.parameters(), strict=True))


def test_the_mean_of_the_last_trainings_is_written(script: ModuleType, tmp_path: Path) -> None:
    ends = []
    for trainings in ((SHORT,), (SHORT, AGAIN)):
        script.train(replace(MLP, training=trainings))
        ends.append(load_weights(tmp_path / "digits-mlp.safetensors").model.state_dict())
    script.train(replace(MLP, training=(SHORT, AGAIN), averaged=2))
    written = load_weights(tmp_path / "digits-mlp.safetensors").model.state_dict()
    for name, weight in written.items():
        torch.testing.assert_close(weight, (ends[0][name] + ends[1][name]) / 2)


def test_averaged_weights_have_their_batchnorm_counted_anew(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(script, "recount", lambda *_, augment, **__: told.append(augment))
    script.train(replace(MLP, training=(SHORT, replace(AGAIN, augment="crop_flip")), averaged=2))
    script.train(replace(MLP, training=(SHORT, AGAIN)))
    assert told == ["crop_flip"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("digits-mpl",),
            "Unknown model to train 'digits-mpl' (did you mean 'digits-mlp'?); choose one of: digits-cnn",
        ),
        (("resnet50-random",), "Unknown model to train 'resnet50-random'"),
        ((), "Name a model to train, or give --all; choose one of: digits"),
        (("mnist-lenet-5",), "Data set 'mnist' is not in "),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data_root: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert called(script, monkeypatch, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert list(tmp_path.glob("*.safetensors")) == []
