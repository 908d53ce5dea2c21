from __future__ import annotations

import safetensors.torch
import torch
import torchvision
from torch import nn
from torch.nn.utils import prune

from compression.measure import (
    file_bytes,
    layer_sizes,
    nonzero,
    pack,
    packed_bytes,
    params,
    sizes,
    sparsity,
    stored,
)
from tests.measure.nets import Encoder, Tied, cnn, sparse


class ManyKinds(nn.Module):
    """A buffer of every common dtype, odd shapes, and a name outside ASCII and one with a quote."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5).to(torch.bfloat16)
        for i, dtype in enumerate(
            (torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.int32, torch.float64)
        ):
            self.register_buffer(f"b{i}", torch.ones(7 + 13 * i, dtype=dtype))
        self.register_buffer("größe", torch.tensor(3))
        self.register_buffer('with "quotes"', torch.zeros(2, 0, 3))


def test_file_bytes_is_the_length_of_the_real_file() -> None:
    models = (cnn(), Encoder(), ManyKinds(), torchvision.models.mobilenet_v2(num_classes=10))
    for model in models:
        assert file_bytes(model) == len(safetensors.torch.save(model.state_dict())), type(model)


def test_tied_weights_are_stored_once() -> None:
    model = Tied()
    once = {name: tensor for name, tensor in model.state_dict().items() if name != "second.weight"}
    assert stored(model).keys() == once.keys()
    assert file_bytes(model) == len(safetensors.torch.save(once))
    assert params(model) == 6 * 6 + 6 + 6


def test_counts_equal_a_slow_count() -> None:
    model = sparse(cnn(), 0.7)
    values = [float(v) for p in model.parameters() for v in p.detach().flatten()]
    assert params(model) == len(values)
    assert nonzero(model) == sum(v != 0 for v in values)
    weights = [float(v) for i in (0, 3, 6) for v in model[i].weight.detach().flatten()]  # type: ignore[index]
    assert sparsity(model) == sum(v == 0 for v in weights) / len(weights)


def test_sparsity_ignores_biases_and_normalisation() -> None:
    model = cnn()
    with torch.no_grad():
        model[0].bias.zero_()  # type: ignore[index]
        model[1].weight.zero_()  # type: ignore[index]
    assert sparsity(model) == 0
    assert nonzero(model) == params(model) - 8 - 8 - 8  # BatchNorm's biases begin as zeros
    assert sparsity(nn.ReLU()) == 0


def test_packed_bytes_is_the_length_of_the_packed_file() -> None:
    for fraction in (0.0, 0.3, 0.9, 0.99, 1.0):
        model = sparse(Encoder(hidden=27), fraction)
        assert packed_bytes(model) == len(pack(stored(model)))


def test_packing_rewards_zeros() -> None:
    dense, half, most = (packed_bytes(sparse(nn.Linear(300, 100), f)) for f in (0.0, 0.5, 0.9))
    assert dense > 4 * 30_000
    assert 0.5 < half / dense < 0.55  # half the values and a bit for each place
    assert 0.1 < most / dense < 0.14


def test_all_at_once_equals_one_by_one() -> None:
    for model in (sparse(cnn(), 0.6), Tied(), Encoder()):
        size = sizes(model)
        assert size.params == params(model)
        assert size.nonzero == nonzero(model)
        assert size.sparsity == sparsity(model)
        assert size.file_bytes == file_bytes(model)
        assert size.packed_bytes == packed_bytes(model)


def test_masks_left_on_cost_twice_the_file() -> None:
    model = nn.Linear(50, 40)
    prune.l1_unstructured(model, "weight", amount=0.5)
    assert file_bytes(model) > 2 * 4 * 50 * 40
    assert sparsity(model) == sizes(model).sparsity == 0.5


def test_layer_rows_sum_to_the_model() -> None:
    model = sparse(cnn(), 0.5)
    rows = layer_sizes(model)
    assert [(row.layer, row.kind) for row in rows] == [
        ("0", "Conv2d"), ("1", "BatchNorm2d"), ("3", "Conv2d"), ("6", "Linear"),
    ]  # fmt: skip
    assert sum(row.params for row in rows) == params(model)
    assert sum(row.nonzero for row in rows) == nonzero(model)
    assert sum(row.dense_bytes for row in rows) == sum(t.nbytes for t in model.state_dict().values())
    assert rows[1].sparsity is None
    assert rows[2].shape == (8, 2, 3, 3)
    assert rows[2].sparsity == float((model[3].weight == 0).double().mean())  # type: ignore[index]
    assert rows[2].packed_bytes < rows[2].dense_bytes
