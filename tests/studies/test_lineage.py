"""A pipeline beside its controls: what they are, how large, and that they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from compression.models.files import Blueprint
from compression.pipeline import run
from compression.pruning import prunable
from compression.recipe import Distill, Gradual, Lottery, Prune, Recipe, Sparsify, Stage, Train
from compression.registry import UserError
from compression.studies import jobs
from compression.studies.lineage import Lineage, blind, from_scratch, lineage, weights_left, width_for
from compression.studies.sweep import sweep
from compression.subject import load_subject

HALF = Prune(granularity="channels", scope="layer", sparsity=0.5)


def recipe(*stages: Stage, model: str = "digits-cnn") -> Recipe:
    return Recipe(model=model, stages=stages)


@pytest.mark.parametrize(
    "stages",
    [
        (HALF, Train(epochs=1)),
        (Prune(sparsity=0.7), HALF),
        (Gradual(sparsity=0.8, rounds=2, epochs=1),),
        (Gradual(schedule="dense_sparse_dense", sparsity=0.8, rounds=3, epochs=1),),
        (HALF, Distill(student="narrower", width=0.25, epochs=1)),
    ],
)
def test_the_weights_that_a_recipe_leaves_are_known_without_training(stages: tuple[Stage, ...]) -> None:
    subject = load_subject("digits-cnn")
    final = run(recipe(*stages), split="val").model()
    zeros = sum(int((layer.weight == 0).sum()) for layer in prunable(final).values())
    measured = sum(p.numel() for p in final.parameters()) - zeros
    assert weights_left(recipe(*stages), subject) == pytest.approx(measured, rel=0.001)


def test_the_dense_control_has_the_size_and_the_epochs_of_the_pipeline() -> None:
    subject = load_subject("digits-cnn")
    pipeline = recipe(Prune(sparsity=0.8), Train(epochs=2), Lottery(sparsity=0.8, rounds=2, epochs=3, augment="jitter"))
    control = from_scratch(pipeline)
    assert control is not None
    stage = control.stages[0]
    assert isinstance(stage, Distill)
    assert (stage.alpha, stage.student, stage.epochs) == (0.0, "narrower", 2 + 3 * 3)
    size = weights_left(control, subject)
    assert size == pytest.approx(weights_left(pipeline, subject), rel=0.05)


def test_a_width_is_found_for_any_size() -> None:
    blueprint = load_subject("digits-mlp").blueprint
    assert width_for(blueprint, 17_226) == pytest.approx(1.0, abs=0.01)
    assert width_for(blueprint, 1) == pytest.approx(0.0001, abs=0.001), "one unit a layer is the least there is"


def test_where_nothing_is_trained_there_is_no_dense_control() -> None:
    assert from_scratch(recipe(HALF)) is None


def test_an_architecture_without_a_narrower_twin_goes_without_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="Architecture 'torchvision' cannot be made narrower"):
        width_for(Blueprint("torchvision", {"name": "resnet18", "num_classes": 10}, (3, 32, 32)), 1000)

    def rigid(blueprint: Blueprint, params: int) -> float:
        raise UserError("it cannot be made narrower")

    monkeypatch.setattr("compression.studies.lineage.width_for", rigid)
    plan = lineage(recipe(HALF, Train(epochs=1)))
    assert plan.scratch is None
    assert plan.left_out() == ("no dense control: it cannot be made narrower",)
    with pytest.raises(UserError, match="Unknown layer in overrides 'nope'"):
        lineage(recipe(Prune(sparsity=0.5, overrides={"nope": 0.1}), Train(epochs=1)))


def test_blind_stages_keep_all_but_the_criterion() -> None:
    stages = (HALF, Prune(threshold=0.1), Lottery(), Sparsify(), Gradual(sparsity=0.5, criterion="taylor"))
    found = blind(recipe(*stages))
    assert found is not None
    assert [getattr(stage, "criterion", getattr(stage, "ticket", None)) for stage in found.stages] == [
        "random", "magnitude", "shuffled", None, "random",
    ]  # fmt: skip
    assert blind(recipe(Train())) is None


def test_points_are_the_pipeline_and_its_controls_for_every_seed() -> None:
    plan = lineage(recipe(HALF, Train(epochs=1)), seeds=2)
    assert [(p.coordinates["run"], p.recipe.seed) for p in plan.points()] == [
        ("pipeline", 0), ("pipeline", 1), ("random", 0), ("random", 1), ("scratch", 0), ("scratch", 1),
    ]  # fmt: skip
    assert [p.index for p in plan.points()] == list(range(6))
    assert len(lineage(recipe(HALF), controls=False).points()) == 1
    with pytest.raises(UserError, match="The pipeline has no stages"):
        lineage(recipe())


def test_a_lineage_keeps_its_result_its_epochs_and_every_stage(data_root: Path) -> None:
    plan = Lineage(recipe=recipe(HALF, Train(epochs=1)), latency=False, split="val")
    folder = data_root / "sweeps" / "abc"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    (done,) = sweep(plan, folder=folder)
    assert done.row is not None
    result = jobs.result("abc", 0)
    assert result is not None
    assert result.final.accuracy == done.row["accuracy"]
    assert [stage.stage for stage in result.stages] == [HALF, Train(epochs=1)]
    assert len(jobs.epochs("abc")) == 1
    for number in range(2):
        assert jobs.weights("abc", number, "stage").is_file()
    assert jobs.result("abc", 1) is None
