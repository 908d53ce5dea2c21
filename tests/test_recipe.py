"""Recipes: there and back, the same digest for the same meaning, one line for each fault."""

from __future__ import annotations

import json
import random
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from compression.recipe import (
    Augment,
    Criterion,
    Gradual,
    Granularity,
    Lottery,
    Penalty,
    Prune,
    Recalibrate,
    Recipe,
    Schedule,
    Scope,
    Sparsify,
    Ticket,
    Train,
    fixed_sparsity,
    validated,
)
from compression.registry import UserError


def random_prune(pick: random.Random) -> Prune:
    granularity = pick.choice(get_args(Granularity))
    pattern = fixed_sparsity(granularity)
    amount: dict[str, Any] = {}
    if pattern is None:
        amount = pick.choice([{"sparsity": pick.uniform(1e-6, 1 - 1e-6)}, {"threshold": pick.uniform(1e-9, 9)}])
    overrides = {f"layer{i}.conv": pattern or pick.random() for i in range(pick.randrange(3))}
    return Prune(
        granularity=granularity,
        criterion=pick.choice(get_args(Criterion)),
        scope=pick.choice(get_args(Scope)),
        overrides=overrides,
        round_to=pick.randint(1, 256),
        **amount,
    )


def random_train(pick: random.Random) -> Train:
    return Train(
        epochs=pick.randint(1, 1000),
        lr=pick.uniform(1e-6, 10),
        momentum=pick.uniform(0, 0.999),
        weight_decay=pick.choice([0.0, 1e-4]),
        batch_size=pick.randint(1, 65536),
        augment=pick.choice(get_args(Augment)),
    )


def random_other(pick: random.Random) -> Recalibrate | Gradual | Lottery | Sparsify:
    return pick.choice(
        [
            Recalibrate(biases=pick.random() < 0.5, images=pick.randint(2, 9999)),
            Gradual(
                sparsity=pick.uniform(0.1, 0.9), schedule=pick.choice(get_args(Schedule)), rounds=pick.randint(1, 9)
            ),
            Lottery(sparsity=pick.uniform(0.1, 0.9), rewind=pick.randrange(5), ticket=pick.choice(get_args(Ticket))),
            Sparsify(penalty=pick.choice(get_args(Penalty)), strength=pick.uniform(1e-9, 9), epochs=pick.randint(1, 9)),
        ]
    )


def random_recipe(seed: int) -> Recipe:
    pick = random.Random(seed)
    kinds = (random_prune, random_train, random_other)
    stages = tuple(pick.choice(kinds)(pick) for _ in range(pick.randrange(5)))
    return Recipe(
        model=pick.choice(["digits-mlp", "a: b # c", "naïve — 网络", "yes", "1e3"]),
        data=pick.choice([None, "digits", "null"]),
        seed=pick.choice([0, pick.randrange(2**31)]),
        stages=stages,
    )


@pytest.mark.parametrize("seed", range(60))
def test_any_recipe_comes_back_from_json_and_yaml_equal(seed: int) -> None:
    recipe = random_recipe(seed)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    # A plain reader of either format sees the same fields, so other tools can read our files.
    assert Recipe.from_mapping(json.loads(recipe.to_json())) == recipe
    assert Recipe.from_mapping(yaml.safe_load(recipe.to_yaml())) == recipe


def test_digests_tell_recipes_apart() -> None:
    recipes = {random_recipe(seed).to_json() for seed in range(200)}
    assert len({Recipe.from_json(text).digest() for text in recipes}) == len(recipes)


def test_a_digest_never_changes() -> None:
    # Results on disk are found by it: if this literal must change, every stored result is lost.
    # It is the head of `sha256sum` of the JSON with sorted keys, without what is left at its default,
    # so that a new field with a default changes no digest.
    recipe = Recipe(
        model="mnist-lenet-5",
        stages=(Prune(granularity="channels", sparsity=0.5), Train(epochs=3)),
    )
    assert recipe.digest() == "9ac6cc44180b5d39"


def test_a_digest_depends_on_what_is_meant_and_not_on_how_it_is_written() -> None:
    spelled_out = """
        seed: 0
        data: null
        stages: [{sparsity: 0.50, kind: prune, overrides: {b: 0.1, a: 0}, scope: global, round_to: 8}]
        model: m
    """
    short = "model: m\nstages:\n- {kind: prune, sparsity: 5.0e-1, overrides: {a: 0.0, b: 0.1}}\n"
    assert Recipe.from_yaml(spelled_out).digest() == Recipe.from_yaml(short).digest()


def test_yaml_leaves_out_what_is_left_at_its_default() -> None:
    recipe = Recipe(model="m", stages=(Prune(sparsity=0.5), Train()))
    body = {"model": "m", "stages": [{"kind": "prune", "sparsity": 0.5}, {"kind": "train"}]}
    assert yaml.safe_load(recipe.to_yaml()) == body


def test_the_recipe_of_the_readme_is_read_as_it_stands() -> None:
    recipe = Recipe.from_yaml(
        "model: mnist-lenet-5\ndata: mnist\nseed: 0\nstages:\n"
        "- {kind: prune, granularity: channels, criterion: magnitude, scope: global, sparsity: 0.5}\n"
        "- {kind: train, epochs: 3}\n"
    )
    assert recipe.stages == (Prune(granularity="channels", sparsity=0.5), Train(epochs=3))


PRUNE_FAULTS = [
    ({"sparsity": 0}, "stages.0: sparsity is 0; it must lie in (0, 1), ends excluded"),
    ({"sparsity": 1}, "stages.0: sparsity is 1; it must lie in (0, 1), ends excluded"),
    ({"sparsity": -0.1}, "stages.0: sparsity is -0.1; it must lie in (0, 1), ends excluded"),
    ({"sparsity": float("nan")}, "stages.0.sparsity is nan; it should be a finite number"),
    ({"sparsity": "half"}, "stages.0.sparsity is 'half'; it should be a valid number"),
    ({"threshold": 0}, "stages.0: threshold is 0; it must be greater than 0"),
    ({"threshold": float("inf")}, "stages.0.threshold is inf; it should be a finite number"),
    (
        {"sparsity": 0.5, "threshold": 0.1},
        "stages.0: sparsity (0.5) and threshold (0.1) are both given; give one of them",
    ),
    ({}, "stages.0: neither sparsity nor threshold is given; give one of them"),
    ({"sparcity": 0.5}, "stages.0.sparcity is not a field of a recipe; allowed: kind, granularity, criterion, scope,"),
    ({"sparsity": 0.5, "granularity": "channel"}, "Unknown granularity 'channel' (did you mean 'channels'?); choose"),
    ({"sparsity": 0.5, "granularity": ["weights"]}, "Unknown granularity ['weights']; choose one of: weights, 2:4"),
    ({"sparsity": 0.5, "criterion": "magnitud"}, "Unknown criterion 'magnitud' (did you mean 'magnitude'?); choose"),
    ({"sparsity": 0.5, "scope": "all"}, "Unknown scope 'all'; choose one of: layer, global"),
    ({"sparsity": 0.5, "round_to": 0}, "stages.0.round_to is 0; it should be greater than or equal to 1"),
    ({"sparsity": 0.5, "overrides": {"fc": 1}}, "stages.0: overrides['fc'] is 1; it must lie in [0, 1)"),
    ({"sparsity": 0.5, "overrides": {"fc": float("nan")}}, "stages.0.overrides.fc is nan; it should be a finite"),
    ({"sparsity": 0.5, "overrides": [1]}, "stages.0.overrides is [1]; it should be a mapping"),
    ({"granularity": "2:4", "sparsity": 0.6}, "stages.0: sparsity is 0.6 but the pattern 2:4 fixes it at 0.5"),
    ({"granularity": "1:4", "threshold": 0.1}, "stages.0: threshold is 0.1 but the pattern 1:4 fixes the sparsity"),
    ({"granularity": "4:8", "overrides": {"fc": 0.3}}, "stages.0: overrides of the pattern 4:8 must be 0 or 0.5"),
]
TRAIN_FAULTS = [
    ({"epochs": 0}, "stages.0.epochs is 0; it should be greater than or equal to 1"),
    ({"epochs": "many\nlines"}, "stages.0.epochs is 'many\\nlines'; it should be a valid integer"),
    ({"epoch": 3}, "stages.0.epoch is not a field of a recipe; allowed: kind, epochs, lr, momentum,"),
    ({"lr": 0}, "stages.0.lr is 0; it should be greater than 0"),
    ({"momentum": 1}, "stages.0.momentum is 1; it should be less than 1"),
    ({"augment": "flip"}, "Unknown augment 'flip' (did you mean 'crop_flip'?); choose one of: none, jitter, crop_"),
]
OTHER_FAULTS = [
    ({"kind": "gradual"}, "stages.0: sparsity is missing; give the one to end with"),
    ({"kind": "gradual", "sparsity": 0.5, "granularity": "2:4"}, "stages.0: the pattern 2:4 fixes its sparsity, so it"),
    ({"kind": "gradual", "sparsity": 0.5, "end": 0.5}, "stages.0: end is 0.5 with restart; rounds that fine-tune"),
    (
        {"kind": "gradual", "sparsity": 0.5, "rounds": 300, "epochs": 2},
        "stages.0: rounds is 300 in 2 epochs; give",
    ),
    (
        {"kind": "gradual", "sparsity": 0.5, "schedule": "cubik"},
        "Unknown schedule 'cubik' (did you mean 'cubic'?)",
    ),
    ({"kind": "gradual", "sparsity": 0.5, "threshold": 0.1}, "stages.0.threshold is not a field of a recipe; allowed:"),
    ({"kind": "lottery", "rewind": 5}, "stages.0: rewind is 5; it must be less than epochs, 5"),
    (
        {"kind": "lottery", "ticket": "losing"},
        "Unknown ticket 'losing'; choose one of: winning, reini",
    ),
    ({"kind": "sparsify", "strength": 0}, "stages.0.strength is 0; it should be greater than 0"),
    ({"kind": "sparsify", "penalty": "l3"}, "Unknown penalty 'l3'"),
    ({"kind": "sparsify", "ramp": "steep"}, "Unknown ramp 'steep'; choose one of: constant, linear"),
    ({"kind": "recalibrate", "batchnorm": False}, "stages.0: batchnorm and biases are both off; switch one of them on"),
]
RECIPE_FAULTS = [
    (None, "A recipe is a mapping with model, data, seed and stages; got NoneType"),
    ([1], "A recipe is a mapping with model, data, seed and stages; got list"),
    ({}, "model is missing"),
    ({"model": 3}, "model is 3; it should be a valid string"),
    ({"model": "m", "seed": -1}, "seed is -1; it should be greater than or equal to 0"),
    ({"model": "m", "sed": 1}, "sed is not a field of a recipe; allowed: model, data, seed, stages"),
    ({"model": "m", 1: 2}, "1 is not a field of a recipe; allowed: model, data, seed, stages"),
    ({"model": "m", "a\nb": 2}, "a b is not a field of a recipe; allowed: model, data, seed, stages"),
    ({"model": "m", "k" * 9999: 2}, f"{'k' * 80} is not a field of a recipe; allowed: model, data, seed, stages"),
    ({"model": "m", "stages": {}}, "stages is {}; it should be a list"),
    ({"model": "m", "stages": ["prune"]}, "stages.0 is 'prune'; it should be a mapping"),
    (
        {"model": "m", "stages": [{}]},
        "stages.0 has no kind; choose one of: prune, recalibrate, train, gradual",
    ),
    ({"model": "m", "stages": [{"kind": "prun"}]}, "Unknown stage kind 'prun' (did you mean 'prune'?); choose one of"),
    (
        {"model": "m", "stages": [{"kind": "train"}, {"kind": "prune", "sparsity": 2}]},
        "stages.1: sparsity is 2; it must lie in (0, 1)",
    ),
]
FAULTS = (
    [({"model": "m", "stages": [{"kind": "prune", **body}]}, line) for body, line in PRUNE_FAULTS]
    + [({"model": "m", "stages": [{"kind": "train", **body}]}, line) for body, line in TRAIN_FAULTS]
    + [({"model": "m", "stages": [body]}, line) for body, line in OTHER_FAULTS]
    + RECIPE_FAULTS
)


@pytest.mark.parametrize(("body", "line"), FAULTS, ids=[line[:50] for _, line in FAULTS])
def test_each_fault_is_one_line_that_names_it(body: Any, line: str) -> None:
    with pytest.raises(UserError) as fault:
        Recipe.from_mapping(body)
    assert str(fault.value).startswith(line)
    assert "\n" not in str(fault.value)


DEEP = "[" * 50_000
# Nine levels of nine references: 387 million leaves when written out.
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "The recipe is not valid JSON: Expecting property name"),
        ("", "The recipe is not valid JSON: Expecting value"),
        ('{"model": "m"}x', "The recipe is not valid JSON: Extra data"),
        (DEEP, "The recipe is not valid JSON: maximum recursion depth exceeded"),
        ('{"seed": ' + "9" * 5000 + "}", "The recipe is not valid JSON: Exceeds the limit"),
        ('{"model": "m", "stages": [{"kind": "prune", "sparsity": NaN}]}', "stages.0.sparsity is nan; it should"),
    ],
)
def test_what_is_no_recipe_in_json_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as fault:
        Recipe.from_json(text)
    assert str(fault.value).startswith(line) and "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "The recipe is not valid YAML: line 1, column 5: expected the node content"),
        ("model: m\n stages: x", "The recipe is not valid YAML: line 2, column 8: mapping values are not allowed here"),
        (
            "!!python/object/apply:os.getcwd []",
            "The recipe is not valid YAML: line 1, column 1: could not determine a constructor",
        ),
        ("seed: 2020-13-01", "The recipe is not valid YAML: month must be in 1..12"),
        ("{[a]: b}", "The recipe is not valid YAML: line 1, column 2: found unhashable key"),
        (DEEP[:1500], "The recipe is not valid YAML: maximum recursion depth exceeded"),
        ("", "A recipe is a mapping with model, data, seed and stages; got NoneType"),
        (BOMB + "model: *i", "model is [["),
        (BOMB + "model: m\nstages: [{kind: prune, sparsity: 0.5, scope: *i}]", "Unknown scope [["),
    ],
)
def test_what_is_no_recipe_in_yaml_is_one_short_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as fault:
        Recipe.from_yaml(text)
    assert str(fault.value).startswith(line) and "\n" not in str(fault.value)
    assert len(str(fault.value)) < 1000


def test_a_stage_by_itself_gives_the_same_line_without_a_place() -> None:
    with pytest.raises(UserError, match=r"^sparsity is 1; it must lie in \(0, 1\), ends excluded$"):
        validated(Prune, {"sparsity": 1})


@pytest.mark.parametrize(("granularity", "fixed"), [("2:4", 0.5), ("1:4", 0.75), ("4:8", 0.5), ("channels", None)])
def test_a_pattern_fixes_its_sparsity(granularity: str, fixed: float | None) -> None:
    # Of every M weights N stay, so the fraction removed is 1 - N/M.
    assert fixed_sparsity(granularity) == fixed


def test_a_pattern_needs_no_amount_and_takes_the_one_it_implies() -> None:
    assert Prune(granularity="1:4").sparsity is None
    assert Prune(granularity="1:4", sparsity=0.75, overrides={"fc": 0.0, "conv": 0.75}).sparsity == 0.75


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe(model="m").seed = 1  # type: ignore[misc]
