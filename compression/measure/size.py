"""Size: parameters, zeros, and bytes as files that exist, never as a promise."""

from __future__ import annotations

import json
from dataclasses import dataclass

from torch import Tensor, nn

from compression.measure.packing import DTYPES, best_encoding, packed_length
from compression.models.quantized import Quantized

_ORDER = {dtype: place for place, dtype in enumerate(DTYPES)}
PRUNABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""The layers whose ``weight`` counts towards sparsity; biases and normalisation do not."""


@dataclass(frozen=True)
class Sizes:
    """The size of one model in every sense; fields as in ``Measurement``."""

    params: int
    nonzero: int
    sparsity: float
    file_bytes: int
    packed_bytes: int


@dataclass(frozen=True)
class LayerSize:
    """The size of the parameters and buffers that one module holds itself.

    ``sparsity`` is of its prunable weight, None where it has none; the bytes are of its tensors
    without any header.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    params: int
    nonzero: int
    sparsity: float | None
    dense_bytes: int
    packed_bytes: int


def params(model: nn.Module) -> int:
    """Number of parameters, zeros included; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def nonzero(model: nn.Module) -> int:
    """Number of parameters that are not zero, biases and normalisation included."""
    return sum(int(parameter.count_nonzero()) for parameter in model.parameters())


def sparsity(model: nn.Module) -> float:
    r"""Fraction of zeros among the prunable weights of Linear and Conv layers, 0 where there are none.

    .. math:: 1 - \frac{\sum_l \lVert W_l \rVert_0}{\sum_l |W_l|}
    """
    weights = prunable_weights(model).values()
    total = sum(weight.numel() for weight in weights)
    return _zeros(total, sum(int(weight.count_nonzero()) for weight in weights))


def file_bytes(model: nn.Module) -> int:
    """Exact bytes of the dense safetensors file of the state dict, buffers included, without metadata."""
    return _file_length(stored(model))


def packed_bytes(model: nn.Module) -> int:
    """Exact bytes of the state dict with its zeros dropped: ``len(pack(stored(model)))``.

    Each tensor takes the smallest of dense, bitmask and CSR; the formulas are in ``packing``.
    """
    state = stored(model)
    return packed_length(state, {name: int(tensor.count_nonzero()) for name, tensor in state.items()})


def sizes(model: nn.Module) -> Sizes:
    """All sizes at once, counting the zeros of each tensor a single time.

    Of a quantised module the bytes are those of its ONNX file, graph included, the other numbers those
    of its float original.
    """
    state = stored(model)
    counts = {name: int(tensor.count_nonzero()) for name, tensor in state.items()}
    if isinstance(model, Quantized):
        known = model.origin
        packed = packed_length(state, counts)
        return Sizes(known.params, known.nonzero, known.sparsity, len(model.file), packed)
    by_address = {_address(tensor): counts[name] for name, tensor in state.items()}

    def count(tensor: Tensor) -> int:
        known = by_address.get(_address(tensor))
        return int(tensor.count_nonzero()) if known is None else known

    weights = list(prunable_weights(model).values())
    total = sum(weight.numel() for weight in weights)
    return Sizes(
        params=params(model),
        nonzero=sum(count(parameter) for parameter in model.parameters()),
        sparsity=_zeros(total, sum(count(weight) for weight in weights)),
        file_bytes=_file_length(state),
        packed_bytes=packed_length(state, counts),
    )


def layer_sizes(model: nn.Module) -> list[LayerSize]:
    """One row for every module that holds parameters itself, in the order of the model."""
    rows = (_layer_size(name, module) for name, module in model.named_modules())
    return [row for row in rows if row.params]


def prunable_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weight of every Linear and Conv layer by the layer's name, as the layer computes with it."""
    return {name: module.weight.detach() for name, module in model.named_modules() if isinstance(module, PRUNABLE)}


def stored(model: nn.Module) -> dict[str, Tensor]:
    """The state dict as a file holds it: tensors that share their memory once, under the first name."""
    seen: set[tuple[int, ...]] = set()
    state = {}
    for name, tensor in model.state_dict().items():
        address = _address(tensor)
        if tensor.numel() == 0 or address not in seen:
            state[name] = tensor
            seen.add(address)
    return state


def _zeros(total: int, nonzero: int) -> float:
    return (total - nonzero) / total if total else 0.0


def _address(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.data_ptr(), *tensor.shape, *tensor.stride())


def _layer_size(name: str, module: nn.Module) -> LayerSize:
    own = dict(module.named_parameters(recurse=False))
    tensors = [*own.values(), *module.buffers(recurse=False)]
    counts = [int(tensor.count_nonzero()) for tensor in tensors]
    weight = module.weight if isinstance(module, PRUNABLE) else None
    main = weight if weight is not None else next(iter(own.values()), None)
    packed = (
        best_encoding(tensor.shape, tensor.itemsize, count)[1] for tensor, count in zip(tensors, counts, strict=True)
    )
    return LayerSize(
        layer=name,
        kind=type(module).__name__,
        shape=() if main is None else tuple(main.shape),
        params=sum(parameter.numel() for parameter in own.values()),
        nonzero=sum(counts[: len(own)]),
        sparsity=None if weight is None else _zeros(weight.numel(), int(weight.count_nonzero())),
        dense_bytes=sum(tensor.nbytes for tensor in tensors),
        packed_bytes=sum(packed),
    )


def _file_length(state: dict[str, Tensor]) -> int:
    """8 bytes of length, the JSON header padded with spaces to a multiple of 8, and the data."""
    # The library's own order, widest kind first and then by name: it decides how many digits
    # the offsets have, and so the header's length.
    names = sorted(state, key=lambda name: (-_ORDER[state[name].dtype], name))
    header, offset = {}, 0
    for name in names:
        tensor = state[name]
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + -(-len(text) // 8) * 8 + offset
