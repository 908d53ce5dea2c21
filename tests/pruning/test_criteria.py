from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch

from compression.pruning import CRITERIA, GRANULARITIES, SCOPES, allowed
from compression.pruning.criteria import ABSOLUTE, check
from compression.pruning.scores import Units
from compression.recipe import Criterion, Granularity, Prune, Scope
from compression.registry import Method, UserError


def units(rows: int = 7, columns: int = 5, seed: int = 0) -> Units:
    generator = torch.Generator().manual_seed(seed)
    weights, scales = torch.randn(rows, columns, generator=generator), torch.randn(2, rows, generator=generator)
    return Units(weights, scales, "layer", 3, torch.rand(rows, columns, generator=generator))


def loop(u: Units, term: Callable[[float, float], float]) -> list[float]:
    """The sum over each row of a term of a weight and what was seen of it."""
    pairs = zip(u.weights_UN.tolist(), u.seen_UN.tolist(), strict=True)
    return [sum(term(w, seen) for w, seen in zip(*row, strict=True)) for row in pairs]


def loop_lamp(norms: np.ndarray) -> list[float]:
    """Equation 3 by hand: sort, then for each place divide by the sum from there on."""
    order = sorted(range(len(norms)), key=lambda i: (norms[i], i))
    scores = [0.0] * len(norms)
    for place, i in enumerate(order):
        rest = sum(norms[j] ** 2 for j in order[place:])
        scores[i] = norms[i] ** 2 / rest if rest else 0.0
    return scores


def loop_median(w: np.ndarray) -> list[float]:
    rows, columns = w.shape
    return [
        sum(np.sqrt(sum((a - b) ** 2 for a, b in zip(w[i], w[j], strict=True))) for j in range(rows))
        / (rows * np.sqrt(columns))
        for i in range(rows)
    ]


ORACLES = {
    "magnitude": lambda u: [sum(abs(v) for v in row) / len(row) for row in u.weights_UN.numpy()],
    "l2": lambda u: [np.sqrt(sum(v * v for v in row) / len(row)) for row in u.weights_UN.numpy()],
    "lamp": lambda u: loop_lamp(np.sqrt((u.weights_UN.numpy().astype(float) ** 2).mean(1))),
    "batchnorm": lambda u: [sum(abs(g) for g in column) / 2 for column in u.scales_BU.numpy().T],
    "median": lambda u: loop_median(u.weights_UN.numpy().astype(float)),
    "snip": lambda u: loop(u, lambda w, g: abs(w * g)),
    "taylor": lambda u: [abs(total) for total in loop(u, lambda w, g: w * g)],
    "fisher": lambda u: loop(u, lambda w, g2: w * w * g2 / 2),
    "movement": lambda u: loop(u, lambda w, moved: moved),
    "wanda": lambda u: [total / u.weights_UN.shape[1] for total in loop(u, lambda w, norm: abs(w) * norm)],
    "apoz": lambda u: [total / u.weights_UN.shape[1] for total in loop(u, lambda w, share: share)],
    "random": lambda u: CRITERIA["random"].call(Units(torch.zeros(7, 1), name="layer", seed=3)),
}


@pytest.mark.parametrize("key", CRITERIA)
def test_scores_equal_a_plain_loop(key: str) -> None:
    u = units()
    np.testing.assert_allclose(CRITERIA[key].call(u).numpy(), np.asarray(ORACLES[key](u)), rtol=1e-5)


@pytest.mark.parametrize("key", ["magnitude", "l2"])
def test_of_single_weights_the_norms_are_absolute_values(key: str) -> None:
    u = units(50, 1)
    assert torch.equal(CRITERIA[key].call(u), u.weights_UN[:, 0].abs())


def test_lamp_orders_as_magnitude_and_gives_the_largest_weight_one() -> None:
    u = units(200, 1)
    scores = CRITERIA["lamp"].call(u)
    magnitude = u.weights_UN[:, 0].abs()
    assert torch.equal(scores.argsort(stable=True), magnitude.argsort(stable=True))
    assert scores[magnitude.argmax()] == 1 and scores.min() > 0


def test_lamp_of_equal_weights_counts_them_in_order() -> None:
    # Four equal weights: each divided by itself and those after it, 1/4, 1/3, 1/2, 1.
    scores = CRITERIA["lamp"].call(Units(torch.tensor([[2.0], [-2.0], [2.0], [2.0]])))
    np.testing.assert_allclose(scores, [1 / 4, 1 / 3, 1 / 2, 1])


def test_lamp_of_a_layer_of_zeros_is_zero() -> None:
    assert CRITERIA["lamp"].call(Units(torch.zeros(3, 1))).tolist() == [0, 0, 0]


def test_lamp_does_not_underflow_where_squares_do() -> None:
    scores = CRITERIA["lamp"].call(Units(torch.tensor([[1e-25], [2e-25]])))
    np.testing.assert_allclose(scores, [1 / 5, 1], rtol=1e-6)


def test_random_depends_on_seed_and_layer_alone() -> None:
    call = CRITERIA["random"].call
    one = call(Units(torch.zeros(100, 1), name="a", seed=1))
    assert torch.equal(one, call(Units(torch.ones(100, 9), name="a", seed=1)))
    assert not torch.equal(one, call(Units(torch.zeros(100, 1), name="a", seed=2)))
    assert not torch.equal(one, call(Units(torch.zeros(100, 1), name="b", seed=1)))
    assert 0 <= one.min() and one.max() < 1 and abs(one.mean() - 0.5) < 0.1


def test_median_of_a_filter_that_is_doubled_elsewhere_is_the_lowest() -> None:
    # On a line at 0, 0, 3, -4 the sums of distances are 7, 7, 13, 15.
    scores = CRITERIA["median"].call(Units(torch.tensor([[0.0], [0.0], [3.0], [-4.0]])))
    np.testing.assert_allclose(scores, [7 / 4, 7 / 4, 13 / 4, 15 / 4])


def test_batchnorm_without_one_names_the_layer_and_what_else_there_is() -> None:
    with pytest.raises(UserError, match="after layer 'conv9', which has none; choose another criterion"):
        CRITERIA["batchnorm"].call(Units(torch.ones(2, 2), name="conv9"))


def test_movement_puts_units_of_zeros_lowest() -> None:
    u = Units(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), name="a", seen_UN=torch.tensor([[3.0, 3.0], [-5.0, 0.0]]))
    assert CRITERIA["movement"].call(u).tolist() == [-torch.inf, -5]


@pytest.mark.parametrize("key", ["snip", "taylor", "fisher", "movement", "wanda", "apoz"])
def test_without_anything_seen_the_layer_is_named(key: str) -> None:
    with pytest.raises(UserError, match="Layer 'conv9' is to be ranked by what training images show"):
        CRITERIA[key].call(Units(torch.ones(2, 2), name="conv9"))


@pytest.mark.parametrize(("table", "names"), [(CRITERIA, Criterion), (GRANULARITIES, Granularity), (SCOPES, Scope)])
def test_tables_hold_what_the_recipe_names_and_every_card_is_whole(table: dict[str, Method], names: object) -> None:
    assert tuple(table) == get_args(names)
    for key, card in table.items():
        assert card.key == key
        assert card.label and card.formula and "$" not in card.formula
        assert card.sentence.endswith(".") and card.sentence.count(".") == 1
        assert any(str(year) in card.paper for year in range(1989, 2027)), key
        assert inspect.getdoc(card.call), key


def test_every_criterion_has_an_oracle() -> None:
    assert set(ORACLES) == set(CRITERIA)


def test_allowed_criteria_of_each_granularity() -> None:
    by_data = ("snip", "taylor", "fisher", "movement", "wanda")
    for granularity in ("weights", "kernels"):
        assert allowed(granularity) == ("magnitude", "l2", "random", "lamp", *by_data)
    for granularity in ("2:4", "1:4", "4:8"):
        assert allowed(granularity) == ("magnitude", "l2", "random", *by_data)
    for granularity in ("rows", "channels"):
        assert set(allowed(granularity)) == set(CRITERIA) - {"wanda"}
    with pytest.raises(UserError, match="Unknown granularity 'chanels' \\(did you mean 'channels'\\?\\)"):
        allowed("chanels")


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_check_lets_through_exactly_what_is_allowed(granularity: str, criterion: str) -> None:
    amount = {} if ":" in granularity else {"sparsity": 0.5}
    stage = Prune.model_validate({"granularity": granularity, "criterion": criterion, **amount})
    if criterion in allowed(granularity):
        check(stage)
    else:
        with pytest.raises(UserError, match=f"criterion '{criterion}' cannot rank {granularity}; choose one of"):
            check(stage)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_threshold_needs_scores_with_a_size(criterion: str) -> None:
    granularity = "weights" if criterion == "wanda" else "channels"
    stage = Prune.model_validate({"granularity": granularity, "criterion": criterion, "threshold": 0.1})
    if criterion in ABSOLUTE:
        check(stage)
    else:
        with pytest.raises(UserError, match="threshold is 0.1, but the scores of criterion .* give sparsity"):
            check(stage)


def test_granularities_split_a_weight_into_units() -> None:
    weight = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    assert GRANULARITIES["weights"].call(weight).shape == (120, 1)
    kernels = GRANULARITIES["kernels"].call(weight)
    assert torch.equal(kernels[1 * 3 + 2], weight[1, 2].flatten())
    assert torch.equal(GRANULARITIES["channels"].call(weight)[1], weight[1].flatten())
