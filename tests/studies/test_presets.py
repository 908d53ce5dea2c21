"""Studies ready to run: they fit their model, and a tuned one asks for what was said."""

from __future__ import annotations

import pytest

from compression.registry import UserError
from compression.studies import control, store
from compression.studies.plan import Sweep
from compression.studies.presets import STUDY_PRESETS, autotune, first_look, sweep_study
from compression.studies.proposals import outlook, proposals
from compression.subject import Subject, baseline, load_subject


@pytest.fixture
def subject() -> Subject:
    return load_subject("digits-cnn", "digits")


@pytest.mark.parametrize("model", ["digits-mlp", "digits-cnn", "digits-vit"])
@pytest.mark.parametrize("key", STUDY_PRESETS)
def test_every_preset_fits_every_kind_of_model(key: str, model: str) -> None:
    study = STUDY_PRESETS[key].build(load_subject(model, "digits"))
    found = outlook(study)
    assert (study.model, found.left_out) == (model, ()) and 6 <= found.trials <= 60
    assert type(study).from_yaml(study.to_yaml()) == study


def test_a_sweep_is_the_same_points_as_a_study(subject: Subject) -> None:
    plan = Sweep(
        model="digits-cnn", data="digits", granularities=("weights", "2:4", "channels"), criteria=("magnitude", "lamp"),
        sparsities=(0, 0.3, 0.6), epochs=2, seeds=2, limit=100,
    )  # fmt: skip
    study = sweep_study(plan, "a sweep")
    points = {point.recipe.digest() for point in plan.points() if point.recipe.stages}
    assert {one.recipe.digest() for one in proposals(study) if one.recipe} == points
    assert len(points) == len(plan.points()) - 1
    assert (study.limit, study.seeds, study.split) == (100, 2, "val")


def test_a_search_for_the_smallest_asks_for_what_was_said(subject: Subject) -> None:
    study = autotune(subject, "packed_bytes", lose=0.01, within="macs <= 100 K", epochs=2, trials=12)
    start = baseline(subject, "val", None)[1].accuracy
    accuracy, work = study.bounds
    assert accuracy.least == pytest.approx(start - 0.01, abs=1e-4) and work.most == 100_000
    assert (study.objectives, study.trials, study.halving) == (("accuracy", "packed_bytes"), 12, True)
    assert set(study.recipes) == {"channels", "weights"}
    assert all(stages[-1]["epochs"] == 2 for stages in study.recipes.values())


def test_a_search_may_end_every_recipe_in_int8(subject: Subject) -> None:
    study = autotune(subject, "packed_bytes", epochs=1, rounded=True)
    assert set(study.recipes) == {"channels", "weights", "channels int8", "weights int8", "int8 alone"}
    last = {"kind": "quantize", "mode": {"choose": ["static", "dynamic"]}}
    assert study.recipes["channels int8"] == (*study.recipes["channels"], last)
    assert study.recipes["int8 alone"] == (last,)


def test_a_search_for_speed_cuts_units_and_times_them(subject: Subject) -> None:
    study = autotune(subject, "speedup", epochs=0)
    assert study.latency and "weights" not in study.recipes and not study.halving
    assert all(stage["kind"] != "train" for stages in study.recipes.values() for stage in stages)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"goal": "accuracy"}, "Unknown goal 'accuracy'"),
        ({"lose": 1.5}, r"lose is 1.5; it must lie in \[0, 1\)"),
        ({"within": "size < 3"}, "write a metric, >= or <=, and a number"),
        ({"trials": 0}, "trials is 0; it should be greater than or equal to 1"),
        ({"lose": 0.01, "within": "accuracy <= 10 %"}, "contradict each other"),
    ],
)
def test_a_search_that_cannot_be_is_one_line(subject: Subject, asked: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        autotune(subject, **asked)


@pytest.mark.usefixtures("own_store")
def test_another_plan_of_the_same_name_gets_a_number(subject: Subject) -> None:
    study = first_look(subject)
    assert control.distinct(study) == study
    store.create(study)
    assert control.distinct(study) == study
    other = study.model_copy(update={"seed": 1})
    assert control.distinct(other).name == "digits-cnn first look 2"
    store.create(control.distinct(other))
    assert control.distinct(other).name == "digits-cnn first look 2"
    assert control.distinct(study.model_copy(update={"seed": 2})).name == "digits-cnn first look 3"
