"""Models of your own: kept under a name, and used wherever a sample model's name goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torchvision

from compression import Distill, Prune, Recipe, Train, load_model, run
from compression.cli import main
from compression.distillation.students import STUDENTS
from compression.library import add_model
from compression.models.own import RESERVED, home_data, own_card, own_models, remove_model
from compression.models.samples import SAMPLES
from compression.models.zoo import available, blueprint_of, cards, model_card
from compression.registry import UserError
from compression.studies.keys import key_of
from compression.studies.study import Study
from compression.subject import load_subject


def small(name: str = "mine") -> dict[str, object]:
    return add_model(name, "mlp", {"inputs": 64, "hidden": [8]}, data="digits")


def test_a_model_goes_by_its_name_with_the_classes_and_input_of_its_data(data_root: Path) -> None:
    card = small()
    assert (card["classes"], card["input_shape"], card["data"]) == (10, [1, 8, 8], "digits")
    assert own_models() == ("mine",) and available()[-1] == "mine" and home_data("mine") == "digits"
    assert model_card("mine") == own_card("mine") == json.loads((data_root / "models" / "mine.json").read_text())
    assert load_model("mine")(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert load_subject("mine").dataset.name == "digits"


def test_weights_of_torchvision_come_through_with_their_outputs(data_root: Path, tmp_path: Path) -> None:
    net = torchvision.models.mobilenet_v3_small(num_classes=3).eval()
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    add_model("theirs", "torchvision:mobilenet_v3_small", input_shape=(3, 32, 32), weights=tmp_path / "weights.pt")
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(load_model("theirs")(images), net(images))
    with pytest.raises(UserError, match="^Model 'theirs' has no data set of its own; name one as data$"):
        load_subject("theirs")


def test_recipes_prune_it_teach_with_it_and_make_students_of_it(data_root: Path) -> None:
    small()
    result = run(Recipe(model="mine", stages=(Prune(sparsity=0.5), Train(epochs=1))))
    assert result.final.nonzero < result.baseline.nonzero
    taught = run(Recipe(model="digits-mlp", stages=(Distill(student="mine", epochs=1),)))
    assert taught.final.params == result.baseline.params


def test_what_is_under_a_name_is_part_of_a_measurement_s_key(data_root: Path) -> None:
    study = Study(name="s", model="mine", stages=({"kind": "prune", "sparsity": 0.5},))
    recipe = Recipe(model="mine")
    small()
    first, subject = key_of(recipe, study), load_subject("mine")
    remove_model("mine")
    add_model("mine", "mlp", {"inputs": 64, "hidden": [9]}, data="digits")
    assert key_of(recipe, study) != first
    assert load_subject("mine") is not subject


@pytest.mark.parametrize("name", [*SAMPLES, *RESERVED, "x.safetensors"])
def test_a_name_that_has_a_meaning_is_refused(name: str, data_root: Path) -> None:
    with pytest.raises(UserError, match=f"^name is '{name}', which has a meaning of its own; choose no file's name"):
        add_model(name, "mlp", data="digits")


def test_every_word_for_a_student_is_reserved() -> None:
    assert set(STUDENTS) <= set(RESERVED)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "\u202egnp", "<b>x</b>", "x" * 65, ".hidden", "a\nb", "a\0b"])
def test_a_name_that_is_not_plain_is_one_line_and_writes_nothing(name: str, data_root: Path) -> None:
    with pytest.raises(UserError, match="^name is .* it must be 1 to 64 letters, digits, spaces, dots, _ or -$"):
        add_model(name, "mlp", data="digits")
    assert not list(data_root.iterdir())


def test_a_name_is_taken_once_and_free_again_when_removed(data_root: Path) -> None:
    small()
    with pytest.raises(UserError, match="^There is a model 'mine' already; choose another name, or delete that"):
        small()
    remove_model("mine")
    assert own_models() == () and not list((data_root / "models").iterdir())
    with pytest.raises(UserError, match="^There is no model of your own here; make one with: espalier import"):
        remove_model("mine")
    with pytest.raises(UserError, match="^Unknown model 'mine'; choose one of: digits-cnn"):
        load_model("mine")


def test_a_damaged_card_is_one_line_that_says_how_to_be_rid_of_it(data_root: Path) -> None:
    small()
    (data_root / "models" / "mine.json").write_text("[")
    with pytest.raises(UserError, match="^The card of model 'mine' is damaged; remove it: espalier models rm 'mine'"):
        model_card("mine")
    (data_root / "models" / "mine.json").write_text('{"name": "mine"}')
    with pytest.raises(UserError, match="^The card of model 'mine' is damaged"):
        blueprint_of("mine")
    assert "mine" not in available()
    assert cards()[-1]["name"] == "mine" and "is damaged; remove it" in cards()[-1]["sentence"]
    remove_model("mine")


def test_an_import_that_fails_leaves_nothing(data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"no weights")
    with pytest.raises(UserError, match="is not a whole file of tensors"):
        add_model("mine", "mlp", {"inputs": 64, "hidden": [8]}, data="digits", weights=tmp_path / "w.pt")
    assert own_models() == () and not list((data_root / "models").glob("*"))


def test_a_model_that_is_too_large_is_refused_before_it_takes_memory(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []
    monkeypatch.setattr("compression.models.imports.initialised", built.append)
    monkeypatch.setenv("ESPALIER_UPLOADS_GB", "1")
    with pytest.raises(UserError, match="^What you brought takes 0 GB of your 1 GB, and this needs 1.61 GB more"):
        add_model("big", "mlp", {"inputs": 64, "hidden": [20_000, 20_000]}, data="digits")
    assert not built


def test_the_command_line_adds_lists_and_removes(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["import", "mlp", "--config", '{"inputs": 64, "hidden": [8]}', "--data", "digits", "--name", "mine"]) == 0
    )
    assert "'mine' is a model now" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["measure", "mine", "--no-latency", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 359
    assert main(["models", "rm", "mine"]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert main(["models", "rm", "mine", "--yes"]) == 0
    assert own_models() == ()
