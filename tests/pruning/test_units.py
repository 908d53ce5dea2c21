from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.utils.prune as torch_prune
from torch import Tensor, nn

from compression.pruning import CRITERIA, Groups, allowed, choose, coupled_groups, kind_of, widths
from compression.pruning.units import FLOOR, unit_scores
from compression.recipe import Prune
from compression.registry import UserError
from tests.pruning.nets import CASES
from tests.pruning.shown import seen


def setting(name: str) -> tuple[nn.Module, Groups]:
    case = CASES[name]
    model = case.model()
    return model, coupled_groups(model, case.input_shape)


def channels(**fields: object) -> Prune:
    return Prune.model_validate({"granularity": "channels", "round_to": 1, **fields})


def counts(model: nn.Module, groups: Groups, stage: Prune, seed: int = 0) -> dict[str, int]:
    return {name: len(kept) for name, kept in choose(model, groups, stage, seed).kept.items()}


def scale(model: nn.Module, factors: dict[str, float]) -> None:
    """Make some layers' weights larger, so that the others lose all they can in the global scope."""
    with torch.no_grad():
        for name, factor in factors.items():
            model.get_submodule(name).weight.mul_(factor)


@pytest.mark.parametrize("criterion", ["magnitude", "l2"])
def test_scores_pool_the_weights_of_all_coupled_makers(criterion: str) -> None:
    model, groups = setting("residual")
    group = groups.cuttable("channels")["b2"]
    found = unit_scores(model, group, criterion)
    for unit in range(16):
        own = np.concatenate([model.b2.weight[unit].detach().flatten(), model.short.weight[unit].detach().flatten()])
        oracle = np.abs(own).mean() if criterion == "magnitude" else np.sqrt((own**2).mean())
        assert found[unit].item() == pytest.approx(oracle, rel=1e-5)


def test_batchnorm_scores_are_the_mean_of_the_coupled_scales() -> None:
    model, groups = setting("residual")
    found = unit_scores(model, groups.cuttable("channels")["b2"], "batchnorm")
    torch.testing.assert_close(found, (model.bn2.weight.abs() + model.shortn.weight.abs()).detach() / 2)


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.8])
@pytest.mark.parametrize(("criterion", "norm"), [("magnitude", 1), ("l2", 2)])
def test_within_a_layer_equals_torch_ln_structured(criterion: str, norm: int, sparsity: float) -> None:
    model, groups = setting("lenet_channels")
    kept = choose(model, groups, channels(sparsity=sparsity, criterion=criterion, scope="layer")).kept
    for name in ("conv1", "conv2"):
        layer = model.get_submodule(name)
        torch_prune.ln_structured(layer, "weight", amount=sparsity, n=norm, dim=0)
        stays = layer.weight_mask.flatten(1).any(1).nonzero().squeeze(1)
        assert kept[name].tolist() == stays.tolist()


@pytest.mark.parametrize("criterion", allowed("channels"))
def test_across_layers_the_lowest_scores_of_all_fall(criterion: str) -> None:
    model, groups = setting("residual")
    stage, shown = channels(sparsity=0.25, criterion=criterion), seen(model, groups.input_shape, criterion)
    kept = choose(model, groups, stage, 4, shown).kept
    units = groups.cuttable("channels")
    scores = {name: unit_scores(model, group, criterion, 4, shown) for name, group in units.items()}
    ranked = sorted(
        (score, name, unit) for name, values in scores.items() for unit, score in enumerate(values.tolist())
    )
    fallen = {(name, unit) for _, name, unit in ranked[: round(0.25 * len(ranked))]}
    for name, values in scores.items():
        stays = [unit for unit in range(len(values)) if (name, unit) not in fallen]
        assert kept[name].tolist() == stays


def test_the_global_scope_leaves_every_layer_its_floor_and_takes_the_rest_elsewhere() -> None:
    model, groups = setting("lenet_channels")
    scale(model, {"conv2": 100})
    choice = choose(model, groups, channels(sparsity=0.5))
    floor = max(1, math.ceil(FLOOR * 6))
    assert len(choice.kept["conv1"]) == floor and len(choice.kept["conv2"]) == 14 - round(0.5 * 14) - floor
    assert choice.notes["conv1"] == "held at the floor of 1 of 6 units" and choice.notes["conv2"] == ""
    best = unit_scores(model, groups.cuttable("channels")["conv1"], "magnitude").argmax()
    assert choice.kept["conv1"].tolist() == [best]


def test_the_highest_sparsity_stops_at_the_floors() -> None:
    model, groups = setting("residual")
    assert set(counts(model, groups, channels(sparsity=0.999)).values()) == {1}


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_higher_sparsity_never_keeps_a_unit_that_a_lower_one_removed(scope: str) -> None:
    model, groups = setting("residual")
    previous = {group.name: set(range(group.width)) for group in groups.groups}
    for sparsity in np.arange(0.05, 1, 0.05):
        kept = choose(model, groups, channels(sparsity=float(sparsity), scope=scope, round_to=8)).kept
        for name, units in kept.items():
            assert set(units.tolist()) <= previous[name]
            previous[name] = set(units.tolist())


@pytest.mark.parametrize(
    ("width", "round_to", "blocks", "possible"),
    [
        (64, 8, 1, [1, 2, 4, *range(8, 65, 8)]),
        (50, 8, 1, [1, 2, 4, 8, 16, 24, 32, 40, 48, 50]),
        (32, 8, 1, [1, 2, 4, 8, 16, 24, 32]),
        (31, 8, 1, [1, 2, 4, 8, 12, 16, 20, 24, 28, 31]),  # fewer than four eights: fours
        (20, 8, 1, [1, 2, 4, 8, 12, 16, 20]),
        (10, 8, 1, [1, 2, 4, 6, 8, 10]),  # fewer than four fours: twos
        (6, 8, 1, [1, 2, 3, 4, 5, 6]),
        (1, 8, 1, [1]),
        (7, 1, 1, [1, 2, 3, 4, 5, 6, 7]),
        (24, 6, 1, [1, 3, 6, 12, 18, 24]),
        (64, 8, 2, [2, 4, 8, 16, 24, 32, 40, 48, 56, 64]),  # two blocks of 32 in steps of 4
        (8, 8, 8, [8]),
    ],
)
def test_widths(width: int, round_to: int, blocks: int, possible: list[int]) -> None:
    assert list(widths(width, round_to, blocks)) == possible


def test_widths_are_rounded_to_the_nearest_and_never_to_none() -> None:
    model, groups = setting("residual")  # widths 8, 8, 16, 16: with round_to 8 in steps of 2 and of 4
    stage = channels(sparsity=0.35, scope="layer", round_to=8)
    assert counts(model, groups, stage) == {"stem": 6, "a1": 6, "b1": 12, "b2": 12}  # 5 goes up, 10 too
    notes = choose(model, groups, stage).notes
    assert notes["stem"] == "5 of 8 rounded to 6"
    assert set(counts(model, groups, channels(sparsity=0.99, scope="layer", round_to=8)).values()) == {1}
    assert counts(model, groups, channels(sparsity=0.35, scope="layer", round_to=1))["stem"] == 5


def test_blocks_lose_equal_numbers_by_their_own_scores() -> None:
    model, groups = setting("grouped")
    scale(model, {"first": 1.0})
    with torch.no_grad():
        model.first.weight[4:] *= 100  # all that is weak lies in the first block
    kept = choose(model, groups, channels(sparsity=0.5, scope="layer")).kept["first"]
    scores = unit_scores(model, groups.cuttable("channels")["first"], "magnitude")
    assert sum(kept < 4) == sum(kept >= 4) == 2
    assert kept.tolist() == sorted([*scores[:4].topk(2).indices.tolist(), *(4 + scores[4:].topk(2).indices).tolist()])


def test_overrides_may_name_any_coupled_layer() -> None:
    model, groups = setting("residual")
    choice = choose(model, groups, channels(sparsity=0.5, scope="layer", overrides={"a2": 0.25, "short": 0.0}))
    assert {name: len(units) for name, units in choice.kept.items()} == {"stem": 6, "a1": 4, "b1": 8, "b2": 16}
    assert choice.asked == {"stem": 0.25, "a1": 0.5, "b1": 0.5, "b2": 0.0}
    assert choice.asked_in_all == pytest.approx((0.25 * 8 + 0.5 * 8 + 0.5 * 16) / 48)


def test_a_layer_with_an_amount_of_its_own_has_no_floor() -> None:
    model, groups = setting("residual")
    choice = choose(model, groups, channels(sparsity=0.25, overrides={"a1": 0.875, "b1": 0.9375}))
    assert len(choice.kept["a1"]) == len(choice.kept["b1"]) == 1
    assert choice.notes["a1"] == choice.notes["b1"] == ""


def test_a_layer_kept_whole_needs_no_batchnorm() -> None:
    model, groups = setting("depthwise")  # the projection has none
    with pytest.raises(UserError, match="needs a BatchNorm with a scale after layer 'project'"):
        choose(model, groups, channels(sparsity=0.5, criterion="batchnorm"))
    stage = channels(sparsity=0.5, criterion="batchnorm", overrides={"project": 0})
    assert counts(model, groups, stage) == {"expand": 4, "project": 6}


def test_threshold_removes_what_scores_below_it() -> None:
    model, groups = setting("residual")
    scores = {n: unit_scores(model, g, "magnitude") for n, g in groups.cuttable("channels").items()}
    threshold = min(float(values.max()) for values in scores.values())
    kept = choose(model, groups, channels(threshold=threshold)).kept
    for name, values in scores.items():
        assert kept[name].tolist() == (values >= threshold).nonzero().squeeze(1).tolist()
    with pytest.raises(UserError, match="would remove all of layer"):
        choose(model, groups, channels(threshold=threshold * 1.01))


def test_equal_scores_fall_in_order() -> None:
    model, groups = setting("lenet_channels")
    with torch.no_grad():
        model.conv1.weight.fill_(0.1)
    kept = choose(model, groups, channels(sparsity=0.5, scope="layer")).kept
    assert kept["conv1"].tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("residual", {"overrides": {"stemm": 0.1}}, "Unknown layer in overrides 'stemm' \\(did you mean 'stem'\\?\\)"),
        ("residual", {"overrides": {"head": 0.1}}, "Unknown layer in overrides 'head'"),
        ("residual", {"overrides": {"b2": 0.1, "short": 0.2}}, "'short' 0.2 and a layer coupled to it 0.1"),
        ("residual", {"granularity": "rows"}, "no rows that can be cut \\(it gives the model's output\\); it has ch"),
        ("mlp", {}, "no channels that can be cut; it has rows"),
        ("mlp", {"granularity": "rows", "criterion": "batchnorm"}, "needs a BatchNorm .* after layer '1'"),
    ],
)
def test_bad_settings_are_one_line(name: str, fields: dict[str, object], words: str) -> None:
    model, groups = setting(name)
    with pytest.raises(UserError, match=words) as fault:
        choose(model, groups, channels(**{"sparsity": 0.5, **fields}))
    assert "\n" not in str(fault.value)


def test_scores_do_not_depend_on_the_other_layers() -> None:
    model, groups = setting("residual")
    group = groups.cuttable("channels")["b1"]
    blind = [key for key in CRITERIA if not kind_of(key)]
    before: dict[str, Tensor] = {key: unit_scores(model, group, key, 7) for key in blind}
    scale(model, {"stem": 3, "a1": 0.1, "b2": 9})
    for key, scores in before.items():
        assert torch.equal(unit_scores(model, group, key, 7), scores)
