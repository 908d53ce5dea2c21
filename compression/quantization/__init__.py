"""Quantising: a model as an ONNX file with int8 weights, and that file as a module."""

from __future__ import annotations

from compression.quantization.modes import MODES
from compression.quantization.quantize import Made, quantize

__all__ = ["MODES", "Made", "quantize"]
