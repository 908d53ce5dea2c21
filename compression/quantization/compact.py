"""An ONNX file without what only people read: long names and shapes weigh as much as a small model's weights."""

from __future__ import annotations

from compression.registry import UserError


def compact(file: bytes) -> bytes:
    """The same graph with short names, no recorded shapes and no comments; its input and outputs keep their names.

    Raises:
        UserError: no layer of the graph has int8 weights.
    """
    import onnx

    model = onnx.load_from_string(file)
    graph = model.graph
    if not any(tensor.data_type == onnx.TensorProto.INT8 and tensor.dims for tensor in graph.initializer):
        raise UserError("The model cannot be quantised: it has no convolution or linear layer with weights of its own")
    names = {one.name: one.name for one in (*graph.input, *graph.output)} | {"": ""}
    for tensor in graph.initializer:
        tensor.name = names.setdefault(tensor.name, f"{len(names):x}")
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.setdefault(name, f"{len(names):x}") for name in ends]
        node.name = node.doc_string = ""
        del node.metadata_props[:]
    del graph.value_info[:]
    del model.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    return bytes(model.SerializeToString())
