"""The ``espalier`` command: every command, what programs read of it, and every fault in one line."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compression import cli, cli_data, measure, pipeline
from compression.cli import main, sparsities
from compression.models.files import Blueprint, save_weights
from compression.models.zoo import available, load, model_card
from compression.pipeline import load_result, run
from compression.recipe import Recipe
from compression.registry import UserError
from compression.results import Latency, Measurement
from compression.studies.plan import Sweep
from compression.studies.sweep import sweep

Call = Callable[..., str]
README = Path(__file__).resolve().parents[1] / "README.md"
RECIPE = """
model: digits-mlp
seed: 1
stages:
  - {kind: prune, granularity: rows, scope: layer, sparsity: 0.5}
  - {kind: train, epochs: 2, lr: 0.05}
"""


@pytest.fixture
def espalier(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command that must succeed; what it printed for programs or people."""

    def call(*arguments: str, said: str = "") -> str:
        status = main(arguments)
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, said)
        return printed.out

    return call


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command that must fail as bad input does: status 2, one line on stderr, nothing else."""

    def call(*arguments: str) -> str:
        try:
            status = main(arguments)
        except SystemExit as left:  # how argparse leaves
            status = int(left.code or 0)
        printed = capsys.readouterr()
        assert (status, printed.out) == (2, "")
        assert re.fullmatch(r"espalier[^\n]*: [^\n]+\n", printed.err), printed.err
        return printed.err.rstrip("\n")

    return call


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], str]:
    """Write a recipe file; its path."""

    def write(text: str, name: str = "recipe.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.fixture
def fake_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timings in no time: twice as fast as the baseline with half the parameters, in both runtimes."""

    def fake(models: dict[str, torch.nn.Module], baseline: torch.nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
        def timing(runtime: str, model: torch.nn.Module) -> Latency:
            ratio = sum(p.numel() for p in baseline.parameters()) / sum(p.numel() for p in model.parameters())
            return Latency(
                runtime=runtime, batch=1, speedup=ratio, speedup_low=0.9 * ratio, speedup_high=1.1 * ratio,
                min_ms=0.1, median_ms=0.2, p90_ms=0.3, baseline_median_ms=0.2 * ratio, pairs=30, threads=1,
            )  # fmt: skip

        return {name: tuple(timing(r, model) for r in ("eager", "onnxruntime")) for name, model in models.items()}

    monkeypatch.setattr(pipeline, "latencies", fake)
    monkeypatch.setattr("compression.studies.sweep.latencies", fake)


# Models and data


def test_models_are_listed_with_their_cards(espalier: Call) -> None:
    cards = json.loads(espalier("models", "--json"))
    assert cards == [model_card(name) for name in available()]
    lines = espalier("models").splitlines()
    card = model_card("digits-cnn")
    row = next(line for line in lines if line.startswith("digits-cnn"))
    for cell in (f"{100 * card['accuracy']:.2f} %", "77,290", card["sentence"]):
        assert cell in row
    assert [line.split()[0] for line in lines[1 : 1 + len(cards)]] == [card["name"] for card in cards]


def test_data_says_what_is_here_and_how_to_get_the_rest(espalier: Call, fake_mnist: Path) -> None:
    listed = {entry["name"]: entry for entry in json.loads(espalier("data", "--json"))}
    assert {name: entry["here"] for name, entry in listed.items()} == {
        "digits": True, "mnist": True, "fashion-mnist": False, "cifar10": False,
    }  # fmt: skip
    table = espalier("data")
    assert re.search(r"^mnist +here ", table, re.MULTILINE)
    assert re.search(r"^cifar10 +fetch with --get \(170 MB\) ", table, re.MULTILINE)


def test_data_describes_one_set(espalier: Call) -> None:
    about = json.loads(espalier("data", "digits", "--json"))
    assert (about["name"], about["shape"], about["classes"]) == ("digits", [1, 8, 8], list("0123456789"))
    assert about["train"] + about["val"] + about["test"] == 1797
    assert set(about) == {"name", "shape", "classes", "train", "val", "test", "mean", "std", "note"}
    assert re.search(r"^test +359$", re.sub(" +$", "", espalier("data", "digits"), flags=re.MULTILINE), re.MULTILINE)


def test_data_takes_a_folder_whatever_its_classes_are_called(espalier: Call, tmp_path: Path) -> None:
    for label in ("[red]", "[bold]b"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for n in range(5):
            Image.fromarray(np.full((4, 6), 40 * n, np.uint8)).save(tmp_path / "mine" / label / f"{n}.png")
    printed = espalier("data", str(tmp_path / "mine"))
    assert "1×4×6" in printed
    assert "[bold]b, [red]" in printed


def test_data_is_fetched_only_when_asked(espalier: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr(cli_data, "fetch", lambda name, notify: fetched.append(name))
    espalier("data", "digits")
    assert fetched == []
    espalier("data", "digits", "--get")
    assert fetched == ["digits"]


def test_fetching_says_what_it_does_on_stderr(espalier: Call) -> None:
    said = "'digits' comes with scikit-learn: nothing to fetch\n"
    assert json.loads(espalier("data", "digits", "--get", "--json", said=said))["name"] == "digits"


def images(root: Path, sizes: tuple[tuple[int, int], ...] = ((4, 6),)) -> str:
    """Five images of two classes under a folder, their sizes in turn."""
    for label in ("ant", "[red]"):
        (root / label).mkdir(parents=True)
        for n in range(5):
            pixels = np.full((*sizes[n % len(sizes)], 3), 40 * n + len(label), np.uint8)
            Image.fromarray(pixels).save(root / label / f"{n}.png")
    return str(root)


def test_your_own_images_are_added_used_by_name_and_removed(espalier: Call, tmp_path: Path, data_root: Path) -> None:
    given = images(tmp_path / "mine", ((8, 8), (20, 30)))
    (tmp_path / "mine" / "ant" / "bad.png").write_bytes(b"no image")
    printed = espalier("data", "add", given, "--name", "my-ants", "--size", "8x8", "--grey")
    assert printed.splitlines()[0] == "my-ants: 10 images of 2 classes, 8×8 grey"
    assert "every image turned upright as EXIF says, to grey, resized to 8×8" in printed
    assert re.search(r"^ant +5 *$", printed, re.MULTILINE) and re.search(r"^\[red\] +5 *$", printed, re.MULTILINE)
    assert "\nleft out: 'ant/bad.png' is not a readable image (" in printed
    assert re.search(r"^my-ants +here +Your own: 10 images of 2 classes, 8×8 grey", espalier("data"), re.MULTILINE)
    about = json.loads(espalier("data", "my-ants", "--json"))
    assert (about["shape"], about["classes"], about["train"]) == ([1, 8, 8], ["[red]", "ant"], 6)
    blueprint = Blueprint("mlp", {"inputs": 64, "hidden": (4,), "classes": 2}, (1, 8, 8))
    save_weights(blueprint.build(), blueprint, tmp_path / "m.safetensors")
    measured = espalier("measure", str(tmp_path / "m.safetensors"), "--data", "my-ants", "--no-latency", "--json")
    assert json.loads(measured)["n"] == 2
    assert espalier("data", "rm", "my-ants", "--yes", said="removed 'my-ants'\n") == ""
    assert "my-ants" not in espalier("data")


def test_adding_says_the_same_to_programs(espalier: Call, tmp_path: Path, data_root: Path) -> None:
    report = json.loads(espalier("data", "add", images(tmp_path / "mine"), "--name", "x", "--json"))
    assert report["counts"] == {"train": [5, 5]} and report["shape"] == [3, 4, 6] and report["left_out"] == []


def test_of_many_files_that_are_left_out_twenty_are_printed(espalier: Call, tmp_path: Path, data_root: Path) -> None:
    given = images(tmp_path / "mine")
    for i in range(23):
        (tmp_path / "mine" / "ant" / f"{i}.txt").touch()
    printed = espalier("data", "add", given, "--name", "x")
    assert printed.count("left out: ") == 20 and printed.endswith("… and 3 more\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add",), "add needs images and what to call them: espalier data add FOLDER, ZIP or CSV --name NAME"),
        (("add", "x"), "add needs images and what to call them"),
        (("add", "x", "--name", "a/b"), "name is 'a/b'; it must be 1 to 64 letters, digits, spaces, dots, _ or -"),
        (("add", "x", "--name", "mnist"), "name is 'mnist', which has a meaning of its own"),
        (("add", "nowhere", "--name", "a"), "No folder, .zip or .csv can be read at 'nowhere'"),
        (("add", "x", "--name", "a", "--size", "32"), "--size is '32'; give HEIGHTxWIDTH such as 32x32"),
        (("add", "x", "--name", "a", "--size", "0x9"), "--size is '0x9'; give HEIGHTxWIDTH such as 32x32"),
        (("rm",), "rm needs the name of a data set of your own"),
        (("rm", "mine"), "rm deletes the data set 'mine'; say --yes to do so"),
        (("rm", "digits", "--yes"), "There is no data set of your own in "),
        (("rm", "../../x", "--yes"), "There is no data set of your own in "),
        (("digits", "more"), "'more' is one word too many after 'digits'"),
    ],
)
def test_bad_words_about_data_are_one_line(
    complaint: Call, arguments: tuple[str, ...], message: str, data_root: Path
) -> None:
    assert message in complaint("data", *arguments)


# Measuring


def test_measure_prints_one_measurement(espalier: Call) -> None:
    expected = measure("digits-mlp")
    body = json.loads(espalier("measure", "digits-mlp", "--no-latency", "--json"))
    assert Measurement(**body) == expected
    assert set(body) == set(Measurement.model_fields)
    printed = espalier("measure", "digits-mlp", "--no-latency")
    assert f"{100 * expected.accuracy:.2f} % [{100 * expected.accuracy_low:.2f}, " in printed
    assert "17,226, of which 17,226 not zero" in printed
    assert "latency" not in printed
    assert re.search(r"CO₂ per million images +[\d.]+ g \(estimated: modelled energy at 481 g/kWh\)", printed)
    french = espalier("measure", "digits-mlp", "--no-latency", "--grid", "france")
    grams = float(re.search(r"CO₂ per million images +([\d.]+) g .* at 56 g/kWh", french)[1])
    assert grams == pytest.approx(expected.energy.energy_mj * 56 / 3600, rel=0.01)
    validation = json.loads(espalier("measure", "digits-mlp", "--split", "val", "--no-latency", "--json"))
    assert (validation["split"], validation["n"]) == ("val", 360)


def test_measure_times_by_default(espalier: Call, fake_latency: None) -> None:
    body = json.loads(espalier("measure", "digits-mlp", "--json"))
    assert [(t["runtime"], t["speedup"], t["median_ms"]) for t in body["latency"]] == [
        ("eager", 1.0, 0.2), ("onnxruntime", 1.0, 0.2),
    ]  # fmt: skip
    assert re.search(r"latency, onnxruntime, batch 1 +0.2 ms on this machine \(min 0.1, p90 0.3; one", espalier(
        "measure", "digits-mlp"
    ))  # fmt: skip


def test_measure_takes_a_file_and_its_data(espalier: Call, tmp_path: Path) -> None:
    loaded = load("digits-cnn")
    save_weights(loaded.model, loaded.blueprint, tmp_path / "mine.safetensors")
    path = str(tmp_path / "mine.safetensors")
    body = json.loads(espalier("measure", path, "--data", "digits", "--no-latency", "--json"))
    assert Measurement(**body) == measure("digits-cnn")


# Recipes


def test_run_prints_baseline_and_every_stage(espalier: Call, recipe: Callable[[str], str]) -> None:
    result = run(Recipe.from_yaml(RECIPE))
    body = json.loads(espalier("run", recipe(RECIPE), "--json"))
    assert {"recipe", "baseline", "stages", "final", "history"} <= set(body)
    assert Recipe.from_mapping(body["recipe"]) == result.recipe
    assert Measurement(**body["baseline"]) == result.baseline
    assert Measurement(**body["final"]) == result.final
    assert [Measurement(**stage["measurement"]) for stage in body["stages"]] == [s.measurement for s in result.stages]
    assert [stage["stage"]["kind"] for stage in body["stages"]] == ["prune", "train"]
    assert [epoch["val_loss"] for epoch in body["history"]] == [epoch.val_loss for epoch in result.history]
    lines = espalier("run", recipe(RECIPE)).splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:4]] == ["baseline", "1. prune 50.0%", "2. train"]
    for line, measured in zip(lines[1:4], [result.baseline, *(s.measurement for s in result.stages)], strict=True):
        assert f"{100 * measured.accuracy:.2f} %" in line
        assert f"{measured.nonzero:,}" in line
    assert any(line.startswith("layers.0") and "64 of 128" in line for line in lines)
    assert "speed-up" not in lines[0]


def test_run_reads_json_and_times_when_asked(espalier: Call, recipe: Callable[..., str], fake_latency: None) -> None:
    path = recipe(Recipe.from_yaml(RECIPE).to_json(), "recipe.json")
    body = json.loads(espalier("run", path, "--latency", "--split", "val", "--json"))
    assert body["final"]["split"] == "val"
    ratio = body["baseline"]["params"] / body["final"]["params"]
    assert [t["speedup"] for t in body["final"]["latency"]] == [ratio, ratio]
    assert f"{ratio:.2f}× [{0.9 * ratio:.2f}, {1.1 * ratio:.2f}]" in espalier("run", path, "--latency")


def test_run_writes_a_result_that_loads(espalier: Call, recipe: Callable[[str], str], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    said = f"wrote {out}/model.safetensors, recipe.yaml and result.json\n"
    espalier("run", recipe(RECIPE), "--out", str(out), said=said)
    assert load_result(out).weights == run(Recipe.from_yaml(RECIPE)).weights
    assert sorted(path.name for path in out.iterdir()) == ["model.safetensors", "recipe.yaml", "result.json"]


# Sweeps

GRID = ("sweep", "--model", "digits-mlp", "--granularity", "weights,rows", "--sparsity", "0:0.9:0.45")


def test_sweep_prints_flat_rows(espalier: Call) -> None:
    rows = json.loads(espalier(*GRID, "--json"))
    plan = Sweep(model="digits-mlp", granularities=("weights", "rows"), sparsities=(0, 0.45, 0.9))
    expected = [dict(done.row or {}) for done in sweep(plan)]
    for row in expected:
        del row["point"]
    assert rows == expected
    names = {"granularity", "criterion", "scope", "sparsity", "achieved_sparsity", "seed", "accuracy", "macs", "n"}
    assert all(names <= set(row) for row in rows)
    assert all(not isinstance(value, dict | list) for row in rows for value in row.values())
    lines = espalier(*GRID).splitlines()
    assert [line.split()[0] for line in lines] == ["granularity", "baseline", *["weights"] * 2, *["rows"] * 2]
    assert f"{100 * expected[2]['accuracy']:.2f} %" in lines[3]


def test_every_option_of_sweep_reaches_the_plan(monkeypatch: pytest.MonkeyPatch, espalier: Call) -> None:
    plans = []
    monkeypatch.setattr(cli, "sweep", lambda plan, workers: plans.append(plan) or iter(()))
    espalier(
        *("sweep", "--model", "m", "--data", "d", "--granularity", "2:4, kernels", "--criterion", "l2,random"),
        *("--scope", "layer", "--sparsity", "0.5,0.25", "--epochs", "3", "--seeds", "2", "--split", "test"),
        *("--round-to", "4", "--latency"),
    )
    assert plans == [
        Sweep(
            model="m", data="d", granularities=("2:4", "kernels"), criteria=("l2", "random"), scope="layer",
            sparsities=(0.25, 0.5), epochs=3, seeds=2, split="test", round_to=4, latency=True,
        )
    ]  # fmt: skip


def test_sweep_says_what_it_left_out_and_times_the_rest(espalier: Call, fake_latency: None) -> None:
    arguments = ("--model", "digits-mlp", "--granularity", "weights,rows", "--criterion", "l2,median")
    said = (
        "left out: median cannot rank weights\n"
        "left out: rows by l2 at 0.1 %, seed 0: Nothing pruned: sparsity 0.001 with round_to=8 leaves every width "
        "of the rows as it is; raise it or lower round_to\n"
    )
    said += said.splitlines(keepends=True)[1].replace("l2", "median")
    printed = espalier("sweep", *arguments, "--sparsity", "0.001,0.5", "--latency", said=said).splitlines()
    assert [line.split()[0] for line in printed] == ["granularity", "baseline", "weights", "weights", "rows", "rows"]
    assert printed[0].rstrip().endswith("speed-up")
    assert [line.rstrip().endswith(" 1.00×") for line in printed[1:]] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:0.95:0.05", [n / 20 for n in range(20)]),
        ("0:0.9:0.3", [0, 0.3, 0.6, 0.9]),
        ("0.1:0.1:0.5", [0.1]),
        ("0:0.5:0.2", [0, 0.2, 0.4]),
        ("0.5", [0.5]),
        ("0.9, 0.5,0", [0.9, 0.5, 0]),
    ],
)
def test_sparsities_are_read_with_both_ends(text: str, expected: list[float]) -> None:
    assert sparsities(text) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("text", ["", "a", "0:1", "0:1:0", "0:1:-0.1", "1:0:0.1", "0:nan:0.1", "0:inf:0.1", "0:1:1e-9"])
def test_sparsities_that_are_neither_a_range_nor_a_list_are_one_line(text: str) -> None:
    with pytest.raises(UserError, match=f"^--sparsity is '{text}'; give FROM:TO:STEP such as 0:0.9:0.1, or a list"):
        sparsities(text)


# Distilling

TEACH = ("distill", "--teacher", "digits-mlp", "--student", "mlp", "--hidden", "12", "--epochs", "2")


def test_a_student_alone_stands_beside_every_way_of_teaching_it(espalier: Call) -> None:
    rows = json.loads(espalier(*TEACH, "--temperature", "1,4", "--method", "soft_targets,logits", "--json"))
    assert [(row["method"], row["temperature"]) for row in rows] == [
        ("teacher", None), ("alone", None), ("soft_targets", 1.0), ("soft_targets", 4.0), ("logits", None),
    ]  # fmt: skip
    assert {row["params"] for row in rows[1:]} == {64 * 12 + 12 + 12 * 10 + 10}
    assert all(row["split"] == "val" and row["n"] == 360 for row in rows)  # several ways are there to choose from
    assert all(row["errors"] == round(360 * (1 - row["accuracy"])) for row in rows)


def test_one_way_is_reported_on_test_images_and_none_is_an_error(
    espalier: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {row["split"] for row in json.loads(espalier(*TEACH, "--json"))} == {"test"}
    assert main([*TEACH, "--method", "attention"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("left out: Attention transfer, α = 0.9, seed 0: Attention transfer cannot be the method")
    assert told[-1] == "espalier: the student could be taught in none of these ways"


def test_seeds_are_told_as_mean_and_deviation(espalier: Call) -> None:
    rows = json.loads(espalier(*TEACH, "--seeds", "2", "--json"))
    alone = [row["errors"] for row in rows if row["method"] == "alone"]
    table = espalier(*TEACH, "--seeds", "2")
    sd = abs(alone[0] - alone[1]) / 2**0.5
    assert re.search(rf"^mlp +alone +2 +{sum(alone) / 2:g} ± {sd:.1f} ", table, re.MULTILINE), table


# Bad input

PRUNE = "model: digits-mlp\nstages:\n- {kind: prune, "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "espalier: the following arguments are required: COMMAND"),
        (("modles",), "argument COMMAND: invalid choice: 'modles'"),
        (("models", "--jsn"), "unrecognized arguments: --jsn"),
        (("measure",), "espalier measure: the following arguments are required: model"),
        (("measure", "digits-cn"), "Unknown model 'digits-cn' (did you mean 'digits-cnn'?); choose one of: digits-cnn"),
        (("measure", "digits-mlp", "--split", "dev"), "Unknown split 'dev'; choose one of: train, val, test"),
        (("measure", "digits-mlp", "--data", "digit"), "Unknown data set 'digit' (did you mean 'digits'?); choose one"),
        (("measure", "mnist-lenet-5", "--data", "digits"), "takes 1×28×28 images, but data set 'digits' has 1×8×8"),
        (("measure", "mnist-lenet-5"), "Data set 'mnist' is not in "),
        (("measure", "absent.safetensors", "--data", "digits"), "No model file can be read at 'absent.safetensors'"),
        (("data", "imagenet"), "Unknown data set 'imagenet'; choose one of: digits, mnist, fashion-mnist, cifar10"),
        (("data", "cifar10"), "fetch it (170 MB) with: espalier data cifar10 --get, or use 'digits'"),
        (("data", "--get"), "--get needs the name of a data set; choose one of: digits, mnist"),
        (("data", "no/where"), "No data set and no folder of that name: 'no/where'"),
        (("run", "absent.yaml"), "No recipe file can be read at 'absent.yaml'"),
        (("distill",), "espalier distill: the following arguments are required: --teacher"),
        (("distill", "--teacher", "digits-mpl"), "Unknown model 'digits-mpl' (did you mean 'digits-mlp'?)"),
        (("distill", "--teacher", "digits-mlp", "--student", "mpl"), "Unknown student 'mpl' (did you mean 'mlp'?)"),
        (("distill", "--teacher", "digits-mlp", "--method", "hnt"), "Unknown method 'hnt' (did you mean 'hint'?)"),
        (("distill", "--teacher", "digits-mlp", "--temperature", "0"), "temperature is 0; it must lie in (0, 1000]"),
        ((*TEACH, "--temperature", "hot"), "espalier: --temperature is 'hot'; it should be a valid number"),
        ((*TEACH, "--temperature", "0,2000"), "espalier: --temperature is 0; it must lie in (0, 1000]"),
        ((*TEACH, "--temperature", ""), "espalier: --temperature is empty; give at least one"),
        ((*TEACH, "--alpha", "1.5"), "espalier: --alpha is 1.5; it must lie in (0, 1]"),
        ((*TEACH, "--alpha", "x,y"), "; --alpha is 'y'; it should be a valid number"),
        ((*TEACH, "--width", "0"), "espalier: --width is '0'; it should be greater than 0"),
        ((*TEACH, "--depth", "2"), "espalier: --depth is '2'; it should be less than or equal to 1"),
        ((*TEACH, "--hidden", "12,many"), "espalier: --hidden is 'many'; it should be a valid integer"),
        ((*TEACH, "--epochs", "two"), "espalier: --epochs is 'two'; it should be a valid integer"),
        ((*TEACH, "--lr", "-1"), "espalier: --lr is '-1'; it should be greater than 0"),
        ((*TEACH, "--seeds", "0"), "espalier: --seeds is '0'; it should be greater than or equal to 1"),
        ((*TEACH, "--copies", "2"), "espalier: --copies is 2 but augment is none"),
        ((*TEACH, "--without", "ten"), "Unknown class in without 'ten'; choose one of: 0, 1, 2"),
        ((*TEACH, "--without", "0,1,2,3,4,5,6,7,8,9"), "without names every class of data set 'digits'"),
        (("sweep",), "espalier sweep: the following arguments are required: --model"),
        (("sensitivity", "digits-mpl"), "Unknown model 'digits-mpl' (did you mean 'digits-mlp'?)"),
        (("sensitivity", "digits-mlp", "--budget", "half"), "--budget is 'half'; give one of sparsity, params, macs"),
        (("sensitivity", "digits-mlp", "--budget", "macs=0.5", "--images", "10"), "A budget in MACs cannot be met by"),
        (("sensitivity", "digits-mlp", "--out", "x.yaml"), "--out keeps an allocation; give a --budget"),
        (("sensitivity", "digits-mlp", "--method", "erx"), "Unknown --method 'erx' (did you mean 'erk'?)"),
        (("sensitivity", "digits-mlp", "--images", "0"), "images is '0'; it should be greater"),
        (("sweep", "--model", "digits-mpl"), "Unknown model 'digits-mpl' (did you mean 'digits-mlp'?)"),
        (("sweep", "--model", "digits-mlp", "--granularity", "weight"), "Unknown granularity 'weight' (did you mean"),
        (("sweep", "--model", "digits-mlp", "--granularity", ","), "espalier: --granularity is empty; give at"),
        (("sweep", "--model", "digits-mlp", "--criterion", "magnitud"), "Unknown criterion 'magnitud' (did you mean"),
        (("sweep", "--model", "digits-mlp", "--scope", "all"), "Unknown scope 'all'; choose one of: layer, global"),
        (("sweep", "--model", "digits-mlp", "--sparsity", "0:1:0.1"), "sparsity is 1; in a sweep it must lie in"),
        (("sweep", "--model", "digits-mlp", "--sparsity", "nan"), "--sparsity is nan; it should be a finite number"),
        (("sweep", "--model", "digits-mlp", "--round-to", "0"), "--round-to is '0'; it should be greater than or"),
        (("sweep", "--model", "digits-mlp", "--sparsity", "half"), "sparsity is 'half'; give FROM:TO:STEP"),
        (("sweep", "--model", "digits-mlp", "--epochs", "two"), "epochs is 'two'; it should be a valid integer"),
        (("sweep", "--model", "digits-mlp", "--seeds", "0"), "seeds is '0'; it should be greater than or equal to 1"),
        (("sweep", "--model", "digits-mlp", "--split", "train"), "Unknown split 'train'; choose one of: val, test"),
        (("serve", "--port", "http"), "espalier serve: argument --port: invalid int value: 'http'"),
        (("serve", "--port", "0"), "--port is 0; it must lie in 1 to 65535"),
    ],
)
def test_bad_arguments_are_one_line(complaint: Call, arguments: tuple[str, ...], message: str, data_root: Path) -> None:
    assert message in complaint(*arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRUNE + "sparsity: 0.5, threshold: 0.1}", "sparsity (0.5) and threshold (0.1) are both given; give one"),
        (PRUNE + "granularity: rows}", "neither sparsity nor threshold is given; give one of them"),
        (PRUNE + "sparsity: 0}", "sparsity is 0; it must lie in (0, 1), ends excluded"),
        (PRUNE + "sparsity: 1}", "sparsity is 1; it must lie in (0, 1), ends excluded"),
        (PRUNE + "sparsity: .nan}", "sparsity is nan; it should be a finite number"),
        (PRUNE + "threshold: -1}", "threshold is -1; it must be greater than 0"),
        (PRUNE + "sparsity: 0.5, criterion: magnitud}", "Unknown criterion 'magnitud' (did you mean 'magnitude'?)"),
        (PRUNE + "sparsity: 0.5, granularity: chanels}", "Unknown granularity 'chanels' (did you mean 'channels'?)"),
        (PRUNE + "sparsty: 0.5}", "sparsty is not a field of a recipe; allowed: kind, granularity, criterion"),
        (PRUNE + "granularity: '2:4', threshold: 0.1}", "the pattern 2:4 fixes the sparsity at 0.5"),
        (PRUNE + "granularity: rows, threshold: 1000}", "layers.0"),
        (PRUNE + "sparsity: 0.5, overrides: {layer.0: 0.1}}", "'layer.0' (did you mean 'layers.0'?)"),
        (PRUNE + "granularity: rows, criterion: batchnorm, sparsity: 0.5}", "BatchNorm"),
        ("model: digits-mlp\nstages:\n- {kind: prun, sparsity: 0.5}", "Unknown stage kind 'prun' (did you mean"),
        ("model: digits-mlp\nstagse: []", "stagse is not a field of a recipe; allowed: model, data, seed, stages"),
        ("stages: []", "model is missing"),
        ("model: [unclosed", "The recipe is not valid YAML"),
        ("- a\n- b", "A recipe is a mapping with model, data, seed and stages"),
        ("", "A recipe is a mapping with model, data, seed and stages"),
        ("model: digits-mpl", "Unknown model 'digits-mpl' (did you mean 'digits-mlp'?)"),
        ("model: mnist-lenet-300-100", "Data set 'mnist' is not in "),
        ("model: digits-mlp\ndata: mnist", "Data set 'mnist' is not in "),
        ("model: digits-mlp\nseed: -1", "seed is -1; it should be greater than or equal to 0"),
    ],
)
def test_bad_recipes_are_one_line(
    complaint: Call, recipe: Callable[[str], str], text: str, message: str, data_root: Path
) -> None:
    assert message in complaint("run", recipe(text))


def test_a_recipe_that_is_not_text_is_one_line(complaint: Call, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00\x01")
    assert "No recipe file can be read at" in complaint("run", str(tmp_path / "r.yaml"))
    assert "No recipe file can be read at" in complaint("run", str(tmp_path))


def test_bad_json_recipes_are_one_line(complaint: Call, recipe: Callable[..., str]) -> None:
    assert "The recipe is not valid JSON" in complaint("run", recipe('{"model": ', "r.json"))


def test_bad_model_files_are_one_line(complaint: Call, tmp_path: Path) -> None:
    loaded = load("digits-mlp")
    path = tmp_path / "m.safetensors"
    save_weights(loaded.model, loaded.blueprint, path)
    content = path.read_bytes()
    assert "has no data set of its own; name one as data" in complaint("measure", str(path))
    path.write_bytes(content[:-100])
    assert "is not a whole safetensors file" in complaint("measure", str(path), "--data", "digits")
    with torch.no_grad():
        loaded.model.layers[0].bias[0] = math.nan
    save_weights(loaded.model, loaded.blueprint, path)
    line = complaint("measure", str(path), "--data", "digits")
    assert line == f"espalier: Tensor 'layers.0.bias' of '{path}' holds NaN or infinite values"


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    complaint: Call, recipe: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object, **settings: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr(cli, "run", never)
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / ("a" * 300)):
        assert "give --out a folder" in complaint("run", recipe(RECIPE), "--out", str(out))


def test_what_the_system_refuses_is_one_line(complaint: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str, notify: object) -> None:
        raise OSError(28, "No space left on device", "/data")

    monkeypatch.setattr(cli_data, "fetch", full)
    assert complaint("data", "mnist", "--get") == "espalier: [Errno 28] No space left on device: '/data'"


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "measure", interrupted)
    assert main(["measure", "digits-mlp"]) == 130
    assert capsys.readouterr().err == "espalier: interrupted\n"


# As a process of its own


def test_the_command_works_from_a_shell() -> None:
    command = [sys.executable, "-m", "compression.cli", "measure", "digits-mlp", "--no-latency", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=README.parent, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert Measurement(**json.loads(done.stdout)).accuracy == measure("digits-mlp").accuracy
    command[4] = "digits-mpl"
    failed = subprocess.run(command, capture_output=True, text=True, cwd=README.parent, check=False)
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_leaves_early_is_no_fault(form: list[str]) -> None:
    command = [sys.executable, "-m", "compression.cli", "data", *form]
    # Buffered, as it is for most people: what is written last goes out at exit only.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=README.parent, env=env) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


# Sensitivity


def test_a_scan_and_its_budget_become_a_recipe(espalier: Call, tmp_path: Path) -> None:
    kept = tmp_path / "half.yaml"
    asked = ("--granularity", "rows", "--images", "100", "--budget", "macs=0.5", "--out", str(kept))
    rows = json.loads(espalier("sensitivity", "digits-mlp", *asked, "--json", said=f"wrote {kept}\n"))
    assert [cost["layer"] for cost in rows["layers"]] == ["layers.0", "layers.1"]
    assert {(row["layer"], row["n"]) for row in rows["readings"]} == {("layers.0", 100), ("layers.1", 100)}
    best = next(row for row in rows["allocations"] if row["method"] == "sensitivity")
    recipe = Recipe.from_yaml(kept.read_text())
    assert recipe.stages[0].model_dump(mode="json") == best["stage"] | recipe.stages[0].model_dump(mode="json")
    result = run(recipe)
    assert result.final.macs == best["macs"] == pytest.approx(result.baseline.macs / 2, rel=0.01)


def test_a_scan_is_printed_layer_by_layer(espalier: Call) -> None:
    out = espalier("sensitivity", "digits-mlp", "--images", "100", "--budget", "sparsity=0.5", "--keep", "layers.2")
    lines = out.splitlines()
    assert re.search(r"the whole model has \d+\.\d\d %, n = 100", lines[0])
    first, last = (
        next(i for i, line in enumerate(lines) if line.startswith(word)) for word in ("layer ", "allocation")
    )
    assert [line.split()[0] for line in lines[first + 1 : first + 4]] == ["layers.0", "layers.1", "layers.2"]
    assert lines[first].split()[-9:] == [f"{tenth}0%" for tenth in range(1, 10)]
    assert len(lines) - last == 6 and all(" 50.0% " in line for line in lines[last + 1 :])


# Export


def test_export_tells_of_each_file_and_programs_get_the_card(espalier: Call, tmp_path: Path) -> None:
    printed = espalier("export", "digits-mlp", "--to", str(tmp_path), "--as", "safetensors, packed")
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["model.safetensors", "model.packed"]
    assert "on 64 test images of digits" in lines[-1]
    card = json.loads(espalier("export", "digits-mlp", "--to", str(tmp_path), "--as", "onnx", "--json"))
    assert card == json.loads((tmp_path / "card.json").read_text())
    assert list(card["files"]) == ["model.onnx"]


def test_export_says_what_it_had_to_leave_out(espalier: Call, tmp_path: Path) -> None:
    loaded = load("digits-mlp")
    save_weights(loaded.model, loaded.blueprint, tmp_path / "m.safetensors")
    told = "Compared on noise: no data set is known; name one as --data\n"
    assert "64 images of noise" in espalier("export", str(tmp_path / "m.safetensors"), "--to", str(tmp_path), said=told)


def test_export_faults_are_one_line(complaint: Call, tmp_path: Path) -> None:
    assert "Unknown format 'onyx' (did you mean 'onnx'?)" in complaint(
        "export", "digits-mlp", "--to", "x", "--as", "onyx"
    )
    assert "Nothing to export at 'nowhere'" in complaint("export", "nowhere", "--to", str(tmp_path))
    (tmp_path / "file").write_text("")
    assert "File exists" in complaint("export", "digits-mlp", "--to", str(tmp_path / "file"))
    assert "--to" in complaint("export", "digits-mlp")


def test_a_folder_is_no_model_and_the_file_in_it_is_named(complaint: Call, tmp_path: Path) -> None:
    assert "is a folder; give the file in it, model.safetensors" in complaint("measure", str(tmp_path))


def test_where_nothing_is_old_nothing_is_asked_for(espalier: Call, data_root: Path) -> None:
    told = "nothing that no study uses is 1 days old\n"
    assert espalier("data", "clean", "--days", "1", said=told) == ""
    assert espalier("data", "clean", "--days", "1", "--yes", said=told) == ""


# What the README says


def commands() -> list[str]:
    return list(cli.COMMANDS)


def test_the_commands_are_those_of_the_design() -> None:
    assert (
        commands() == "models data import measure run sensitivity sweep distill tune study report export serve".split()
    )


@pytest.mark.parametrize("name", commands())
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"espalier {name}" in README.read_text()


def test_the_readme_names_no_other_command() -> None:
    named = set(re.findall(r"`espalier ([a-z]+)", README.read_text()))
    assert named == set(commands())


@pytest.mark.parametrize("name", commands())
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: espalier {name}" in capsys.readouterr().out


def test_the_recipes_of_the_readme_run(espalier: Call, recipe: Callable[[str], str]) -> None:
    blocks = [
        text
        for text in re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
        if "stages" in text and "objectives" not in text
    ]
    assert blocks
    for text in blocks:
        body = json.loads(espalier("run", recipe(text), "--json"))
        assert body["final"]["params"] < body["baseline"]["params"]
