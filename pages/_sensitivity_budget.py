"""One budget, spread over the layers in several ways: comparison, and the way to the Prune and Pipeline pages."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from compression.pruning import CRITERIA, GRANULARITIES, SCOPES
from compression.pruning.allocation import ALLOCATIONS
from compression.pruning.budget import Budget, allocate
from compression.pruning.ground import ground_of
from compression.pruning.sensitivity import Reading, layer_costs
from compression.recipe import STRUCTURED, Prune
from compression.registry import UserError
from compression.report.charts import WIDE
from compression.report.sensitivity_bars import allocation_chart, outcome_chart
from compression.report.sensitivity_tables import allocation_table, outcome_table
from compression.subject import Subject, baseline, judge, load_subject, prune_subject
from pages._draw import draw
from pages._forms import KEY as PRUNE
from pages._forms import MOST
from pages._sensitivity_controls import budget_of, constraints_of
from pages._sensitivity_form import KEY
from pages._sensitivity_scan import Scan, Settings
from pages._stages import add_stage
from pages._workbench import subject_fragment, theme

Row = dict[str, Any]


@subject_fragment
def allocation(subject: Subject, found: Scan) -> None:
    """The budget, how each method spends it, and what that leaves."""
    st.header("Spend a budget where it hurts least")
    settings = found.settings
    whole = baseline(subject, "val", settings.images)[1]
    try:
        units = sum(cost.units for cost in layer_costs(subject.model, settings.granularity, subject.groups))
        asked = budget_of(settings, whole, units) | constraints_of(subject, settings.granularity)
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


def _compared(settings: Settings, readings: list[Reading], asked: Row) -> list[Row]:
    """What each method makes of the budget; a method that cannot meet it says why."""
    place = st.empty()
    rows = []
    for done, (method, card) in enumerate(ALLOCATIONS.items()):
        place.progress(done / len(ALLOCATIONS), f"Measuring the allocation {card.label}")
        rows.append(_allocated(settings, readings, len(readings), method=method, **asked))
    place.empty()
    if all("fault" in row for row in rows):
        raise UserError("; ".join(dict.fromkeys(row["fault"] for row in rows)))
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
    """Have the Prune page opened by a link that holds a stage, so that it is there again when it is reloaded."""
    values = {
        "style": GRANULARITIES[stage.granularity].label,
        "criterion": CRITERIA[stage.criterion].label,
        "scope": SCOPES[stage.scope].label,
        "sparsity": f"{min(MOST, round(stage.sparsity or 0.5, 2))}",
        "layers": list(stage.overrides),
        "round_to": f"{stage.round_to}",
        **{f"of_{layer}": f"{min(MOST, amount)}" for layer, amount in stage.overrides.items()},
    }
    for name in [name for name in st.session_state if str(name).startswith(PRUNE)]:
        del st.session_state[name]  # else it would count, and not what the link says
    query = {f"{PRUNE}{name}": value for name, value in values.items()}
    st.session_state[f"{KEY}leave"] = ("pages/prune.py", query)


def set_pipeline(stage: Prune) -> None:
    """Add a stage to the pipeline being built, and have its page opened."""
    add_stage(stage)
    st.session_state[f"{KEY}leave"] = ("pages/pipeline.py", {})
