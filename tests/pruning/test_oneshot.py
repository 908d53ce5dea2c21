from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from compression.models.structure import structure
from compression.pruning import (
    CRITERIA,
    GRANULARITIES,
    SCOPES,
    allowed,
    coupled_groups,
    cut,
    prunable,
    prune,
    score_index,
    scores_of,
    threshold_of,
    weight_masks,
)
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError
from compression.training import hold
from tests.pruning.nets import CASES, WHOLE, Case
from tests.pruning.shown import seen

SETTINGS = {granularity: {} if ":" in granularity else {"sparsity": 0.5} for granularity in GRANULARITIES}
WHERE = dict.fromkeys(GRANULARITIES, "residual") | {"rows": "normed_mlp", "heads": "vit", "blocks": "resnet"}


def stage(**fields: object) -> Prune:
    return Prune.model_validate(fields)


def setting(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    case: Case = {**CASES, **WHOLE}[name]
    return case.model(), case.input_shape


def test_every_granularity_has_settings() -> None:
    assert set(SETTINGS) == set(WHERE) == set(GRANULARITIES)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_every_combination_prunes_a_copy_and_reports_it(granularity: str, criterion: str, scope: str) -> None:
    if criterion not in allowed(granularity):
        return
    # Zeros after the activation take a ReLU to count.
    model, shape = setting("mlp" if (granularity, criterion) == ("rows", "apoz") else WHERE[granularity])
    before, shown = copy.deepcopy(model), seen(model, shape, criterion)
    asked = stage(granularity=granularity, criterion=criterion, scope=scope, round_to=1, **SETTINGS[granularity])
    pruned = prune(model, asked, shape, evidence=shown)
    for old, kept in zip(before.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(old, kept)
    amount = {"1:4": 0.75}.get(granularity, 0.5)
    assert pruned.model is not model and pruned.asked == amount
    assert pruned.achieved == pytest.approx(amount, abs=0.1)
    assert pruned.model(torch.rand(2, *shape)).shape == model(torch.rand(2, *shape)).shape
    parts = prunable(model) if granularity != "blocks" else [f"blocks.{number}" for number in range(4)]
    assert {report.layer for report in pruned.layers} <= set(parts)
    for report in pruned.layers:
        if granularity != "blocks":
            assert report.shape == tuple(model.get_submodule(report.layer).weight.shape)
        assert report.achieved == pytest.approx(1 - report.kept / report.width)
    again = prune(model, asked, shape, evidence=seen(model, shape, criterion))
    states = zip(pruned.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)


@pytest.mark.parametrize("granularity", ["weights", "2:4", "kernels"])
def test_masks_go_by_parameter_name_and_match_the_zeros(granularity: str) -> None:
    model, shape = setting("residual")
    asked = stage(granularity=granularity, **SETTINGS[granularity])
    pruned = prune(model, asked, shape)
    oracle = weight_masks(model, asked)
    assert set(pruned.masks) == {f"{name}.weight" for name, mask in oracle.items() if not mask.all()}
    parameters = dict(pruned.model.named_parameters())
    for name, mask in pruned.masks.items():
        assert torch.equal(parameters[name] != 0, mask)
    dropped = sum(int((~mask).sum()) for mask in oracle.values())
    total = sum(mask.numel() for mask in oracle.values())
    if granularity != "kernels":
        assert pruned.achieved == dropped / total
        assert sum(r.width - r.kept for r in pruned.layers) == dropped
    with torch.no_grad():
        parameters["a1.weight"].add_(1)
    hold([(parameters[name].data, mask) for name, mask in pruned.masks.items()])
    assert torch.equal(parameters["a1.weight"] != 0, pruned.masks["a1.weight"])


def test_kernels_are_counted_as_kernels() -> None:
    model, shape = setting("residual")
    pruned = prune(model, stage(granularity="kernels", sparsity=0.5), shape)
    widths = {report.layer: report.width for report in pruned.layers}
    assert widths == {"stem": 8, "a1": 64, "a2": 64, "b1": 128, "b2": 256, "short": 128}
    assert sum(report.kept for report in pruned.layers) == 648 - 324


def test_channels_report_every_layer_and_which_units_stay() -> None:
    model, shape = setting("residual")
    pruned = prune(model, stage(granularity="channels", sparsity=0.5, scope="layer"), shape)
    assert pruned.masks == {} and pruned.threshold is None
    found = {report.layer: (report.asked, report.kept, report.width) for report in pruned.layers}
    narrow, wide = (0.5, 4, 8), (0.5, 8, 16)
    assert found == {"stem": narrow, "a1": narrow, "a2": narrow, "b1": wide, "b2": wide, "short": wide}
    for name, stays in pruned.kept.items():
        layer, smaller = model.get_submodule(name), pruned.model.get_submodule(name)
        assert smaller.weight.shape[0] == stays.sum()
        if name == "stem":  # reads the image, so that its rows can be compared as they are
            assert torch.equal(smaller.weight, layer.weight[torch.from_numpy(stays)])


def test_the_output_layer_is_reported_as_kept_whole() -> None:
    model, shape = setting("mlp")
    pruned = prune(model, stage(granularity="rows", sparsity=0.5, scope="layer", round_to=1), shape)
    assert [(r.layer, r.kept, r.width) for r in pruned.layers] == [("1", 5, 10), ("3", 4, 8), ("5", 3, 3)]
    assert pruned.layers[2].note == "kept whole: it gives the model's output"
    assert pruned.achieved == 0.5 and pruned.layers[2].asked is None


def test_a_coupled_channel_counts_once() -> None:
    model, shape = setting("residual")
    pruned = prune(model, stage(granularity="channels", sparsity=0.5, overrides={"a1": 0, "b1": 0, "b2": 0}), shape)
    # Of 8 + 8 + 16 + 16 coupled channels only those of the stem's group compete.
    assert pruned.achieved == 4 / 48 and pruned.asked == pytest.approx(4 / 48)


def test_threshold_is_reported_in_the_terms_of_the_weights() -> None:
    model, shape = setting("lenet_channels")
    by_sparsity = prune(model, stage(sparsity=0.6), shape)
    by_threshold = prune(model, stage(threshold=by_sparsity.threshold), shape)
    assert by_threshold.asked is None and by_threshold.achieved == by_sparsity.achieved
    assert all(torch.equal(by_threshold.masks[name], mask) for name, mask in by_sparsity.masks.items())
    assert {report.threshold for report in by_sparsity.layers} == {by_sparsity.threshold}


@pytest.mark.parametrize("granularity", ["weights", "channels"])
def test_the_common_threshold_is_not_that_of_an_overridden_layer(granularity: str) -> None:
    model, shape = setting("residual")
    asked = stage(granularity=granularity, sparsity=0.25, overrides={"stem": 0.75}, round_to=1)
    pruned = prune(model, asked, shape)
    own = {report.layer: report.threshold for report in pruned.layers}
    assert pruned.threshold == own["a1"] == own["b1"] != own["stem"]
    alone = stage(sparsity=0.25, overrides=dict.fromkeys(prunable(model), 0.5))
    assert prune(model, alone, shape).threshold is None


def test_lamp_reports_where_it_cut_each_layer() -> None:
    model, shape = setting("lenet_channels")
    pruned = prune(model, stage(sparsity=0.6, criterion="lamp"), shape)
    assert pruned.threshold is None
    for report in pruned.layers:
        weight = model.get_submodule(report.layer).weight
        assert int((weight.abs() >= report.threshold).sum()) == report.kept


@pytest.mark.parametrize("granularity", ["weights", "kernels", "channels"])
def test_scores_of_links_threshold_and_sparsity_for_every_kind(granularity: str) -> None:
    model, shape = setting("residual")
    by_sparsity = prune(model, stage(granularity=granularity, sparsity=0.25, round_to=1), shape)
    index = score_index(scores_of(model, stage(granularity=granularity, sparsity=0.25), shape))
    assert threshold_of(index, 0.25) == by_sparsity.threshold
    by_threshold = prune(model, stage(granularity=granularity, threshold=by_sparsity.threshold, round_to=1), shape)
    assert by_threshold.achieved == by_sparsity.achieved


def test_pruning_on_from_a_pruned_model() -> None:
    model, shape = setting("lenet_channels")
    half = prune(model, stage(sparsity=0.5), shape).model
    most = prune(half, stage(sparsity=0.8), shape)
    assert most.achieved == pytest.approx(0.8, abs=1e-3)
    direct = prune(model, stage(sparsity=0.8), shape)
    assert all(torch.equal(direct.masks[name], mask) for name, mask in most.masks.items())


@pytest.mark.parametrize("granularity", ["weights", "channels"])
def test_a_frozen_model_is_pruned_and_stays_frozen(granularity: str) -> None:
    model, shape = setting("residual")
    pruned = prune(model.requires_grad_(False).train(), stage(granularity=granularity, sparsity=0.5), shape)
    assert not any(parameter.requires_grad for parameter in pruned.model.parameters())
    assert pruned.model.training and pruned.achieved > 0.4


def test_groups_at_hand_give_the_same_as_groups_found_anew() -> None:
    model, shape = setting("residual")
    groups = coupled_groups(model, shape)
    asked = stage(granularity="channels", sparsity=0.5)
    one, other = prune(model, asked, shape, groups=groups), prune(model, asked, shape)
    assert structure(one.model) == structure(other.model)
    kept = {group: np.flatnonzero(one.kept[group]) for group in groups.cuttable("channels")}
    images = torch.rand(2, *shape)
    assert torch.equal(cut(model, groups, kept)(images), one.model(images))


def test_a_layer_emptied_by_the_others_is_noted() -> None:
    model, shape = setting("lenet_channels")
    with torch.no_grad():
        model.conv1.weight.mul_(1e-3)
    pruned = prune(model, stage(sparsity=0.5), shape)
    assert pruned.layers[0].kept == 0 and pruned.layers[0].note == "none of its weights is left"
    assert [report.note for report in pruned.layers[1:]] == ["", "", ""]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"threshold": 1e-9}, "Nothing pruned: threshold 1e-09 reaches no weights but those that are zero already"),
        ({"sparsity": 1e-5}, "Nothing pruned: sparsity 1e-05 reaches no weights"),
        ({"sparsity": 0.5, "overrides": dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), 0)}, "Nothing pruned"),
        ({"granularity": "channels", "sparsity": 0.01}, "Nothing pruned: sparsity 0.01 with round_to=8 leaves"),
        ({"granularity": "channels", "sparsity": 0.5, "overrides": {"conv1": 0, "conv2": 0}}, "Nothing pruned"),
        ({"granularity": "channels", "threshold": 1e-9}, "Nothing pruned: threshold 1e-09"),
        ({"criterion": "median", "sparsity": 0.5}, "criterion 'median' cannot rank weights; choose one of: mag"),
        ({"criterion": "lamp", "granularity": "channels", "threshold": 0.1}, "threshold is 0.1, but the scores"),
    ],
)
def test_what_cannot_be_done_is_one_line(fields: dict[str, object], words: str) -> None:
    model, shape = setting("lenet_channels")
    with pytest.raises(UserError, match=words) as fault:
        prune(model, stage(**fields), shape)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"sparsity": 0.5}, "sparsity 0.5 reaches no weights"), ({"granularity": "2:4"}, "fits the pattern 2:4 already")],
)
def test_repeating_a_stage_changes_nothing_and_says_so(fields: dict[str, object], words: str) -> None:
    model, shape = setting("lenet_channels")
    half = prune(model, stage(**fields), shape).model
    with pytest.raises(UserError, match=f"Nothing pruned: .*{words}"):
        prune(half, stage(**fields), shape)


@pytest.mark.parametrize("granularity", ["weights", *STRUCTURED])
def test_weights_that_are_not_finite_are_named(granularity: str) -> None:
    model, shape = setting("lenet_channels")
    with torch.no_grad():
        model.fc1.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="Tensor 'fc1.weight' of the model holds NaN"):
        prune(model, stage(granularity=granularity, sparsity=0.5), shape)
