"""Ways of spreading a budget against their definitions, and budgets against the model that was really pruned."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn

from compression.measure import file_bytes, macs, nonzero, pack, params, sparsity, stored
from compression.models.transformers import ViT
from compression.pruning import Groups, coupled_groups, prune
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.budget import Budget, allocate, as_stage
from compression.pruning.costs import counter, left_by, units_of
from compression.pruning.ground import Ground, ground_of
from compression.pruning.sensitivity import Reading, probes, scan
from compression.pruning.units import widths
from compression.recipe import Prune
from compression.registry import UserError
from tests.pruning.nets import CASES


class Wide(nn.Module):
    """A small VGG with widths that can be rounded: 24, 32 and 48 channels, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 24, 3, padding=1), nn.Conv2d(24, 32, 3), nn.Conv2d(32, 48, 3)
        self.bn = nn.BatchNorm2d(32)
        self.fc = nn.Linear(48, 40)
        self.head = nn.Linear(40, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.c(torch.relu(self.bn(self.b(torch.relu(self.a(x))))))
        return self.head(torch.relu(self.fc(torch.relu(x).mean((2, 3)))))


SHAPE = (1, 8, 8)


@lru_cache
def wide() -> tuple[nn.Module, Groups]:
    torch.manual_seed(2)
    model = Wide().eval()
    return model, coupled_groups(model, SHAPE)


def carry_out(stage: Prune, seed: int = 0):
    model, groups = wide()
    return prune(model, stage, SHAPE, seed, groups)


@lru_cache
def readings(granularity: str) -> tuple[Reading, ...]:
    model, groups = wide()
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(24, *SHAPE, generator=generator), torch.arange(24) % 4
    each = probes(list(units_of(model, granularity, groups)), granularity)
    return tuple(scan(model, each, carry_out, images, labels))


def ground(granularity: str, **more: object) -> Ground:
    model, groups = wide()
    return ground_of(model, granularity, groups, readings(granularity), **more)  # type: ignore[arg-type]


def family(method: str, granularity: str, **more: object):
    return ALLOCATIONS[method].call(ground(granularity, **more))


BUDGETS = [
    ("weights", "sparsity", 0.37), ("weights", "sparsity", 0.9), ("weights", "params", 5003),
    ("weights", "bytes", 40000),
    ("channels", "sparsity", 0.5), ("channels", "params", 12000), ("channels", "macs", 300_000),
    ("channels", "bytes", 60_000), ("rows", "sparsity", 0.3), ("rows", "bytes", 90_000), ("kernels", "sparsity", 0.6),
]  # fmt: skip


@pytest.mark.parametrize("method", ALLOCATIONS)
@pytest.mark.parametrize(("granularity", "kind", "amount"), BUDGETS)
def test_every_method_meets_every_budget_on_the_model_that_is_really_pruned(
    method: str, granularity: str, kind: str, amount: float
) -> None:
    made, pruned = allocate(ground(granularity), Budget(kind, amount), carry_out, method)
    again = carry_out(Prune.model_validate_json(as_stage(made).model_dump_json())).model
    found = {
        "sparsity": pruned.achieved,
        "params": nonzero(again) if granularity in ("weights", "kernels") else params(again),
        "macs": macs(again, SHAPE),
        "bytes": len(pack(stored(again))) if granularity in ("weights", "kernels") else file_bytes(again),
    }[kind]
    assert getattr(made.left, kind) == found
    assert abs(found - amount) <= (0.01 if kind == "sparsity" else 0.01 * amount)
    if granularity == "weights" and kind == "params":
        assert found == amount
    if granularity == "weights" and kind == "sparsity":
        assert abs(sparsity(again) - amount) < 1 / sum(units_of(again, "weights", wide()[1]).values())


@pytest.mark.parametrize("granularity", ["weights", "channels", "rows", "kernels"])
@pytest.mark.parametrize("method", ALLOCATIONS)
def test_a_family_goes_from_nothing_to_all_that_may_go_and_never_back(method: str, granularity: str) -> None:
    fixed = {next(iter(ground(granularity).most)): 0.4}
    turn = family(method, granularity, floors=fixed)
    most = ground(granularity, floors=fixed).most
    steps = [turn(dial) for dial in np.linspace(0, 1, 21)]
    assert set(steps[0].values()) == {0.0}
    reach = {name: min(m, 0.9 + 0.05) if method == "sensitivity" else m for name, m in most.items()}
    for name in most:
        own = [step[name] for step in steps]
        assert own == sorted(own) and own[-1] <= most[name] + 1e-12
        assert own[-1] == pytest.approx(reach[name], abs=0.06 if method == "sensitivity" else 1e-9)


def test_uniform_takes_the_same_of_every_layer() -> None:
    assert set(family("uniform", "weights")(0.35).values()) == {0.35}


def test_the_global_method_takes_what_global_pruning_takes() -> None:
    made, pruned = allocate(ground("weights"), Budget("sparsity", 0.6), carry_out, "global")
    whole = carry_out(Prune(granularity="weights", criterion="magnitude", scope="global", sparsity=0.6))
    assert {report.layer: report.kept for report in pruned.layers} == {r.layer: r.kept for r in whole.layers}
    assert made.stage.scope == "layer"


def test_lamp_takes_what_global_pruning_by_lamp_takes() -> None:
    _, pruned = allocate(ground("weights"), Budget("sparsity", 0.6), carry_out, "lamp")
    whole = carry_out(Prune(granularity="weights", criterion="lamp", scope="global", sparsity=0.6))
    assert {report.layer: report.kept for report in pruned.layers} == {r.layer: r.kept for r in whole.layers}


def test_densities_by_erk_are_proportional_to_the_sum_of_sides_over_their_product() -> None:
    found = family("erk", "weights")(0.8)
    raw = {
        "a": (24 + 1 + 3 + 3) / (24 * 1 * 9), "b": (32 + 24 + 6) / (32 * 24 * 9), "c": (48 + 32 + 6) / (48 * 32 * 9),
        "fc": (40 + 48) / (40 * 48), "head": (4 + 40) / (4 * 40),
    }  # fmt: skip
    free = {name for name, amount in found.items() if amount}
    assert "b" in free and "c" in free and "head" not in free, "small layers stay dense"
    ratio = {name: (1 - found[name]) / raw[name] for name in free}
    assert max(ratio.values()) == pytest.approx(min(ratio.values()))


def test_the_sensitivity_method_spends_as_the_best_of_all_grids_does() -> None:
    # Two layers whose readings are made up: D is convex in both, so that the envelope is the curve itself.
    model, groups = CASES["mlp"].model(), coupled_groups(CASES["mlp"].model(), CASES["mlp"].input_shape)
    units = {"1": 10, "3": 8}
    harm = {"1": lambda s: 3 * s**2, "3": lambda s: s**3}
    grid = np.arange(1, 10) / 10
    rows = [
        Reading(layer, "rows", s, s, 10, 0.5, 1.0, harm[layer](s), 0.9, 0.5, round(100 * s * units[layer]), 0)
        for layer in units
        for s in grid
    ]
    own = ground_of(model, "rows", groups, rows)
    turn = ALLOCATIONS["sensitivity"].call(own)
    for dial in (0.2, 0.5, 0.8):
        found = turn(dial)
        saved = sum(found[name] * units[name] for name in units)
        cost = sum(np.interp(found[name], [0, *grid], [0, *map(harm[name], grid)]) for name in units)
        for first in np.linspace(0, 0.9, 181):
            second = (saved - first * units["1"]) / units["3"]
            if 0 <= second <= 7 / 8:  # one of the eight stays
                pair = {"1": first, "3": second}
                other = sum(np.interp(pair[name], [0, *grid], [0, *map(harm[name], grid)]) for name in units)
                assert cost <= other + 1e-9


def test_a_dip_in_a_curve_is_noise_and_a_bulge_is_passed_over() -> None:
    model, groups = CASES["mlp"].model(), coupled_groups(CASES["mlp"].model(), CASES["mlp"].input_shape)
    kl = {0.2: 0.5, 0.4: 0.1, 0.6: 0.6}  # the dip at 0.4 is raised to 0.5, and that lies above the way to 0.6

    def row(layer: str, s: float, harm: float) -> Reading:
        return Reading(layer, "rows", s, s, 10, 0.5, 1.0, harm, 0.9, 0.5, round(100 * s), 0)

    rows = [row("1", s, harm) for s, harm in kl.items()] + [row("3", s, 10 * s) for s in kl]
    turn = ALLOCATIONS["sensitivity"].call(ground_of(model, "rows", groups, rows))
    assert turn(0.25) == pytest.approx({"1": 0.3, "3": 0.0})
    assert turn(0.5) == pytest.approx({"1": 0.6, "3": 0.0})


def test_balance_buys_speed_with_accuracy() -> None:
    plain, _ = allocate(ground("channels"), Budget("params", 12_000), carry_out)
    fast, _ = allocate(ground("channels", balance=1.0), Budget("params", 12_000), carry_out)
    assert fast.left.macs < plain.left.macs


def test_locked_layers_stay_whole_and_floors_stand() -> None:
    for method in ALLOCATIONS:
        own = ground("channels", locks=["a"], floors={"b": 0.5, "c": 0.25})
        made, pruned = allocate(own, Budget("sparsity", 0.4), carry_out, method)
        kept = {report.layer: report.kept for report in pruned.layers}
        assert kept["a"] == 24 and kept["b"] >= 16 and kept["c"] >= 12
        assert made.sparsities["a"] == 0


def test_widths_keep_their_steps_as_long_as_they_meet_the_budget() -> None:
    for amount in (0.2, 0.35, 0.5, 0.65):
        made, pruned = allocate(ground("channels"), Budget("sparsity", amount), carry_out)
        for report in pruned.layers:
            assert report.kept in widths(report.width, made.stage.round_to)
    coarse, _ = allocate(ground("channels"), Budget("sparsity", 8 / 104), carry_out)
    assert coarse.stage.round_to == 8
    fine, _ = allocate(ground("channels"), Budget("params", 20_111), carry_out, "uniform")
    assert fine.stage.round_to < 8, "steps of 8 are too coarse for this budget"


@pytest.mark.parametrize("amount", [6000, 8250, 10_750, 16_500])
def test_rounded_widths_stay_near_what_the_method_says(amount: int) -> None:
    made, _ = allocate(ground("channels"), Budget("params", amount), carry_out, "uniform")
    found = list(made.sparsities.values())
    assert max(found) - min(found) <= 0.35, "budgets that widths far apart would meet in coarser steps"


@pytest.mark.parametrize("granularity", ["weights", "kernels", "rows", "channels"])
def test_counting_agrees_with_pruning(granularity: str) -> None:
    model, groups = wide()
    count = counter(model, granularity, groups)
    units = units_of(model, granularity, groups)
    random = np.random.default_rng(0)
    for _ in range(4):
        amounts = {name: int(random.integers(1, n)) / n for name, n in units.items()}
        stage = Prune(granularity=granularity, scope="layer", sparsity=0.5, overrides=amounts, round_to=1)
        real, counted = left_by(carry_out(stage), granularity, SHAPE), count(amounts)
        assert counted.sparsity == pytest.approx(real.sparsity)
        assert counted.params == pytest.approx(real.params)
        assert counted.macs == pytest.approx(real.macs)
        assert counted.bytes == (
            real.bytes if granularity in ("weights", "kernels") else pytest.approx(real.bytes, abs=64)
        )


@pytest.mark.parametrize("name", ["residual", "grouped", "depthwise", "signal", "lenet_channels"])
def test_counting_agrees_with_pruning_however_layers_are_coupled(name: str) -> None:
    case = CASES[name]
    model = case.model()
    groups = coupled_groups(model, case.input_shape)
    amounts = {group: 0.5 for group in groups.cuttable("channels")}
    stage = Prune(granularity="channels", scope="layer", sparsity=0.5, overrides=amounts, round_to=1)
    real = left_by(prune(model, stage, case.input_shape, groups=groups), "channels", case.input_shape)
    counted = counter(model, "channels", groups)(amounts)
    assert (counted.params, counted.macs) == (pytest.approx(real.params), pytest.approx(real.macs))
    assert counted.bytes == pytest.approx(real.bytes, abs=64)


def test_attention_itself_goes_with_its_heads() -> None:
    torch.manual_seed(0)
    model = ViT(1, 8, 1, 32, 4, 8, 16, 3).eval()  # 64 tokens: most of its work is attention itself
    groups = coupled_groups(model, SHAPE)
    layers = dict.fromkeys(groups.cuttable("heads"), 0.5)
    half = prune(model, Prune(granularity="heads", scope="layer", sparsity=0.5, overrides=layers), SHAPE, groups=groups)
    target = macs(half.model, SHAPE)
    assert target < 0.6 * macs(model, SHAPE)
    assert counter(model, "heads", groups)(layers).macs == target
    made, _ = allocate(
        ground_of(model, "heads", groups), Budget("macs", target),
        lambda stage: prune(model, stage, SHAPE, groups=groups), "uniform",
    )  # fmt: skip
    assert made.sparsities == layers and made.left.macs == target


def test_predicted_accuracy_is_the_sum_of_the_losses_alone() -> None:
    made, _ = allocate(ground("weights"), Budget("sparsity", 0.5), carry_out)
    change = 0.0
    for layer, amount in made.sparsities.items():
        own = [reading for reading in readings("weights") if reading.layer == layer]
        ends = [0.0, *(reading.accuracy - reading.whole_accuracy for reading in own)]
        change += float(np.interp(amount, [0.0, *(reading.achieved for reading in own)], ends))
    assert made.predicted == pytest.approx(min(1.0, max(0.0, own[0].whole_accuracy + change)))
    model, groups = wide()
    alone, _ = allocate(ground_of(model, "weights", groups), Budget("sparsity", 0.5), carry_out, "lamp")
    assert alone.predicted is None


@pytest.mark.parametrize(
    ("granularity", "kind", "amount", "words"),
    [
        (
            "weights",
            "sparsity",
            0.99,
            r"99.00% sparsity cannot be met: the most that can be reached is 95.0\d% sparsity",
        ),
        ("weights", "macs", 1000, "A budget in MACs cannot be met by weights: zeros are multiplied"),
        ("channels", "params", 100, "100 parameters cannot be met: the least that can be left is .* parameters"),
        ("channels", "params", 10**9, "cannot be met: the model as it is has 23,244 parameters"),
        ("channels", "bytes", 10**9, "cannot be met: the model as it is has .* bytes"),
        ("rows", "sparsity", 0.001, "0.10% sparsity takes less than one of the rows"),
    ],
)
def test_a_budget_that_cannot_be_met_names_the_nearest_that_can(
    granularity: str, kind: str, amount: float, words: str
) -> None:
    own = ground(granularity, floors=dict.fromkeys(ground(granularity).most, 0.05))
    with pytest.raises(UserError, match=words):
        allocate(own, Budget(kind, amount), carry_out, "uniform")


def test_the_nearest_that_is_named_can_be_met() -> None:
    own = ground("channels", floors=dict.fromkeys(ground("channels").most, 0.3))
    with pytest.raises(UserError, match="the least that can be left is ([0-9,]+) parameters") as fault:
        allocate(own, Budget("params", 100), carry_out, "uniform")
    nearest = int(str(fault.value).split(" is ")[1].split(" ")[0].replace(",", ""))
    made, _ = allocate(own, Budget("params", nearest), carry_out, "uniform")
    assert made.left.params == pytest.approx(nearest, rel=0.01)


def test_units_too_few_for_a_budget_name_the_nearest() -> None:
    torch.manual_seed(0)
    model = ViT(1, 8, 4, 16, 2, 2, 8, 3).eval()
    groups = coupled_groups(model, SHAPE)
    with pytest.raises(
        UserError, match="40.00% sparsity cannot be met within 1 % by whole heads; the nearest is 50.00%"
    ):
        allocate(
            ground_of(model, "heads", groups), Budget("sparsity", 0.4),
            lambda stage: prune(model, stage, SHAPE, groups=groups), "uniform",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"locks": ["a", "b", "c"]}, "Nothing is left to prune: locks and floors keep all 3 layers whole"),
        ({"floors": {"a": 1.0, "b": 1.0}, "locks": ["c"]}, "keep all 3 layers whole"),
        ({"locks": ["d"]}, "Unknown layer in locks or floors 'd'"),
        ({"floors": {"a": 1.5}}, r"floors\['a'\] is 1.5; it must lie in \[0, 1\]"),
        ({"balance": -0.1}, r"balance is -0.1; it must lie in \[0, 1\]"),
    ],
)
def test_locks_floors_and_balance_that_make_no_sense_are_one_line(more: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        ground("channels", **more)
    assert "\n" not in str(fault.value)


def test_other_bad_input_is_one_line() -> None:
    model, groups = wide()
    with pytest.raises(UserError, match="Unknown budget 'macz'"):
        Budget("macz", 1)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"budget in sparsity is 1; it must lie in \(0, 1\)"):
        Budget("sparsity", 1)
    with pytest.raises(UserError, match="budget in bytes is nan; it must be greater than 0"):
        Budget("bytes", float("nan"))
    with pytest.raises(UserError, match="Unknown allocation 'lamb'"):
        allocate(ground("weights"), Budget("sparsity", 0.5), carry_out, "lamb")
    with pytest.raises(UserError, match="The sensitivity of layer 'a' has not been scanned"):
        allocate(ground_of(model, "weights", groups), Budget("sparsity", 0.5), carry_out)
    for granularity in ("2:4", "blocks"):
        with pytest.raises(UserError, match="takes no amounts by layer"):
            ground_of(model, granularity, groups)
