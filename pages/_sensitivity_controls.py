"""The controls of a budget: how much may be left, of what, and which layers are spared."""

from __future__ import annotations

from typing import Any

import streamlit as st

from compression.recipe import STRUCTURED
from compression.report.text import count, size
from compression.results import Measurement
from compression.subject import Subject, layer_names
from pages._sensitivity_form import KEY
from pages._sensitivity_scan import Settings

KINDS = {"sparsity": "Average sparsity", "params": "Parameters", "macs": "MACs", "bytes": "File size"}
FLOOR = 0.05

Row = dict[str, Any]


def budget_of(settings: Settings, whole: Measurement, units: int) -> Row:
    """In what the budget is counted, how much of it there is, and the balance with speed."""
    structured = settings.granularity in STRUCTURED
    kinds = tuple(kind for kind in KINDS if structured or kind != "macs")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Budget in", kinds, default="sparsity", required=True, key=f"{KEY}budget", bind="query-params",
            format_func=KINDS.__getitem__,
            help="What the pruned model may be, met within 1 %, above or below. Zeros save no MACs, so that whole "
            "units alone have a budget of them.",
        )  # fmt: skip
        kind = kind if kind in kinds else "sparsity"
        amount = _amount(kind, settings.granularity, whole, units)
        balance = _balance() if structured else 0.0  # zeros make nothing faster
    return {"kind": kind, "amount": amount, "balance": balance}


def _balance() -> float:
    chosen: float = st.slider(
        "Accuracy ↔ speed", 0.0, 1.0, 0.0, 0.05, key=f"{KEY}balance", bind="query-params", width=200,
        help="At 0 the budget is spent where it costs least accuracy. Towards 1 layers with many MACs give more, "
        "so that the model gets faster for the same budget. It moves the allocation by sensitivity alone.",
    )  # fmt: skip
    return chosen


def _of_few(units: int) -> float:
    """A share of so few units that only some shares can be met."""
    gone = st.select_slider(
        "Heads that go", tuple(range(1, units)), units // 2, key=f"{KEY}heads", bind="query-params", width=260,
        help=f"Of {units} heads in all layers.",
    )  # fmt: skip
    return gone / units


def _amount(kind: str, granularity: str, whole: Measurement, units: int) -> float:
    if kind == "sparsity" and granularity == "heads":
        return _of_few(units)
    usual = 0.25 if granularity in STRUCTURED else 0.5
    if kind == "sparsity":
        return st.slider(
            KINDS[kind], 0.02, 0.98, usual, 0.01, format="percent", key=f"{KEY}sparsity", width=260,
            bind="query-params", help="The share of all prunable weights or units that goes, on average.",
        )  # fmt: skip
    structured = granularity in STRUCTURED
    all_of = {
        "params": whole.params if structured else whole.nonzero,
        "macs": whole.macs,
        "bytes": whole.file_bytes if structured else whole.packed_bytes,
    }[kind]
    part = st.slider(
        f"{KINDS[kind]} left", 0.02, 0.98, 0.5, 0.01, format="percent", key=f"{KEY}{kind}", bind="query-params",
        width=260, help="As a share of the model as it is. Zeros count in a packed file for nothing.",
    )  # fmt: skip
    st.caption(f"{size(part * all_of) if kind == 'bytes' else count(part * all_of)} left")
    return part * all_of


def constraints_of(subject: Subject, granularity: str) -> Row:
    """Layers kept whole, the least that the others keep, and the step of widths."""
    layers = layer_names(subject, granularity)
    with st.expander("Locks, floors and widths"):
        locks = st.multiselect(
            "Layers kept whole", layers, key=f"{KEY}locks", bind="query-params", help="They lose nothing."
        )
        least = st.slider(
            "Every layer keeps at least", 0.01, 0.9, FLOOR, 0.01, format="percent", key=f"{KEY}floor",
            bind="query-params", help="A floor keeps a method from emptying a layer.",
        )  # fmt: skip
        own = st.multiselect(
            "Layers with a floor of their own", layers, key=f"{KEY}floors", bind="query-params",
            help="Each gets a slider of its own.",
        )  # fmt: skip
        floors = {
            layer: st.slider(
                f"{layer} keeps at least", 0.01, 1.0, 0.5, 0.01, format="percent", key=f"{KEY}floor_{layer}",
                bind="query-params",
            )
            for layer in own
            if layer in layers
        }  # fmt: skip
        step = 8
        if granularity in ("rows", "channels"):
            step = st.select_slider(
                "Widths in steps of", (1, 2, 4, 8, 16), 8, key=f"{KEY}round_to", bind="query-params",
                help="Odd widths are slow. Where no such widths meet the budget the step is halved.",
            )  # fmt: skip
    kept = tuple(sorted((dict.fromkeys(layers, least) | floors).items()))
    return {"locks": tuple(layer for layer in locks if layer in layers), "floors": kept, "round_to": step}
