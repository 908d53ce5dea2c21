"""The points of a sweep, counted by hand."""

from __future__ import annotations

import pytest

from compression.recipe import Prune, Recipe, Train, validated
from compression.registry import UserError
from compression.studies.plan import Sweep


def sweep(**settings: object) -> Sweep:
    found: Sweep = validated(Sweep, {"model": "digits-mlp", **settings})
    return found


def coordinates(plan: Sweep) -> list[tuple[str, str, float, int]]:
    return [
        tuple(p.coordinates[key] for key in ("granularity", "criterion", "sparsity", "seed")) for p in plan.points()
    ]


def test_a_grid_is_the_baseline_and_every_combination_in_order() -> None:
    plan = sweep(granularities=("weights", "channels"), criteria=("magnitude", "l2"), sparsities=(0.5, 0.25))
    expected = [("baseline", "", 0.0, 0)]
    for granularity in ("weights", "channels"):
        for criterion in ("magnitude", "l2"):
            expected += [(granularity, criterion, sparsity, 0) for sparsity in (0.25, 0.5)]
    assert coordinates(plan) == expected
    assert [point.index for point in plan.points()] == list(range(9))


def test_sparsity_0_is_the_baseline_and_sparsities_count_once() -> None:
    with_zero = sweep(granularities=("weights",), sparsities=(0, 0.5, 0.5, 0.9))
    assert coordinates(with_zero) == [
        ("baseline", "", 0.0, 0), ("weights", "magnitude", 0.5, 0), ("weights", "magnitude", 0.9, 0),
    ]  # fmt: skip
    assert coordinates(sweep(sparsities=(0,))) == [("baseline", "", 0.0, 0)]


@pytest.mark.parametrize(("pattern", "sparsity"), [("2:4", 0.5), ("1:4", 0.75), ("4:8", 0.5)])
def test_a_pattern_is_one_point_at_its_own_sparsity(pattern: str, sparsity: float) -> None:
    plan = sweep(granularities=(pattern,), sparsities=(0.1, 0.2, 0.3))
    assert coordinates(plan)[1:] == [(pattern, "magnitude", sparsity, 0)]


def test_seeds_are_run_only_where_something_is_random() -> None:
    plan = sweep(granularities=("weights",), criteria=("magnitude", "random"), sparsities=(0.5,), seeds=3)
    assert coordinates(plan)[1:] == [
        ("weights", "magnitude", 0.5, 0), *(("weights", "random", 0.5, seed) for seed in range(3))
    ]  # fmt: skip
    trained = sweep(granularities=("weights",), sparsities=(0.5,), seeds=3, epochs=1)
    assert [point.coordinates["seed"] for point in trained.points()] == [0, 0, 1, 2]


def test_a_criterion_that_cannot_rank_a_granularity_is_left_out_and_said() -> None:
    plan = sweep(granularities=("weights", "channels"), criteria=("l2", "batchnorm"), sparsities=(0.5,))
    assert coordinates(plan)[1:] == [
        ("weights", "l2", 0.5, 0), ("channels", "l2", 0.5, 0), ("channels", "batchnorm", 0.5, 0),
    ]  # fmt: skip
    assert plan.left_out() == ("batchnorm cannot rank weights",)
    assert sweep().left_out() == ()


def test_a_point_holds_the_recipe_that_makes_it() -> None:
    plan = sweep(
        data="digits", granularities=("rows",), scope="layer", sparsities=(0.5,), epochs=2, lr=0.1, round_to=4, seeds=2
    )
    last = plan.points()[-1]
    stage = Prune(granularity="rows", criterion="magnitude", scope="layer", sparsity=0.5, round_to=4)
    assert last.recipe == Recipe(model="digits-mlp", data="digits", seed=1, stages=(stage, Train(epochs=2, lr=0.1)))
    assert last.row() == {
        "point": 2, "model": "digits-mlp", "granularity": "rows", "criterion": "magnitude", "scope": "layer",
        "sparsity": 0.5, "epochs": 2, "seed": 1,
    }  # fmt: skip
    assert last.label == "rows by magnitude at 50 %, seed 1"
    assert plan.points()[0].recipe == Recipe(model="digits-mlp", data="digits")
    assert plan.points()[0].label == "baseline"


def test_a_plan_survives_json() -> None:
    plan = sweep(granularities=("2:4", "kernels"), criteria=("random",), sparsities=(0.1, 0.3), limit=5, seeds=2)
    assert Sweep.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"granularities": ("wieghts",)}, "Unknown granularity 'wieghts' (did you mean 'weights'?); choose one of: "),
        ({"criteria": ("magnitude", "magnitud")}, "Unknown criterion 'magnitud' (did you mean 'magnitude'?); choose"),
        ({"scope": "globl"}, "Unknown scope 'globl' (did you mean 'global'?); choose one of: layer, global"),
        ({"split": "train"}, "Unknown split 'train'; choose one of: val, test"),
        ({"sparsities": (0.5, 1.0)}, "sparsity is 1; in a sweep it must lie in [0, 1)"),
        ({"sparsities": (-0.1,)}, "sparsity is -0.1; in a sweep it must lie in [0, 1)"),
        ({"sparsities": (float("nan"),)}, "sparsities.0 is nan; it should be a finite number"),
        ({"sparsities": ()}, "sparsities is empty; give at least one"),
        ({"granularities": ()}, "granularities is empty; give at least one"),
        ({"granularities": 7}, "granularities is 7; it should be a"),
        ({"granularities": "weights"}, "granularities is 'weights'; it should be a"),
        ({"granularities": ([],)}, "Unknown granularity []; choose one of: "),
        ({"criteria": ("median",), "granularities": ("2:4",)}, "criterion median cannot rank 2:4; choose one of: m"),
        ({"epochs": -1}, "epochs is -1; it should be greater than or equal to 0"),
        ({"seeds": "many"}, "seeds is 'many'; it should be a valid integer"),
        ({"limit": 0}, "limit is 0; it should be greater than or equal to 1"),
    ],
)
def test_bad_plans_are_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        sweep(**settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_names_given_twice_count_once() -> None:
    plan = sweep(granularities=["weights", "weights"], criteria=["l2", "l2"], sparsities=[0.5])
    assert coordinates(plan)[1:] == [("weights", "l2", 0.5, 0)]
