"""Torch-Pruning's dependency graph, asked for nothing but which sides of which layers hang together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from compression.models.structure import Layer
from compression.pruning.surgery import zero_input
from compression.registry import UserError, in_a_line

Items = Any
"""A coupled group as Torch-Pruning gives it: each item has a dependency, indices and root indices."""


class _LostError(Exception):
    """Indices multiply with every turn round a residual path, as in windows of attention, or leave what is split."""


class _Bounded(list[Any]):
    """The index mappings of a dependency, which stop once they give more indices than any layer has."""

    most = 0

    def __iter__(self) -> Iterator[Any]:
        for mapping in super().__iter__():
            yield None if mapping is None else partial(_at_most, self.most, mapping)


def _at_most(most: int, mapping: Callable[[list[Any]], list[Any]], indices: list[Any]) -> list[Any]:
    try:
        mapped = mapping(indices)
    except IndexError:  # a split after channels were shuffled, of which the tracer knows no parts
        raise _LostError from None
    if len(mapped) > most:
        raise _LostError
    return mapped


def trace(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The dependency graph, and the autograd node that gives the model's output.

    Raises:
        UserError: the model does not run on such an input, does not return one tensor, or cannot be traced.
    """
    import torch_pruning  # here, since only structured pruning needs it and it takes a moment

    results: list[Any] = []

    def forward(module: nn.Module, images: Tensor) -> Any:
        results.append(module(images))
        return results[0]

    try:
        graph = _graph(torch_pruning).build_dependency(
            model,
            zero_input(model, input_shape),
            forward_fn=forward,  # without it a batch of one is unpacked and loses its batch
            unwrapped_parameters=[],
            verbose=False,
        )
    except Exception as fault:  # whatever a stranger's forward, or the tracer, may raise
        reason = in_a_line(fault, 160)
        shape = "×".join(map(str, input_shape))
        raise UserError(
            f"The model's layers cannot be traced on an input of {shape} ({reason}); "
            "granularities weights, kernels and N:M do not need it"
        ) from None
    if not isinstance(results[0], Tensor):
        raise UserError(f"The model returns a {type(results[0]).__name__}; rows and channels need a tensor")
    return graph, results[0].grad_fn


def _graph(torch_pruning: Any) -> Any:
    """An empty graph that takes no view of more than four dimensions, as where channels are shuffled, for a flattening.

    Torch-Pruning means to leave those alone too, and asks torch for their sizes by a name of former versions.
    """

    class Graph(torch_pruning.DependencyGraph):  # type: ignore[misc]
        def _build_dependency(self, module2node: dict[Any, Any]) -> None:
            super()._build_dependency(module2node)
            for node in module2node.values():
                if len(getattr(node.grad_fn, "_saved_self_sym_sizes", ())) > 4:
                    node.type = torch_pruning.ops.OPTYPE.ELEMENTWISE

    return Graph()


def coupled_items(graph: Any, known: Collection[nn.Module]) -> Iterator[tuple[nn.Module, Items | None]]:
    """Each layer whose outputs nobody before it is coupled to, with its group; None where that has no end.

    Left out are those ``known``, whose units are told otherwise.
    """
    from torch_pruning import ops

    nodes = graph.module2node
    most = max((max(module.weight.shape) for module in nodes if isinstance(module, Layer)), default=0)
    for node in nodes.values():
        for dependency in node.dependencies:
            dependency.index_mapping = _Bounded(dependency.index_mapping)
            dependency.index_mapping.most = most
    seen = set(known)
    for module in list(nodes):
        if not isinstance(module, (ops.TORCH_CONV, ops.TORCH_LINEAR)) or module in seen:
            continue
        pruner = graph.get_pruner_of_module(module)
        units = list(range(pruner.get_out_channels(module)))
        try:
            items = graph.get_pruning_group(module, pruner.prune_out_channels, units)
        except _LostError:
            yield module, None
            continue
        seen |= {item.dep.target.module for item in items if graph.is_out_channel_pruning_fn(item.dep.handler)}
        yield module, items
