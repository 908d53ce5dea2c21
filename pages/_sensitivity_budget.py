"""One budget, spread over the layers in several ways: controls, comparison, and the way to the Prune page."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.budget import Budget, allocate
from compression.pruning.ground import ground_of
from compression.pruning.sensitivity import Reading, layer_costs
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError
from compression.report.charts import WIDE
from compression.report.sensitivity_bars import allocation_chart, outcome_chart
from compression.report.sensitivity_tables import allocation_table, outcome_table
from compression.report.text import count, size
from compression.results import Measurement
from compression.subject import Subject, baseline, judge, layer_names, load_subject, prune_subject
from pages._draw import draw
from pages._forms import KEY as PRUNE
from pages._forms import MOST
from pages._sensitivity_form import KEY
from pages._sensitivity_scan import Scan, Settings
from pages._stages import add_stage
from pages._workbench import theme

KINDS = {"sparsity": "Average sparsity", "params": "Parameters", "macs": "MACs", "bytes": "File size"}
FLOOR = 0.05

Row = dict[str, Any]


@st.fragment
def allocation(subject: Subject, found: Scan) -> None:
    """The budget, how each method spends it, and what that leaves."""
    st.subheader("Spend a budget where it hurts least")
    settings = found.settings
    whole = baseline(subject, "val", settings.images)[1]
    try:
        units = sum(cost.units for cost in layer_costs(subject.model, settings.granularity, subject.groups))
        asked = _budget(settings, whole, units) | _constraints(subject, settings.granularity)
        rows = _compared(settings, found.rows, asked)
    except UserError as fault:
        st.error(str(fault), icon=":material/error:")
        return
    made = [row for row in rows if "fault" not in row]
    for row in rows:
        if row not in made:
            st.warning(f"**{row['label']}**: {row['fault']}", icon=":material/warning:")
    if made:
        look = theme()
        draw(outcome_chart(outcome_table(made, whole.row()), look, width=WIDE), "sensitivity_outcome")
        draw(allocation_chart(allocation_table(made), look), "sensitivity_allocation")
        _table(made, settings.granularity)
        _carry_over(made)


def _budget(settings: Settings, whole: Measurement, units: int) -> Row:
    structured = settings.granularity in STRUCTURED
    kinds = tuple(kind for kind in KINDS if structured or kind != "macs")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Budget in", kinds, default="sparsity", required=True, key=f"{KEY}budget", bind="query-params",
            format_func=KINDS.__getitem__,
            help="What the pruned model may be. Zeros save no MACs, so that whole units alone have a budget of them.",
        )  # fmt: skip
        kind = kind if kind in kinds else "sparsity"
        amount = _amount(kind, settings.granularity, whole, units)
        balance = st.slider(
            "Accuracy ↔ speed", 0.0, 1.0, 0.0, 0.05, key=f"{KEY}balance", bind="query-params", width=200,
            disabled=not structured,
            help="At 0 the budget is spent where it costs least accuracy. Towards 1 layers with many MACs give more, "
            "so that the model gets faster for the same budget. It moves the allocation by sensitivity alone; "
            "zeros make nothing faster, so that there is nothing to balance for them.",
        )  # fmt: skip
    return {"kind": kind, "amount": amount, "balance": balance if structured else 0.0}


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


def _constraints(subject: Subject, granularity: str) -> Row:
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


def _compared(settings: Settings, readings: list[Reading], asked: Row) -> list[Row]:
    """What each method makes of the budget; a method that cannot meet it says why."""
    place = st.empty()
    rows = []
    for done, (method, card) in enumerate(ALLOCATIONS.items()):
        place.progress(done / len(ALLOCATIONS), f"Measuring the allocation {card.label}")
        rows.append(_allocated(settings, readings, len(readings), method=method, **asked))
    place.empty()
    if all("fault" in row for row in rows) and len({row["fault"] for row in rows}) == 1:
        raise UserError(rows[0]["fault"])
    return rows


@st.cache_data(max_entries=256, show_spinner=False)
def _allocated(
    settings: Settings, _readings: list[Reading], read: int, method: str, kind: Any, amount: float, balance: float,
    locks: tuple[str, ...], floors: tuple[tuple[str, float], ...], round_to: int,
) -> Row:  # fmt: skip
    """One method's allocation as a plain row, measured on as many images as the scan; ``read`` tells scans apart."""
    subject = load_subject(settings.model, settings.data)
    row: Row = {"method": method, "label": ALLOCATIONS[method].label}
    try:
        ground = ground_of(subject.model, settings.granularity, subject.groups, _readings, locks, dict(floors), balance)
        made, pruned = allocate(
            ground, Budget(kind, amount), partial(prune_subject, subject), method, settings.criterion, round_to
        )
    except UserError as fault:
        return row | {"fault": str(fault)}
    measured = judge(subject, pruned.model, "val", settings.images)[1]
    return row | measured.row() | {
        "sparsity": made.left.sparsity, "predicted": made.predicted, "sparsities": made.sparsities,
        "round_to": made.stage.round_to, "stage": made.stage.model_dump_json(),
    }  # fmt: skip


def _table(rows: list[Row], granularity: str) -> None:
    frame = pd.DataFrame(rows)
    bytes_ = "file_bytes" if granularity in STRUCTURED else "packed_bytes"
    numbers = "params" if granularity in STRUCTURED else "nonzero"
    steps = ["round_to"] if granularity in ("rows", "channels") else []
    config = st.column_config
    st.dataframe(
        frame[["label", "accuracy", "predicted", "sparsity", numbers, "macs", bytes_, "loss", *steps]],
        hide_index=True, key="sensitivity_methods",
        column_config={
            "label": "method",
            "sparsity": config.NumberColumn("achieved sparsity", format="percent"),
            "predicted": config.NumberColumn(
                "estimated accuracy", format="percent", help="If what the layers lose alone adds up."
            ),
            "accuracy": config.NumberColumn("measured accuracy", format="percent", help="Before fine-tuning."),
            numbers: config.NumberColumn("parameters left", format="compact"),
            "macs": config.NumberColumn("MACs", format="compact"),
            bytes_: config.NumberColumn("packed file" if bytes_ == "packed_bytes" else "file", format="bytes"),
            "loss": config.NumberColumn("loss", format="%.3f"),
            "round_to": config.NumberColumn("widths in steps of"),
        },
    )  # fmt: skip


def _carry_over(rows: list[Row]) -> None:
    labels = {row["method"]: row["label"] for row in rows}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.selectbox(
            "Allocation to use", tuple(labels), format_func=labels.__getitem__, key=f"{KEY}method", width=240,
            bind="query-params", help="\n".join(f"- **{c.label}**: {c.sentence}" for c in ALLOCATIONS.values()),
        )  # fmt: skip
        row = next((row for row in rows if row["method"] == method), rows[0])
        with st.popover("How it works", icon=":material/menu_book:"):
            card = ALLOCATIONS[row["method"]]
            st.markdown(f"**{card.label}.** {card.sentence}")
            st.latex(card.formula)
            st.caption(card.paper)
        st.button(
            "Use in Prune", icon=":material/content_cut:", key=f"{KEY}use", on_click=set_prune,
            args=(stage_of(row),), help="Opens the Prune page with every layer at what it has here.",
        )  # fmt: skip
        st.button(
            "Use in Pipeline", icon=":material/route:", key=f"{KEY}pipe", on_click=set_pipeline,
            args=(stage_of(row),), help="Opens the Pipeline page with this pruning as its last stage.",
        )  # fmt: skip
    if f"{KEY}leave" in st.session_state:
        st.rerun()  # the page itself can leave, a part of it not


def stage_of(row: Row) -> Prune:
    """The stage of a compared allocation, for another page to go on with."""
    return Prune.model_validate_json(row["stage"])


def set_prune(stage: Prune) -> None:
    """Set the controls of the Prune page to a stage, and have it opened."""
    values: Row = {
        "style": stage.granularity,
        "criterion": stage.criterion,
        "scope": stage.scope,
        "sparsity": min(MOST, round(stage.sparsity or 0.5, 2)),
        "layers": list(stage.overrides),
        "round_to": stage.round_to,
    }
    values |= {f"of_{layer}": min(MOST, amount) for layer, amount in stage.overrides.items()}
    for name, value in values.items():
        st.session_state[f"{PRUNE}{name}"] = value
    st.session_state[f"{KEY}leave"] = "pages/prune.py"


def set_pipeline(stage: Prune) -> None:
    """Add a stage to the pipeline being built, and have its page opened."""
    add_stage(stage)
    st.session_state[f"{KEY}leave"] = "pages/pipeline.py"
