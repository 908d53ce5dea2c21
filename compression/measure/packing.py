"""The packed format: a state dict as bytes, each tensor in the smallest of three encodings.

A file is an 8-byte little-endian length, that many bytes of JSON (name → [dtype, shape,
encoding, k]) and then the tensors in the same order. With n elements of b bytes, k of them
nonzero, seen as R rows (the first dimension) of C columns:

====== ====================================== =============================================
name    bytes                                  contents
====== ====================================== =============================================
dense   n·b                                    the elements
bitmask ⌈n/8⌉ + k·b                            a bit for each element, then the nonzeros
csr     (R+1)·p + k·(i + b)                    row starts, columns, then the nonzeros
====== ====================================== =============================================

p and i are the smallest of 1, 2, 4, 8 bytes that can hold k and C-1. Minus zero becomes zero.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES: dict[torch.dtype, str] = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}
"""The names of safetensors, in the order of its enumeration, by which its files are sorted."""
_BY_NAME = {name: dtype for dtype, name in DTYPES.items()}
MAX_BYTES = 4 * 2**30
"""Of all tensors unpacked: a few bytes can name zeros without end."""


def encoded_bytes(shape: Sequence[int], itemsize: int, nonzero: int) -> dict[str, int]:
    """Bytes of one tensor in each encoding, without the header."""
    n, (rows, columns) = math.prod(shape), _matrix(shape)
    return {
        "dense": n * itemsize,
        "bitmask": -(-n // 8) + nonzero * itemsize,
        "csr": (rows + 1) * _width(nonzero) + nonzero * (_width(columns - 1) + itemsize),
    }


def best_encoding(shape: Sequence[int], itemsize: int, nonzero: int) -> tuple[str, int]:
    """The smallest encoding of one tensor and its bytes; the simpler one where two are equal."""
    sizes = encoded_bytes(shape, itemsize, nonzero)
    best = min(sizes, key=sizes.__getitem__)
    return best, sizes[best]


def packed_length(state: Mapping[str, Tensor], nonzeros: Mapping[str, int]) -> int:
    """``len(pack(state))`` from the counts of nonzeros alone."""
    table = _table(state, nonzeros)
    sizes = (best_encoding(state[name].shape, state[name].itemsize, nonzeros[name])[1] for name in table)
    return len(_header(table)) + sum(sizes)


def pack(state: Mapping[str, Tensor]) -> bytes:
    """A state dict as bytes, each tensor in its smallest encoding."""
    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    table = _table(dense, {name: int(tensor.count_nonzero()) for name, tensor in dense.items()})
    return b"".join([_header(table), *(_encode(dense[name], table[name][2]) for name in dense)])


def unpack(packed: bytes) -> dict[str, Tensor]:
    """The state dict that ``pack`` was given, bit for bit save the sign of zero.

    Raises:
        ValueError: the bytes are cut off, too many, or not a packed file; one line that says where.
    """
    table, start = _read_table(packed)
    lengths = {name: encoded_bytes(e[1], _BY_NAME[e[0]].itemsize, e[3])[e[2]] for name, e in table.items()}
    if start + sum(lengths.values()) != len(packed):
        raise ValueError(f"it has {len(packed):,} bytes where its header asks for {start + sum(lengths.values()):,}")
    state = {}
    for name, entry in table.items():
        try:
            state[name] = _decode(packed, start, *entry)
        except ValueError as fault:
            raise ValueError(f"tensor {name[:80]!r}: {fault}") from None
        start += lengths[name]
    return state


Entry = tuple[str, tuple[int, ...], str, int]


def _table(state: Mapping[str, Tensor], nonzeros: Mapping[str, int]) -> dict[str, Entry]:
    return {
        name: (
            DTYPES[tensor.dtype],
            tuple(tensor.shape),
            best_encoding(tensor.shape, tensor.itemsize, nonzeros[name])[0],
            nonzeros[name],
        )
        for name, tensor in state.items()
    }


def _header(table: Mapping[str, Entry]) -> bytes:
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    return len(text).to_bytes(8, "little") + text


def _encode(dense: Tensor, encoding: str) -> bytes:
    if encoding == "dense":
        return _raw(dense)
    mask = dense != 0
    if encoding == "bitmask":
        return np.packbits(mask.flatten().numpy()).tobytes() + _raw(dense[mask])
    rows, columns = _matrix(dense.shape)
    kept = mask.view(rows, columns)
    starts = np.concatenate([[0], kept.sum(1).cumsum(0).numpy()])
    return (
        starts.astype(_index(int(starts[-1]))).tobytes()
        + kept.nonzero()[:, 1].numpy().astype(_index(columns - 1)).tobytes()
        + _raw(dense[mask])
    )


def _read_table(packed: bytes) -> tuple[dict[str, Entry], int]:
    """The table of the header, every entry of it possible, and where the tensors begin."""
    start = 8 + int.from_bytes(packed[:8], "little")
    if len(packed) < max(8, start):
        raise ValueError("it ends within its header")
    try:
        table = json.loads(packed[8:start])
    except (ValueError, RecursionError):
        raise ValueError("its header is not JSON") from None
    if not isinstance(table, dict):
        raise ValueError("its header is no table")
    total = 0
    for name, entry in table.items():
        if not _possible(entry):
            raise ValueError(f"its header says of tensor {name[:80]!r} what cannot be")
        total += math.prod(entry[1]) * _BY_NAME[entry[0]].itemsize
        if total > MAX_BYTES:
            raise ValueError(f"its tensors would take more than {MAX_BYTES:,} bytes")
    return table, start


def _possible(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != 4:
        return False
    code, shape, encoding, nonzero = entry
    if not isinstance(code, str) or code not in _BY_NAME or encoding not in ("dense", "bitmask", "csr"):
        return False
    sides = isinstance(shape, list) and len(shape) <= 16 and all(type(n) is int and 0 <= n < 2**40 for n in shape)
    return sides and type(nonzero) is int and 0 <= nonzero <= math.prod(shape)


def _decode(packed: bytes, start: int, code: str, shape: Sequence[int], encoding: str, nonzero: int) -> Tensor:
    dtype, n = _BY_NAME[code], math.prod(shape)
    if encoding == "dense":
        return _values(packed, start, dtype, n).reshape(tuple(shape))
    if encoding == "bitmask":
        positions, start = _bitmask_positions(packed, start, n)
    else:
        positions, start = _csr_positions(packed, start, *_matrix(shape), nonzero)
    if len(positions) != nonzero:
        raise ValueError(f"{len(positions):,} places for {nonzero:,} values")
    dense = torch.zeros(n, dtype=dtype)
    dense[torch.from_numpy(positions)] = _values(packed, start, dtype, nonzero)
    return dense.reshape(tuple(shape))


def _bitmask_positions(packed: bytes, start: int, n: int) -> tuple[Any, int]:
    bits = np.frombuffer(packed, np.uint8, -(-n // 8), start)
    return np.unpackbits(bits, count=n).nonzero()[0], start + len(bits)


def _csr_positions(packed: bytes, start: int, rows: int, columns: int, nonzero: int) -> tuple[Any, int]:
    starts = np.frombuffer(packed, _index(nonzero), rows + 1, start).astype(np.int64)
    start += (rows + 1) * _width(nonzero)
    within = np.frombuffer(packed, _index(columns - 1), nonzero, start)
    lengths = starts[1:] - starts[:-1]
    if starts[0] or starts[-1] != nonzero or (lengths < 0).any() or (within >= columns).any():
        raise ValueError("rows or columns that are not there")
    row = np.repeat(np.arange(rows), lengths)
    return row * columns + within.astype(np.int64), start + within.nbytes


def _raw(dense: Tensor) -> bytes:
    return dense.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _values(packed: bytes, start: int, dtype: torch.dtype, count: int) -> Tensor:
    raw = bytearray(packed[start : start + count * dtype.itemsize])  # a copy, aligned and writable
    return torch.frombuffer(raw, dtype=dtype) if count else torch.zeros(0, dtype=dtype)


def _matrix(shape: Sequence[int]) -> tuple[int, int]:
    rows = shape[0] if len(shape) > 1 else 1
    return rows, math.prod(shape) // rows if rows else 0


def _width(largest: int) -> int:
    return next(width for width in (1, 2, 4, 8) if largest < 256**width)


def _index(largest: int) -> Any:
    return np.dtype(f"<u{_width(largest)}")
