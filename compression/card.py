"""A model's card: what it is made of, what it does, what can be pruned of it, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

from compression.machine import versions
from compression.measure import layer_macs, params
from compression.models.files import Blueprint
from compression.pruning import GRANULARITIES, Groups, coupled_groups, prunable
from compression.pruning.costs import units_of
from compression.registry import UserError

Card = dict[str, Any]
UNKNOWN = "the model's layers cannot be traced"
ALONE = "no unit of it can be told from the others"


def model_card_of(name: str, model: nn.Module, blueprint: Blueprint, notes: Collection[str] = ()) -> Card:
    """The card of a model, as plain data.

    Its ``prune`` has a row for each granularity: how many layers (or groups of layers that lose the same units)
    can be pruned, how many units they have, and why there are none. Its ``layers`` has a row for each layer with
    weights: what can be cut out of it, and why nothing can.

    Args:
        name: what the model is called.
        model: left as it is.
        blueprint: what it was built from.
        notes: sentences on where its weights come from.

    Raises:
        UserError: a model that does not run on its input, or holds NaN or infinite values.
    """
    groups, fault = _groups(model, blueprint.input_shape)
    work = layer_macs(model, blueprint.input_shape)
    return {
        "name": name,
        "architecture": blueprint.architecture,
        "config": blueprint.config,
        "input_shape": list(blueprint.input_shape),
        "classes": blueprint.classes,
        "normalisation": blueprint.normalisation._asdict() if blueprint.normalisation else None,
        "notes": list(notes),
        "params": params(model),
        "macs": sum(work.values()),
        "prune": [_prune_row(model, granularity, groups, fault) for granularity in GRANULARITIES],
        "layers": _layer_rows(model, work, groups, fault),
        "torch": versions().get("torch"),
    }


def _groups(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Groups, str]:
    """The coupled groups, or none and the reason."""
    try:
        return coupled_groups(model, input_shape), ""
    except UserError as fault:
        reason = str(fault)
    except Exception as fault:  # a stranger's module can make the tracer fail in any way
        reason = " ".join(f"the model's layers cannot be followed ({type(fault).__name__}: {fault})".split())[:200]
    return Groups((), input_shape), reason


def _prune_row(model: nn.Module, granularity: str, groups: Groups, fault: str) -> Card:
    try:
        units = units_of(model, granularity, groups)
        why = "" if units else fault or _why_none(granularity, groups)
    except UserError as none:
        units, why = {}, str(none)
    return {"granularity": granularity, "layers": len(units), "units": sum(units.values()), "why": why}


def _why_none(granularity: str, groups: Groups) -> str:
    reasons = dict.fromkeys(group.protected for group in groups.groups if group.kind == granularity)
    return "; ".join(reasons) or f"the model has no {granularity}"


def _layer_rows(model: nn.Module, work: dict[str, int], groups: Groups, fault: str) -> list[Card]:
    made = {layer: group for group in groups.groups for layer in (*group.layers, group.name) if group.kind != "blocks"}
    rows = []
    for name, layer in prunable(model).items():
        group = made.get(name)
        cut = group.kind if group and not group.protected else ""
        rows.append(
            {
                "layer": name,
                "kind": type(layer).__name__,
                "shape": list(layer.weight.shape),
                "params": params(layer),
                "macs": work.get(name, 0),
                "cut": cut,
                "units": group.width if group and cut else 0,
                "why": "" if cut else (group.protected if group else UNKNOWN if fault else ALONE),
            }
        )
    return rows
