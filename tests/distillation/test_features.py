"""Stages found, matched, watched and regressed: against tables by hand and slow searches."""

from __future__ import annotations

import itertools
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.distillation.features import Regressors, Watch, chosen, match, usable
from compression.distillation.losses import DISTILLATIONS
from compression.distillation.stages import Stage, stages
from compression.distillation.views import View
from compression.models.architectures import MLP, LeNet5, ResNet, torchvision_model
from compression.models.zoo import load_model
from compression.pruning import prune
from compression.recipe import Prune
from compression.registry import UserError

# By hand: name, shape, weighted layers done of all. A shortcut's convolution and BatchNorms: the
# latter have no weight of two dimensions.
CASES: dict[str, tuple[nn.Module, tuple[int, ...], list[tuple[str, tuple[int, ...], float]]]] = {
    "mlp": (
        MLP(12, [8, 6], 4, dropout=0.2, input_dropout=0.1),
        (3, 2, 2),
        [("layers.1 (input)", (8,), 1 / 3), ("layers.2 (input)", (6,), 2 / 3)],
    ),
    "lenet5": (
        LeNet5((4, 6), 10),
        (1, 28, 28),
        [
            ("conv1", (4, 24, 24), 1 / 4),
            ("conv2", (6, 8, 8), 2 / 4),
            ("fc1 (input)", (96,), 2 / 4),
            ("fc2 (input)", (10,), 3 / 4),
        ],
    ),
    "resnet": (  # stem; two blocks of two; two blocks of two and a shortcut; head
        ResNet(1, (4, 6), 2, 10),
        (1, 8, 8),
        [("blocks.1", (4, 8, 8), 5 / 11), ("blocks.3", (6, 4, 4), 10 / 11), ("head (input)", (6,), 10 / 11)],
    ),
    "resnet18": (
        torchvision_model("resnet18", 10),
        (3, 64, 64),
        [
            ("relu", (64, 32, 32), 1 / 21),
            ("layer1", (64, 16, 16), 5 / 21),
            ("layer2", (128, 8, 8), 10 / 21),
            ("layer3", (256, 4, 4), 15 / 21),
            ("layer4", (512, 2, 2), 20 / 21),
            ("fc (input)", (512,), 20 / 21),
        ],
    ),
    # Not the expanding convolutions, which still have the resolution of the block before.
    "mobilenet_v2": (
        torchvision_model("mobilenet_v2", 10),
        (3, 64, 64),
        [
            ("features.1", (16, 32, 32), 3 / 53),
            ("features.3", (24, 16, 16), 9 / 53),
            ("features.6", (32, 8, 8), 18 / 53),
            ("features.13", (96, 4, 4), 39 / 53),
            ("features.18", (1280, 2, 2), 52 / 53),
            ("classifier.1 (input)", (1280,), 52 / 53),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_stages_are_those_found_by_hand(name: str) -> None:
    model, shape, expected = CASES[name]
    found = stages(model, shape)
    assert [(stage.name, stage.shape) for stage in found] == [row[:2] for row in expected]
    assert [stage.depth for stage in found] == pytest.approx([row[2] for row in expected])


def test_a_model_of_one_resolution_has_the_vector_alone_where_no_map_is_left() -> None:
    # At 32×32 the last group has one position: what it holds is what the linear layer reads.
    found = stages(torchvision_model("resnet18", 10), (3, 32, 32))
    assert [stage.name for stage in found] == ["relu", "layer1", "layer2", "layer3", "fc (input)"]


def test_what_is_only_pooled_is_no_stage_of_its_own() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2), nn.AdaptiveAvgPool2d(4))
    assert [stage.name for stage in stages(model, (1, 10, 10))] == ["1", "3"]


def test_the_image_itself_is_no_stage_however_it_arrives() -> None:
    model = nn.Sequential(nn.Identity(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3), nn.Linear(3, 2))
    assert [(stage.name, stage.shape) for stage in stages(model, (1, 4, 4))] == [("5 (input)", (3,))]
    assert stages(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4)) == ()


def test_a_vector_that_two_layers_read_is_one_stage() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.left, self.right = nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x.flatten(1)).relu()
            return self.left(x) + self.right(x)

    assert [stage.name for stage in stages(TwoHeads(), (1, 2, 2))] == ["left (input)"]


class Tokens(nn.Module):
    """A vision transformer in small: patches, then layers of tokens, then their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, 4)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patch(x).flatten(2).mT).mean(1))


def test_tokens_are_a_map_of_one_column() -> None:
    model = Tokens().eval()
    found = stages(model, (1, 8, 8))
    assert [(stage.name, stage.shape) for stage in found] == [
        ("patch", (8, 2, 2)),
        ("encoder", (8, 4, 1)),
        ("head (input)", (8,)),
    ]
    with Watch(model, found) as watch:
        model(torch.randn(5, 1, 8, 8))
        shown = watch.features()
    assert [tuple(values.shape) for values in shown] == [(5, *stage.shape) for stage in found]
    torch.testing.assert_close(shown[1].mean((2, 3)), shown[2])  # the head reads the mean of the tokens


def test_a_module_called_twice_is_seen_the_last_time() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act, self.head = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = F.max_pool2d(self.act(self.conv(x)), 2)
            return self.head(self.act(self.conv(x)).flatten(1))

    model = Twice()
    found = stages(model, (1, 4, 4))
    assert [(stage.name, stage.shape) for stage in found] == [("act", (1, 2, 2)), ("head (input)", (4,))]
    assert [stage.depth for stage in found] == pytest.approx([2 / 3, 2 / 3])
    with Watch(model, found) as watch:
        model(torch.randn(2, 1, 4, 4))
        first, second = watch.features()
    torch.testing.assert_close(first.flatten(1), second)


def test_a_pruned_model_shows_the_widths_that_are_left() -> None:
    stage = Prune(granularity="channels", scope="layer", sparsity=0.5)
    pruned = prune(load_model("digits-cnn"), stage, (1, 8, 8)).model
    found = stages(pruned, (1, 8, 8))
    assert [stage.shape for stage in found] == [(16, 8, 8), (32, 4, 4), (32,)]
    pairs = match(found, stages(load_model("digits-cnn"), (1, 8, 8)))
    assert [(s.name, t.name) for s, t in pairs] == [(stage.name, stage.name) for stage in found]


def test_finding_stages_leaves_the_model_as_it_was() -> None:
    model = ResNet(1, (4, 6), 1, 10).train()
    model.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stages(model, (1, 8, 8))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert hooks(model) == 0 and all(weight.requires_grad for weight in model.parameters())


def test_an_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"^input_shape is \(3, 8, 8\); the model cannot run on it: "):
        stages(ResNet(1, (4, 6), 1, 10), (3, 8, 8))


# Matching


def places(*rows: tuple[float, int]) -> list[Stage]:
    """Stages by depth and side; side 0 is a vector."""
    return [Stage(f"{i}", (4, side, side) if side else (4,), depth) for i, (depth, side) in enumerate(rows)]


def cost(a: Stage, b: Stage) -> float:
    sides = [stage.shape[1] if len(stage.shape) == 3 else 0 for stage in (a, b)]
    if 0 in sides:
        return abs(a.depth - b.depth) + 2 * (sides[0] != sides[1])
    halvings, side = 0.0, max(sides)
    while side > min(sides):
        side, halvings = side // 2, halvings + 1
    return abs(a.depth - b.depth) + 0.5 * halvings


def slow_match(student: list[Stage], teacher: list[Stage]) -> float:
    """The least cost of all pairings in order that end with both last stages, each tried."""
    short, long = sorted((student, teacher), key=len)
    return min(
        sum(cost(a, long[j]) for a, j in zip(short, (*picks, len(long) - 1), strict=True))
        for picks in itertools.combinations(range(len(long) - 1), len(short) - 1)
    )


@pytest.mark.parametrize("seed", range(20))
def test_matching_finds_the_least_cost_of_all_pairings_in_order(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (
        places(
            *zip(
                torch.rand(n, generator=generator).sort().values.tolist(),
                torch.tensor([0, 1, 2, 4, 8, 16])[torch.randint(0, 6, (n,), generator=generator)].tolist(),
                strict=True,
            )
        )
        for n in torch.randint(1, 7, (2,), generator=generator).tolist()
    )
    pairs = match(student, teacher)
    assert len(pairs) == min(len(student), len(teacher))
    assert pairs[-1] == (student[-1], teacher[-1])
    for side, stage_list in enumerate((student, teacher)):
        order = [stage_list.index(pair[side]) for pair in pairs]
        assert order == sorted(set(order))
    assert sum(cost(s, t) for s, t in pairs) == pytest.approx(slow_match(student, teacher))
    assert match(teacher, student) == tuple((t, s) for s, t in pairs)


def test_a_network_matches_itself_stage_by_stage_and_nothing_with_nothing() -> None:
    found = places((0.2, 16), (0.5, 8), (0.9, 4), (0.9, 0))
    assert match(found, found) == tuple(zip(found, found, strict=True))
    assert match([], found) == match(found, []) == ()


def test_a_shallow_network_meets_the_same_resolutions_of_a_deep_one() -> None:
    student = places((0.25, 8), (0.75, 4), (0.75, 0))
    teacher = places((0.1, 32), (0.3, 16), (0.5, 8), (0.8, 4), (0.9, 2), (0.9, 0))
    assert [t.name for _, t in match(student, teacher)] == ["2", "3", "5"]


def test_a_person_may_choose_and_the_order_of_depth_is_kept() -> None:
    student, teacher = places((0.3, 8), (0.9, 0)), places((0.2, 16), (0.5, 8), (0.9, 0))
    pairs = chosen(student, teacher, [("1", "2"), ("0", "0")])
    assert pairs == ((student[0], teacher[0]), (student[1], teacher[2]))


def test_a_stage_that_is_not_there_is_named_with_those_that_are() -> None:
    student, teacher = places((0.3, 8), (0.9, 0)), places((0.2, 16), (0.5, 8), (0.9, 0))
    with pytest.raises(UserError, match=r"^Unknown stage of the teacher 'conv9'; choose one of: 0, 1, 2$"):
        chosen(student, teacher, [("0", "conv9")])
    with pytest.raises(UserError, match=r"^Unknown stage of the student '2'.*: 0, 1$"):
        chosen(student, teacher, [("2", "2")])


@pytest.mark.parametrize("key", DISTILLATIONS)
def test_what_cannot_be_used_is_what_fails_and_the_reason_is_one_line(key: str) -> None:
    """The losses raise exactly where ``usable`` has a reason."""
    mapped, vector = places((0.3, 4))[0], places((0.9, 0))[0]
    for pairs in ((), ((mapped, mapped),), ((mapped, vector),), ((vector, vector),) * 2, ((mapped, mapped),) * 2):
        shown = tuple(tuple(torch.randn(3, *stage.shape) for stage in side) for side in zip(*pairs, strict=True))
        student, teacher = (View(torch.randn(3, 4), features) for features in shown or ((), ()))
        reason = usable(key, pairs)
        if reason is None:
            assert torch.isfinite(DISTILLATIONS[key].call(student, teacher, torch.tensor([0, 1, 2]), 2.0))
        else:
            assert reason.startswith(f"{DISTILLATIONS[key].label} cannot be the method here: ") and "\n" not in reason
            with pytest.raises(UserError):
                DISTILLATIONS[key].call(student, teacher, torch.tensor([0, 1, 2]), 2.0)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UserError, match="Unknown method 'hints'.*did you mean 'hint'"):
        usable("hints", ())


# Watching


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_what_is_watched_is_what_the_network_computes() -> None:
    model = ResNet(1, (4, 6), 1, 10).eval()
    x = torch.randn(3, 1, 8, 8)
    first = model.blocks[0](F.relu(model.bn(model.stem(x))))
    second = model.blocks[1](first)
    found = stages(model, (1, 8, 8))
    with Watch(model, found[::-1]) as watch:
        logits = model(x)
        shown = watch.features()
    for values, expected in zip(shown, (second.mean((2, 3)), second, first), strict=True):
        assert torch.equal(values, expected)
    assert torch.equal(logits, model(x))


def test_hooks_are_gone_afterwards_also_after_a_fault() -> None:
    model = MLP(4, [3], 2)
    found = stages(model, (1, 2, 2))
    with Watch(model, found):
        assert hooks(model) > 0
    assert hooks(model) == 0
    with pytest.raises(RuntimeError), Watch(model, found):
        model(torch.randn(2, 5))
    assert hooks(model) == 0


def test_gradients_flow_through_what_is_watched() -> None:
    model = LeNet5((4, 6), 10)
    with Watch(model, stages(model, (1, 28, 28))[:1]) as watch:
        model(torch.randn(2, 1, 28, 28))
        watch.features()[0].square().sum().backward()  # type: ignore[no-untyped-call]
    assert model.conv1.weight.grad is not None and model.conv2.weight.grad is None


def test_no_stage_shows_what_an_earlier_pass_left() -> None:
    class Sometimes(nn.Module):
        skip = False

        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x.flatten(1))
            return x if self.skip else self.head(x)

    model = Sometimes()
    with Watch(model, stages(model, (1, 2, 2))) as watch:
        with pytest.raises(UserError, match=r"stage 'head \(input\)' was not reached"):
            watch.features()
        model(torch.randn(1, 4))
        assert len(watch.features()) == 1
        model.skip = True
        model(torch.randn(1, 4))
        with pytest.raises(UserError, match="was not reached"):
            watch.features()


def test_another_threads_pass_through_the_same_model_is_not_seen() -> None:
    model = MLP(4, [3], 2)
    with Watch(model, stages(model, (1, 2, 2))) as watch:
        model(torch.zeros(1, 4))
        mine = watch.features()[0]
        other = threading.Thread(target=model, args=(torch.ones(5, 4),))
        other.start()
        other.join()
        assert watch.features()[0] is mine


def test_a_stage_of_another_model_is_refused() -> None:
    with pytest.raises(UserError, match="Unknown stage 'fc1'"):
        Watch(MLP(4, [3], 2), [Stage("fc1", (3,), 0.5)])


# Regressors


KINDS = {
    "map to map": ((3, 8, 8), (5, 8, 8), (5, 8, 8)),
    "larger map": ((3, 8, 8), (5, 4, 2), (5, 4, 2)),
    "smaller map": ((3, 4, 4), (5, 8, 8), (5, 4, 4)),
    "vector to vector": ((3,), (5,), (5,)),
    "map to vector": ((3, 8, 8), (5,), (5,)),
    "vector to map": ((3,), (5, 8, 8), (5, 1, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_regressors_give_the_teachers_widths_at_the_smaller_size(kind: str) -> None:
    student, teacher, expected = KINDS[kind]
    mine, theirs = [Stage("a", student, 1)], [Stage("b", teacher, 1)]
    regressors = Regressors(mine, theirs)
    x = torch.randn(2, *student)
    (out,) = regressors([x])
    assert out.shape == (2, *expected)
    # By hand: the weights on what is left of every position, each mean taken first.
    weight, bias = (parameter.detach().flatten(1) if parameter.dim() > 1 else parameter.detach()
                    for parameter in regressors.parameters())  # fmt: skip
    x = x if x.dim() == 4 else x[:, :, None, None]
    height, width = expected[1:] or (1, 1)
    blocks = x.view(2, 3, height, x.shape[2] // height, width, x.shape[3] // width).mean((3, 5))
    by_hand = torch.einsum("oc,nchw->nohw", weight, blocks) + bias[:, None, None]
    torch.testing.assert_close(out.view_as(by_hand), by_hand)
    other = View(torch.zeros(2, 4), (torch.randn(2, *teacher),))
    loss = DISTILLATIONS["hint"].call(View(torch.zeros(2, 4), (out,)), other, torch.tensor([0, 1]), 1.0)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in regressors.parameters())


def test_a_regressor_for_each_pair() -> None:
    with pytest.raises(UserError, match="student has 1 matched stages and the teacher 2"):
        Regressors(places((1, 4)), places((0.5, 4), (1, 4)))


BUILDS = {
    "mlp": lambda: MLP(784, [10, 8], 10),
    "lenet5": lambda: LeNet5((4, 6), 12),
    "resnet": lambda: ResNet(1, (4, 6, 8), 1, 10),
}


@pytest.mark.parametrize("teacher_name", BUILDS)
@pytest.mark.parametrize("student_name", BUILDS)
def test_every_usable_method_teaches_every_architecture(student_name: str, teacher_name: str) -> None:
    torch.manual_seed(0)
    student, teacher = BUILDS[student_name]().train(), BUILDS[teacher_name]().eval()
    x, labels = torch.randn(4, 1, 28, 28), torch.arange(4)
    pairs = match(stages(student, (1, 28, 28)), stages(teacher, (1, 28, 28)))
    assert len(pairs) >= 2
    mine, theirs = zip(*pairs, strict=True)
    with torch.no_grad(), Watch(teacher, theirs) as watch:
        answer = View(teacher(x), watch.features())
    for key, card in DISTILLATIONS.items():
        if usable(key, pairs):
            assert key == "attention" and "mlp" in (student_name, teacher_name)
            continue
        with Watch(student, mine) as watch:
            logits = student(x)
            shown = watch.features()
        student.zero_grad()
        shown = Regressors(mine, theirs)(shown) if "regressors" in card.needs else shown
        card.call(View(logits, shown), answer, labels, 4.0).backward()
        found = [weight.grad for weight in student.parameters() if weight.grad is not None]
        assert found and all(torch.isfinite(gradient).all() for gradient in found)
        assert sum(float(gradient.abs().sum()) for gradient in found) > 0
