"""Studies as plans: the space that they span, their bounds, and every fault in one line."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path

import pytest

from compression.goals import OBJECTIVES, Constraint, feasible
from compression.recipe import Recipe, validated
from compression.registry import UserError
from compression.studies.space import Space, recipe_at
from compression.studies.study import Study

HEAD = "name: first look\nmodel: digits-mlp\n"
GRID = f"""{HEAD}
stages:
- {{kind: prune, granularity: {{choose: [weights, rows]}}, sparsity: {{low: 0.1, high: 0.9, step: 0.2}}}}
- {{kind: train, epochs: {{low: 1, high: 2}}, lr: 0.02}}
constraints: ["accuracy >= 95 %", "packed_bytes <= 30 KB"]
"""


def test_the_study_of_the_readme_is_sound() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)
    (study,) = [Study.from_yaml(text) for text in blocks if "objectives" in text]
    assert (study.name, study.space.size) == ("first look", 14)


def test_a_grid_is_the_product_of_its_open_fields() -> None:
    study = Study.from_yaml(GRID)
    made = {
        (recipe.stages[0].granularity, recipe.stages[0].sparsity, recipe.stages[1].epochs)
        for name, values in study.space.grid()
        for recipe in [recipe_at(study.base, study.space.stages(name, values))]
    }
    assert made == set(product(("weights", "rows"), (0.1, 0.3, 0.5, 0.7, 0.9), (1, 2)))
    assert study.space.size == len(made) == 20


def test_a_list_of_recipes_is_a_space_of_points() -> None:
    prune = {"kind": "prune", "sparsity": {"choose": [0.5, 0.9]}}
    space = Space(recipes={"bare": (prune,), "tuned": (prune, {"kind": "train", "epochs": 1}), "as it is": ()})
    assert [(name, list(values.values())) for name, values in space.grid()] == [
        ("bare", [0.5]), ("bare", [0.9]), ("tuned", [0.5]), ("tuned", [0.9]), ("as it is", []),
    ]  # fmt: skip
    assert space.size == 5


def test_a_field_that_holds_a_list_or_a_mapping_is_not_open() -> None:
    body = {"kind": "prune", "sparsity": 0.5, "overrides": {"layers.0": 0.0}}
    space = Space(recipes={"one": (body,)})
    ((name, values),) = space.grid()
    assert (values, space.stages(name, values)) == ({}, [body])


def test_a_range_without_steps_has_no_grid_but_can_be_searched() -> None:
    stages = ({"kind": "prune", "sparsity": {"low": 0.1, "high": 0.9}},)
    assert Space(recipes={"one": stages}).size == math.inf
    study = Study(name="a", model="m", recipes={"one": stages}, search="tpe", trials=10)
    with pytest.raises(UserError, match=r"a grid needs a step in the range from 0.1 to 0.9"):
        list(study.space.grid())


@pytest.mark.parametrize("text", [GRID, GRID.replace("stages:", "search: nsga2\ntrials: 10\nstages:")])
def test_a_study_comes_back_from_its_yaml(text: str) -> None:
    study = Study.from_yaml(text)
    assert Study.from_yaml(study.to_yaml()) == study
    two = Study.from_yaml(f"{HEAD}recipes:\n  a: []\n  b:\n  - {{kind: recalibrate}}\n")
    assert Study.from_yaml(two.to_yaml()) == two


@pytest.mark.parametrize(
    ("text", "metric", "inside", "outside"),
    [
        ("accuracy >= 98 %", "accuracy", 0.98, 0.9799),
        ("packed_bytes<=100KB", "packed_bytes", 100_000, 100_001),
        ("macs ≤ 1.5 M", "macs", 1_500_000, 1_500_001),
        ("speedup >= 2×", "speedup", 2.0, 1.99),
    ],
)
def test_a_constraint_holds_on_one_side(text: str, metric: str, inside: float, outside: float) -> None:
    bound = Constraint.read(text)
    assert (bound.holds({metric: inside}), bound.holds({metric: outside}), bound.holds({})) == (True, False, None)
    assert Constraint.read(bound.written()) == bound
    assert feasible({metric: inside}, [bound]) and not feasible({}, [bound]) and feasible({}, [])


def test_every_objective_is_a_name_of_a_measured_row() -> None:
    from compression import measure
    from compression.results import Latency

    timing = Latency(
        runtime="onnxruntime", batch=1, speedup=1, speedup_low=1, speedup_high=1, min_ms=1, median_ms=1, p90_ms=1,
        baseline_median_ms=1, pairs=30, threads=1,
    )  # fmt: skip
    measured = measure("digits-mlp", split="val").model_copy(update={"latency": (timing,)})
    assert set(OBJECTIVES) <= set(measured.row())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a/b\nmodel: m\nstages: []", r"name is 'a/b'; it must be 1 to 64 letters, digits, spaces, dots, _ or -"),
        ("name: <b>\nmodel: m\nstages: []", r"name is '<b>'; it must be"),
        (f"name: {'n' * 300}\nmodel: m\nstages: []", r"name is 'n+\.\.\.n+'; it must be"),
        ("name: a\nmodel: m", "recipes is missing"),
        ("name: a\nmodel: m\nrecipes: {}", "recipes is {}; it should not be empty"),
        (f"{HEAD}stages: []\nfoo: 1", "foo is not a field of a study; allowed: name, model, data, recipes"),
        (f"{HEAD}stages: []\nrecipes: {{a: []}}", "stages and recipes are both given; give one of them"),
        (f"{HEAD}stages: [{{kind: prume}}]", r"recipe.1: Unknown stage kind 'prume' \(did you mean 'prune'\?\)"),
        (f"{HEAD}stages: [{{kind: prune, sparsty: 1}}]", r"recipe.1.prune: Unknown field 'sparsty' \(did you mean"),
        (f"{HEAD}stages: [{{kind: prune, sparsity: {{choose: []}}}}]", "1.prune.sparsity is .*should not be empty"),
        (f"{HEAD}stages: [{{kind: prune, sparsity: {{low: 2, high: 1}}}}]", "low is 2 and high 1; low must not be"),
        (f"{HEAD}stages: [{{kind: prune, sparsity: {{low: 0.1}}}}]", "high is missing"),
        (f"{HEAD}stages: [{{kind: {{choose: [prune]}}}}]", "recipe.1: Unknown stage kind"),
        (f"{HEAD}stages: [{{kind: prune, sparsity: {{low: 0.1, high: 0.9}}}}]", "the grid has no end of points; give"),
        (
            f"{HEAD}stages: [{{kind: prune, sparsity: {{low: 0.3, high: 1.9}}}}]",
            r"recipe.1.prune: sparsity is 1.9; it must lie in \(0, 1\)",
        ),
        (f"{HEAD}stages: [{{kind: prune, criterion: {{choose: [magnitud]}}}}]", "recipe.1.prune: Unknown criterion"),
        (
            f"{HEAD}stages: [{{kind: train, epochs: {{low: 0, high: 5}}}}]",
            "recipe.1.train: epochs is 0; it should be greater",
        ),
        (f"{HEAD}stages: []\nconstraints: [accuracy >= 97]", "accuracy is at most 100 %, did you mean 97 %"),
        (f"{HEAD}stages: []\nsearch: tpe", "search tpe has no end; give trials or minutes"),
        (f"{HEAD}stages: []\nobjectives: [speedup]", "speedup is asked for, but not measured; set latency: true"),
        (f"{HEAD}stages: []\nobjectives: [size]", "Unknown objective 'size'; choose one of: accuracy, packed_bytes"),
        (f"{HEAD}stages: []\nconstraints: [small]", "constraint is 'small'; write a metric, >= or <=, and a number"),
        (f"{HEAD}stages: []\nconstraints: [size <= 1]", "Unknown metric in a constraint 'size'"),
        (f"{HEAD}stages: []\nconstraints: [macs <= 1 tons]", "Unknown unit in a constraint 'tons'"),
        (
            f"{HEAD}stages: []\nconstraints: [accuracy >= 99 %, accuracy <= 98 %]",
            "the constraints accuracy >= 0.99 and accuracy <= 0.98 contradict each other",
        ),
        ("[]", "A study is a mapping with name, model and stages; got list"),
        ("a: [", "The study is not valid YAML: line 1, column 5: expected the node content"),
    ],
)  # fmt: skip
def test_every_fault_is_one_line(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        Study.from_yaml(text)
    assert "\n" not in str(fault.value)


def test_a_point_whose_fields_contradict_each_other_says_so() -> None:
    with pytest.raises(UserError, match="the pattern 2:4 fixes"):
        recipe_at(Recipe(model="m"), [{"kind": "prune", "granularity": "2:4", "sparsity": 0.7}])


@pytest.mark.parametrize("name", ["", "a\nb", "a/b", "<b>", "x" * 65])
def test_a_recipe_has_a_plain_name(name: str) -> None:
    with pytest.raises(UserError, match="recipe is named"):
        validated(Study, {"name": "a", "model": "m", "recipes": {name: [{"kind": "prune", "sparsity": 0.5}]}})
