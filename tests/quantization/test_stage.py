"""The stage in a recipe: where it may stand, what is measured after it, and how its file goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compression.export import export_model
from compression.measure import latencies, modelled
from compression.models.quantized import Quantized
from compression.models.zoo import load_model
from compression.pipeline import RunResult, load_result, measure, run
from compression.recipe import Distill, Prune, Quantize, Recalibrate, Recipe, Stage, Train
from compression.registry import UserError
from compression.studies.lineage import from_scratch
from compression.studies.proposals import by_chance

HALF = Prune(granularity="channels", scope="layer", sparsity=0.5)


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(Recipe(model="digits-cnn", stages=(HALF, Recalibrate(), Quantize())))


def test_the_file_itself_is_what_is_measured(result: RunResult) -> None:
    cut, rounded = result.stages[1].measurement, result.final
    model = result.model()
    assert isinstance(model, Quantized)
    assert rounded.file_bytes == len(model.file) < cut.file_bytes / 3
    assert (rounded.params, rounded.nonzero, rounded.macs) == (cut.params, cut.nonzero, cut.macs)
    assert rounded.accuracy == pytest.approx(measure(model, "digits").accuracy) == pytest.approx(cut.accuracy, abs=0.03)
    (note,) = result.stages[2].notes
    assert note.startswith(f"The ONNX file has {rounded.file_bytes:,} bytes, 3.")
    assert note.endswith("times fewer than in float; its ranges are those of 256 training images.")


def test_its_energy_counts_int8_multiplications_as_such(result: RunResult) -> None:
    measured, cut = result.final, result.stages[1].measurement
    assert measured.energy and cut.energy
    # Every MAC here is of a convolution or linear layer: 0.3 pJ instead of 4.6; the weights come from DRAM at 160.
    apart = measured.macs * (4.6 - 0.3) + (cut.memory_bytes - measured.memory_bytes) * 160
    assert cut.energy.energy_mj - measured.energy.energy_mj == pytest.approx(apart * 1e-9, rel=1e-6)
    assert f"{measured.macs:,} int8 MACs × 0.3 pJ" in measured.energy.detail
    assert modelled(10, 0, 0, 4).energy_mj == pytest.approx((6 * 4.6 + 4 * 0.3) * 1e-9)


def test_it_is_saved_loaded_and_exported_as_the_same_file(result: RunResult, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    again = load_result(tmp_path / "run").model()
    x = torch.randn(4, 1, 8, 8)
    assert torch.equal(again(x), result.model()(x))
    card = export_model(tmp_path / "run", tmp_path / "shipped", ["onnx", "safetensors", "packed"])
    assert (tmp_path / "shipped" / "model.onnx").read_bytes() == again.file  # type: ignore[operator]
    assert {about["largest_difference"] for about in card["files"].values()} == {0}
    assert ["ONNX Runtime runs it" in note for note in card["notes"]] == [True]
    assert torch.equal(load_model(tmp_path / "shipped")(x), again(x))
    with pytest.raises(UserError, match=r"^The export with torch\.export failed \(an int8 file .* as onnx\)$"):
        export_model(tmp_path / "run", tmp_path / "shipped", ["torch"])


def test_it_is_timed_in_onnx_runtime_alone(result: RunResult) -> None:
    cut = load_model("digits-cnn")
    timed = latencies({"int8": result.model(), "float": cut}, cut, (1, 8, 8), pairs=2, seconds=0)
    assert [one.runtime for one in timed["int8"]] == ["onnxruntime"]
    assert [one.runtime for one in timed["float"]] == ["eager", "onnxruntime"]


@pytest.mark.parametrize("following", [Train(), Prune(sparsity=0.5), Recalibrate(), Quantize()])
def test_nothing_follows_it(following: Stage) -> None:
    body = {"model": "digits-mlp", "stages": [{"kind": "quantize"}, following.model_dump()]}
    with pytest.raises(UserError, match=f"^stage {following.kind} follows quantize; .* put it last$"):
        Recipe.from_mapping(body)


def test_a_recipe_does_not_start_from_an_int8_file_but_measures_it_and_learns_from_it(
    result: RunResult, tmp_path: Path
) -> None:
    result.save(tmp_path)
    file = str(tmp_path / "model.safetensors")
    assert run(Recipe(model=file, data="digits")).final.accuracy == result.final.accuracy
    with pytest.raises(UserError, match="is quantised, and nothing can change an int8 file; use the float model"):
        run(Recipe(model=file, data="digits", stages=(Train(),)))
    taught = run(Recipe(model="digits-mlp", stages=(Distill(teacher=file, epochs=1, augment="jitter"),)))
    assert not taught.stopped and taught.history[0].parts


def test_recipes_with_it_go_there_and_back_and_those_without_keep_their_digest() -> None:
    recipe = Recipe(model="digits-mlp", stages=(Quantize(mode="dynamic", per_channel=False),))
    assert Recipe.from_yaml(recipe.to_yaml()) == Recipe.from_json(recipe.to_json()) == recipe
    assert "images" not in recipe.to_yaml()
    assert Recipe(model="digits-mlp", stages=(Prune(sparsity=0.5), Train())).digest() == "52b7f16e2c684fe6"
    for field, value, reason in (
        ("mode", "sttic", "did you mean 'static'"),
        ("images", 0, "greater than or equal to 1"),
    ):
        with pytest.raises(UserError, match=reason):
            Recipe.from_mapping({"model": "m", "stages": [{"kind": "quantize", field: value}]})


def test_its_dense_control_is_rounded_too_and_drawn_images_are_chance() -> None:
    recipe = Recipe(model="digits-mlp", stages=(Prune(sparsity=0.5), Train(), Quantize()))
    control = from_scratch(recipe)
    assert control and [stage.kind for stage in control.stages] == ["distill", "quantize"]
    for mode, drawn in (("static", True), ("dynamic", False)):
        stages = (Quantize.model_validate({"mode": mode}),)
        assert by_chance(Recipe(model="digits-mlp", stages=stages)) is drawn
