"""One forward pass, watched: the multiply-accumulates and the tensors that were alive.

The formulas are those of ``torch.utils.flop_counter``. Its own FlopCounterMode is not used because it
hooks every module of the process, so that two sessions of a server would mix their counts, and
because it takes twice as long, which a slider feels.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from compression.models.quantized import Quantized
from compression.registry import UserError, in_a_line

_FUSED = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
_fused_lock = threading.Lock()


@dataclass(frozen=True)
class Trace:
    """What one forward pass on one image did.

    Attributes:
        macs: multiply-accumulates.
        peak_bytes: the most bytes of activations alive at once, the input included.
        activation_bytes: bytes of all activations that were made, the input included.
        int8_macs: how many of the multiply-accumulates are of int8 numbers.
    """

    macs: int
    peak_bytes: int
    activation_bytes: int
    int8_macs: int = 0


def trace(model: nn.Module, input_shape: tuple[int, ...]) -> Trace:
    """Run the module once on zeros, batch 1, in ``eval()`` mode, and watch every operator.

    Nothing can be watched inside ONNX Runtime: of a quantised module it is the trace of its float original.

    Args:
        model: any module that takes one tensor; its modes come back afterwards.
        input_shape: C×H×W of one image, without the batch.

    Raises:
        UserError: the module does not accept such an input.
    """
    if isinstance(model, Quantized):
        known = model.origin
        return Trace(known.macs, known.peak_bytes, known.activation_bytes, known.int8_macs)
    watcher = _watched(model, input_shape)
    return Trace(sum(watcher.flops.values()) // 2, watcher.peak_bytes, watcher.made_bytes)


def macs_by_module(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, int]:
    """Multiply-accumulates by the name of the module that does them itself, in order of first use.

    The values sum to ``trace(model, input_shape).macs``; modules that do none are left out, and
    ``""`` stands for the model's own ``forward``.
    """
    twin = copy.deepcopy(model)  # hooks on the caller's module would fire in other threads too
    owners = [""]
    for name, module in twin.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: owners.append(name))
        module.register_forward_hook(lambda *_: owners.pop() and None)
    flops = _watched(twin, input_shape, owners).flops
    return {name: count // 2 for name, count in flops.items()}


class _Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the FLOPs of each owner, and the bytes of the storages that live and die.

    Python frees a tensor as soon as nothing refers to it, so a weak reference to its storage
    tells exactly when its memory came back. Views and in-place results share a storage and count once.
    """

    def __init__(self, resident: list[Tensor], owners: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.owners = owners
        self.flops: dict[str, int] = defaultdict(int)
        self.live: dict[int, weakref.ref[Any] | None] = {_key(tensor): None for tensor in resident}
        self.live_bytes = self.peak_bytes = self.made_bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say no, or torch imports its compiler, seconds of work, just to be told to stay away."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:  # composite operators arrive whole when the caller is in inference_mode
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if formula is not None:
            self.flops[self.owners[-1]] += formula(*args, **kwargs, out_val=out)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.hold(leaf)
        return out

    def hold(self, tensor: Tensor) -> None:
        """Count the tensor's storage as alive until it dies."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.live:
            return

        def died(_: Any) -> None:
            del self.live[key]
            self.live_bytes -= size

        self.live[key] = weakref.ref(storage, died)
        self.made_bytes += size
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _watched(model: nn.Module, input_shape: tuple[int, ...], owners: list[str] | None = None) -> _Watcher:
    weights = [*model.parameters(), *model.buffers()]
    first = next((weight for weight in weights if weight.is_floating_point()), torch.zeros(0))
    x = torch.zeros(1, *input_shape, dtype=first.dtype, device=first.device)
    watcher = _Watcher(weights, owners or [""])
    watcher.hold(x)
    with evaluating(model), _unfused(model), torch.no_grad(), watcher:
        try:
            model(x)
        except (RuntimeError, ValueError, IndexError) as fault:
            given, reason = tuple(input_shape), in_a_line(fault)
            raise UserError(f"input_shape is {given}; the model cannot run on it: {reason}") from None
    return watcher


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """``eval()`` mode inside; afterwards every module is in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _unfused(model: nn.Module) -> Iterator[None]:
    """Without the fused attention operators, for which there is no FLOP formula.

    The switch belongs to the whole process, hence the lock: two threads would leave it off.
    """
    if not any(isinstance(module, _FUSED) for module in model.modules()):
        yield
        return
    with _fused_lock:
        before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(before)
