"""Plans of distillations: which points they have, and what a job of one leaves behind."""

from __future__ import annotations

import time

import pytest
import torch

from compression.data.sets import load_data
from compression.models.files import load_weights
from compression.models.zoo import load_model
from compression.recipe import Distill, Prune, Recipe, validated
from compression.registry import UserError
from compression.studies import jobs
from compression.studies.teaching import Teaching
from compression.training import normalise

STUDENT = Distill(student="mlp", hidden=(12,), epochs=2, lr=0.1)


def teaching(**settings: object) -> Teaching:
    found: Teaching = validated(Teaching, {"model": "digits-mlp", "data": "digits", "stage": STUDENT, **settings})
    return found


def test_every_seed_has_its_student_alone_beside_all_ways_of_teaching() -> None:
    plan = teaching(methods=("soft_targets", "logits"), temperatures=(4, 1), alphas=(0.5, 1), seeds=2)
    keys = ("method", "temperature", "alpha", "seed")
    found = [tuple(point.coordinates[key] for key in keys) for point in plan.points()]
    soft = [("soft_targets", t, a, seed) for a in (0.5, 1.0) for t in (1.0, 4.0) for seed in (0, 1)]
    # Matching logits knows no temperature: one point for each alpha and seed.
    plain = [("logits", None, a, seed) for a in (0.5, 1.0) for seed in (0, 1)]
    assert found == [("teacher", None, 0.0, 0), *(("alone", None, 0.0, seed) for seed in (0, 1)), *soft, *plain]
    assert [point.index for point in plan.points()] == list(range(len(found)))


def test_points_are_called_by_the_labels_of_their_cards() -> None:
    plan = teaching(methods=("soft_targets", "attention"), temperatures=(2.5,), alphas=(0.9,))
    assert [point.label for point in plan.points()] == [
        "teacher",
        "student alone, seed 0",
        "Soft targets, T = 2.5, α = 0.9, seed 0",
        "Attention transfer, α = 0.9, seed 0",
    ]


def test_a_method_named_twice_is_run_once() -> None:
    twice = teaching(methods=("soft_targets", "soft_targets"))
    assert twice.points() == teaching(methods=("soft_targets",)).points()


def test_a_points_recipe_trains_the_stage_after_those_before_it() -> None:
    half = Prune(granularity="rows", sparsity=0.5)
    taught_by = STUDENT.model_copy(update={"teacher": "original"})
    plan = teaching(before=(half,), stage=taught_by, temperatures=(3,), alphas=(0.7,), seeds=1)
    alone, taught = (point.recipe for point in plan.points()[1:])
    assert alone == Recipe(
        model="digits-mlp", data="digits", stages=(half, taught_by.model_copy(update={"alpha": 0.0}))
    )
    changed = taught_by.model_copy(update={"temperature": 3.0, "alpha": 0.7})
    assert taught == Recipe(model="digits-mlp", data="digits", stages=(half, changed))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperatures": (0.0,)}, r"^temperature is 0; it must lie in \(0, 1000\]$"),
        ({"temperatures": (-1, 4)}, "^temperature is -1; "),
        ({"alphas": (0.0,)}, r"^alpha is 0; it must lie in \(0, 1\]; the student alone is always run$"),
        ({"alphas": (1.5,)}, "^alpha is 1.5; "),
        ({"split": "train"}, "^Unknown split 'train'; choose one of: val, test$"),
        ({"before": (Prune(sparsity=0.5),)}, "^teacher is 'auto'; a study compares with its own model: give original$"),
        ({"stage": STUDENT.model_copy(update={"teacher": "digits-cnn"})}, "^teacher is 'digits-cnn'; a study compares"),
        ({"temperatures": ()}, "^temperatures is empty; give at least one$"),
        ({"methods": ()}, "^methods is empty; give at least one$"),
        ({"seeds": 0}, "seeds is 0; it should be greater than or equal to 1"),
    ],
)
def test_a_bad_plan_is_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        teaching(**settings)


@pytest.mark.slow
def test_a_job_leaves_rows_epochs_and_weights_that_agree(data_root: object) -> None:
    name = jobs.start(teaching(temperatures=(4,), alphas=(0.9,), seeds=1, split="test"))
    end = time.monotonic() + 100
    while jobs.state(name).state in jobs.UNDER_WAY and time.monotonic() < end:
        time.sleep(0.1)
    assert jobs.state(name).state == "done", jobs.state(name)
    assert jobs.latest("distill", "digits-mlp", "digits") == name
    assert jobs.latest("prune", "digits-mlp", "digits") is None
    rows, dataset, teacher = jobs.rows(name), load_data("digits"), load_model("digits-mlp")
    assert [row["method"] for row in rows] == ["teacher", "alone", "soft_targets"]
    epochs = jobs.epochs(name)
    assert {(epoch["point"], epoch["epoch"]) for epoch in epochs} == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert {key for epoch in epochs if epoch["point"] == 2 for key in epoch["parts"]} == {"hard", "teacher"}
    x = normalise(dataset.test.images, dataset)
    for row in rows:
        model = load_weights(jobs.weights(name, row["point"])).model
        with torch.no_grad():
            said, taught = model(x).argmax(1), teacher(x).argmax(1)
        assert row["errors"] == int((said != dataset.test.labels).sum())
        assert row["accuracy"] == pytest.approx(1 - row["errors"] / 359)
        assert row["agreement"] == pytest.approx(float((said == taught).float().mean()))
        assert 0 <= row["ece"] < 1
    with pytest.raises(UserError, match=f"^Lesson '{name}' kept no weights of point 99; start it again$"):
        jobs.weights(name, 99)
