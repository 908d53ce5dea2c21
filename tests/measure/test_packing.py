from __future__ import annotations

import pytest
import torch
from torch import Tensor

from compression.measure.packing import best_encoding, encoded_bytes, pack, unpack


def holed(shape: tuple[int, ...], fraction: float, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(1, 100, shape, generator=generator).to(dtype)
    values[torch.rand(shape, generator=generator) < fraction] = 0
    return values


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8, torch.int64, torch.bool])
def test_round_trip(fraction: float, dtype: torch.dtype) -> None:
    state = {
        "conv": holed((8, 3, 5, 5), fraction, dtype),
        "wide": holed((3, 70_000), fraction, dtype),
        "bias": holed((11,), fraction, dtype),
        "scalar": torch.tensor(3).to(dtype),
        "empty": torch.zeros(0, 4, dtype=dtype),
        "strided": holed((6, 4), fraction, dtype).t(),
    }
    back = unpack(pack(state))
    assert list(back) == list(state)
    for name, tensor in state.items():
        assert back[name].dtype == dtype
        assert torch.equal(back[name], tensor), name


def test_nan_and_infinity_survive_and_minus_zero_becomes_zero() -> None:
    tensor = torch.tensor([0.0, float("nan"), float("inf"), -0.0, 0, 0, 0, 0, 0, 0, 0])
    back = unpack(pack({"x": tensor}))["x"]
    assert torch.equal(back.nan_to_num(7), tensor.nan_to_num(7))
    assert not torch.signbit(back[3])


def test_formulas_by_hand() -> None:
    # 4×300 float32, 10 nonzeros: a mask of 150 bytes; 5 row starts of 1 byte, columns to 299 in 2.
    assert encoded_bytes((4, 300), 4, 10) == {"dense": 4800, "bitmask": 150 + 40, "csr": 5 + 10 * (2 + 4)}
    # One row more than a byte holds: 300 nonzeros need row starts of 2 bytes, columns to 255 one.
    assert encoded_bytes((2, 256), 4, 300)["csr"] == 3 * 2 + 300 * (1 + 4)
    # A bit for each of 11 places takes two whole bytes.
    assert encoded_bytes((11,), 8, 1)["bitmask"] == 2 + 8
    assert encoded_bytes((256,), 2, 3)["csr"] == 2 * 1 + 3 * (1 + 2)


def test_each_encoding_wins_somewhere_and_is_what_the_bytes_hold() -> None:
    winners = set()
    for fraction in (0.0, 0.5, 0.99):
        tensor = holed((50, 60), fraction)
        name, size = best_encoding((50, 60), 4, int(tensor.count_nonzero()))
        winners.add(name)
        packed = pack({"x": tensor})
        assert len(packed) == 8 + int.from_bytes(packed[:8], "little") + size
        assert name.encode() in packed
    assert winners == {"dense", "bitmask", "csr"}
