"""A quantised model: an ONNX file with int8 weights, run by ONNX Runtime, as a torch module.

The module holds the bytes of the file as a buffer, so that it is copied, pickled, saved and loaded like
every other, and answers like every other. It has no parameters: nothing of it can be trained or pruned.

Shapes: N images, C channels, H×W pixels, K classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compression.registry import UserError, quoted

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Whose operators a file may use: those that ONNX Runtime itself brings."""

SHAPE_BYTES = 4096
"""More than any shape takes that is held as a tensor."""
MOST_VALUES = 2**26
"""Of a tensor that is made for one image, beyond one for each byte of the file."""
UNSIZED = frozenset(
    "Add AveragePool BatchNormalization Cast Clip Concat Conv ConvInteger DequantizeLinear Div DynamicQuantizeLinear "
    "Einsum Equal Erf Exp Expand Flatten Gather Gelu Gemm GlobalAveragePool GreaterOrEqual HardSigmoid HardSwish "
    "LayerNormalization LeakyRelu MatMul MatMulInteger MaxPool Mod Mul Not Pad Pow QuantizeLinear Range ReduceL2 "
    "ReduceMean Relu Reshape Sigmoid Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where".split()
)
"""Operators whose results may have a size that the graph does not tell, as between the windows of a Swin."""


@dataclass(frozen=True)
class Origin:
    """What was measured of the float model that was quantised, and that its file does not tell.

    Attributes:
        params: parameters, zeros included.
        nonzero: parameters other than zero.
        sparsity: zeros among its prunable weights.
        macs: multiply-accumulates of an image.
        int8_macs: how many of them are of int8 numbers now.
        peak_bytes: the most bytes of activations alive at once.
        activation_bytes: bytes of all activations.
    """

    params: int
    nonzero: int
    sparsity: float
    macs: int
    int8_macs: int
    peak_bytes: int
    activation_bytes: int


class Quantized(nn.Module):
    """Runs the ONNX file that it holds, on one thread of the processor.

    Args:
        size: bytes of the file; they are zeros until ``load_state_dict`` fills them.
        origin: the fields of ``Origin``.
    """

    graph: Tensor

    def __init__(self, size: int, origin: Mapping[str, Any]) -> None:
        super().__init__()
        self.origin = Origin(**origin)
        self.register_buffer("graph", torch.zeros(size, dtype=torch.uint8))
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]
        self._session: Any = None

    @property
    def file(self) -> bytes:
        """The ONNX file; input ``input``, output ``logits``."""
        return self.graph.cpu().numpy().tobytes()

    @property
    def outline(self) -> str:
        """The operators of the graph and the shapes of its tensors, without their values."""
        import onnx

        graph = onnx.load_from_string(self.file).graph
        return json.dumps([[node.op_type for node in graph.node], [list(tensor.dims) for tensor in graph.initializer]])

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits N×K, without gradients. Raises UserError for what is no plain tensor but a tracer's stand-in."""
        if type(x_NCHW) is not Tensor:
            raise UserError("an int8 file cannot be traced, ONNX Runtime runs it; export it as onnx")
        if self._session is None:
            file = self.file
            check_graph(file)
            self._session = session_of(file)
        (logits,) = self._session.run(None, {"input": x_NCHW.detach().float().cpu().contiguous().numpy()})
        return torch.from_numpy(logits).to(x_NCHW.device)

    def __getstate__(self) -> dict[str, Any]:
        """All but the session, which no other process could use."""
        return {**self.__dict__, "_session": None}


def session_of(file: bytes) -> Any:
    """An ONNX file ready to run on the CPU: one thread, sequential, all graph optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def check_graph(file: bytes) -> None:
    """Look a graph over before it is run, since anybody may have written it.

    Raises:
        UserError: it is not ONNX, reads other files, uses operators that are not ONNX Runtime's own, has
            loops or branches, holds NaN or infinite values, or makes more of an image than any sound one does.
    """
    import onnx

    try:
        model = onnx.load_from_string(file)
    except Exception as fault:  # of whatever reads protocol buffers here
        raise UserError(f"The quantised file is not ONNX ({type(fault).__name__})") from None
    for node in model.graph.node:
        if node.domain not in DOMAINS:
            raise UserError(
                f"The quantised file has the operator {quoted(node.op_type)} of domain {quoted(node.domain)}"
            )
        if any(part.HasField("g") or part.graphs for part in node.attribute):
            raise UserError(f"The quantised file has a graph within its graph ({quoted(node.op_type)})")
    parts = [part for node in model.graph.node for part in node.attribute]
    sparse = any(part.HasField("sparse_tensor") or part.sparse_tensors for part in parts)
    if model.functions or model.graph.sparse_initializer or sparse:
        raise UserError("The quantised file has functions or sparse tensors of its own, which are not run")
    held = [part.t for part in parts if part.HasField("t")] + [tensor for part in parts for tensor in part.tensors]
    for tensor in (*model.graph.initializer, *held):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UserError(f"The quantised file has tensor {quoted(tensor.name)} in another file")
        values = onnx.numpy_helper.to_array(tensor)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise UserError(f"The quantised file's tensor {quoted(tensor.name)} holds NaN or infinite values")
    _check_sizes(model, MOST_VALUES + len(file))


def _check_sizes(model: Any, most: int) -> None:
    """Raise UserError where an operator makes more than so many values of one image, or may without its graph saying.

    A few bytes can ask for any amount: a constant of a shape, the product of a column and a row.
    """
    import onnx

    graph = model.graph
    del graph.value_info[:]  # what a file says of its own tensors proves nothing
    for end in graph.output:
        end.type.tensor_type.ClearField("shape")
    for end in graph.input:
        if end.type.tensor_type.shape.dim:
            end.type.tensor_type.shape.dim[0].dim_value = 1
    for tensor in graph.initializer:
        if len(tensor.raw_data) > SHAPE_BYTES:  # weights tell no shapes, and would be copied twice
            tensor.ClearField("raw_data")
    told = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    known = {value.name: _numbers(value.type.tensor_type) for value in (*told.value_info, *told.output)}
    for node in graph.node:
        for name in filter(None, node.output):
            numbers = known.get(name)
            if numbers is None and node.op_type not in UNSIZED:
                raise UserError(f"The quantised file does not tell the size of what {quoted(node.op_type)} makes")
            if numbers and numbers > most:
                raise UserError(
                    f"The quantised file makes {numbers:,} numbers of one image ({quoted(node.op_type)}); "
                    f"at most {most:,} are made"
                )


def _numbers(kind: Any) -> int | None:
    """How many numbers a tensor of this type has; None where its shape is not told."""
    sizes = [size.dim_value for size in kind.shape.dim if size.HasField("dim_value")]
    return math.prod(sizes) if kind.HasField("shape") and len(sizes) == len(kind.shape.dim) else None


def _forget(model: nn.Module, _: object) -> None:
    """Other bytes were loaded: the session of those before is of no use."""
    model._session = None  # type: ignore[assignment]
