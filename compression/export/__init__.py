"""A compressed model as files that can be shipped: safetensors, ONNX, a torch.export program, packed weights."""

from __future__ import annotations

from compression.export.folder import export_model
from compression.export.formats import FORMATS, Format
from compression.export.packed import load_packed
from compression.export.plain import plain_python
from compression.export.source import Source, read_source

__all__ = [
    "FORMATS",
    "Format",
    "Source",
    "export_model",
    "load_packed",
    "plain_python",
    "read_source",
]
