from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from compression.pruning.selection import (
    SCOPES,
    across_layers,
    asked_in_all,
    below,
    keep_all_but,
    select,
    within_layers,
)
from compression.recipe import Prune
from compression.registry import UserError


def scores(seed: int = 0, values: int | None = None) -> dict[str, Tensor]:
    """Scores of three layers; from few different values when ties are wanted."""
    random = np.random.default_rng(seed)
    sizes = {"a": 40, "b": 7, "c": 23}
    draw = random.random if values is None else lambda n: random.integers(0, values, n) / values
    return {name: torch.from_numpy(draw(size).astype(np.float32)) for name, size in sizes.items()}


def slow_keep(flat: list[float], count: int) -> list[bool]:
    """Sort by score, then by place; the first ``count`` fall."""
    fallen = sorted(range(len(flat)), key=lambda i: (flat[i], i))[:count]
    return [i not in fallen for i in range(len(flat))]


@pytest.mark.parametrize("values", [None, 1, 2, 5])
@pytest.mark.parametrize("sparsity", [0.0, 0.01, 0.3, 0.5, 0.87, 1.0])
def test_across_layers_is_a_stable_sort_of_all(sparsity: float, values: int | None) -> None:
    given = scores(values=values)
    chosen = across_layers(given, sparsity)
    flat = torch.cat(list(given.values())).tolist()
    assert torch.cat(list(chosen.keep.values())).tolist() == slow_keep(flat, round(sparsity * len(flat)))


@pytest.mark.parametrize("values", [None, 1, 3])
@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.99])
def test_within_layers_is_a_stable_sort_of_each(sparsity: float, values: int | None) -> None:
    given = scores(values=values)
    for name, keep in within_layers(given, sparsity).keep.items():
        assert keep.tolist() == slow_keep(given[name].tolist(), round(sparsity * len(keep)))


def test_threshold_lies_just_above_what_falls() -> None:
    given = scores()
    chosen = across_layers(given, 0.4)
    threshold = chosen.thresholds["a"]
    for name, values in given.items():
        assert torch.equal(values >= threshold, chosen.keep[name])
    assert below(given, threshold).keep["b"].tolist() == chosen.keep["b"].tolist()


def test_nothing_dropped_has_threshold_zero() -> None:
    masks, threshold = keep_all_but([torch.tensor([0.0, 1.0])], 0)
    assert threshold == 0 and masks[0].all()


def test_below_names_the_layer_that_would_vanish() -> None:
    given = {"a": torch.tensor([0.1, 0.9]), "b": torch.tensor([0.1, 0.25])}
    assert below(given, 0.25).keep["b"].tolist() == [False, True]
    with pytest.raises(UserError, match="threshold 0.3 would remove all of layer 'b', whose highest score is 0.25"):
        below(given, 0.3)


@pytest.mark.parametrize("scope", SCOPES)
def test_amounts_of_single_layers_are_theirs_and_do_not_compete(scope: str) -> None:
    given = scores()
    stage = Prune.model_validate({"sparsity": 0.5, "scope": scope})
    chosen = select(given, stage, {"a": 0.1, "b": 0.0}, 0.5)
    assert list(chosen.keep) == ["a", "b", "c"]
    assert [int((~keep).sum()) for keep in chosen.keep.values()] == [4, 0, round(0.5 * 23)]
    alone = SCOPES[scope].call({"c": given["c"]}, 0.5)
    assert torch.equal(chosen.keep["c"], alone.keep["c"])


def test_threshold_spares_the_layers_with_an_amount_of_their_own() -> None:
    given = scores()
    chosen = select(given, Prune(threshold=0.5), {"a": 0.0}, None)
    assert chosen.keep["a"].all()
    assert torch.equal(chosen.keep["c"], given["c"] >= 0.5)


def test_asked_in_all_weighs_layers_by_their_size() -> None:
    sizes = {"a": 100, "b": 300}
    assert asked_in_all(sizes, {}, 0.5) == 0.5
    assert asked_in_all(sizes, {"a": 0.9}, 0.5) == pytest.approx((90 + 150) / 400)
    assert asked_in_all(sizes, {}, None) is None
