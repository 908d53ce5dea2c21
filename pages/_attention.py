"""Attention on the Prune page: where the heads look before and after, and how much each of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor, nn

from compression.data.sets import thumbnail
from compression.measure.attention import attention_maps
from compression.pruning import CRITERIA, allowed
from compression.recipe import Prune
from compression.registry import UserError
from compression.report import charts
from compression.report.attention_charts import attention_table, head_table
from compression.report.themes import Theme
from compression.subject import Preview, Subject, scores
from compression.training import normalise
from pages._draw import draw, pairs

Array = NDArray[Any]


def attention(subject: Subject, stage: Prune, found: Preview, look: Theme) -> None:
    """One image's attention maps, before beside after, and the importance of heads; nothing without heads."""
    if not subject.groups.cuttable("heads"):
        return
    st.header("Where the heads look")
    try:
        _looks(subject, found, look)
    except UserError as windows:
        st.caption(str(windows))
    criterion = stage.criterion if stage.criterion in allowed("heads") else "magnitude"
    by = Prune(granularity="heads", criterion=criterion, sparsity=0.5, images=stage.images)
    kept = found.pruned.kept if stage.granularity == "heads" else None
    draw(charts.head_chart(head_table(scores(subject, by), kept), look, criterion=CRITERIA[criterion].label), "heads")


def _looks(subject: Subject, found: Preview, look: Theme) -> None:
    """Where each head looks in an image, before beside after."""
    part = subject.dataset.val
    with st.container(horizontal=True, vertical_alignment="bottom"):
        index = st.number_input(
            "Validation image", 0, len(part) - 1, 0, key="prune_image", bind="query-params", width=180,
            help="Each picture shows the image, coloured where a head takes its values from.",
        )  # fmt: skip
        st.image(thumbnail(part, int(index)), width=64, alt=f"class {subject.dataset.classes[int(part.labels[index])]}")
    image_1CHW = normalise(part.images[index : index + 1], subject.dataset)
    before, after = (_maps(model, image_1CHW) for model in (subject.model, found.pruned.model))
    stays = {layer: _stays(layer, len(heads), after, found.pruned.kept) for layer, heads in before.items()}
    image = part.images[index].numpy()
    tables = {"Before": attention_table(before), "After": attention_table(after, stays)}
    for place, (when, table) in zip(pairs(2, "attention"), tables.items(), strict=True):
        with place:
            draw(
                charts.attention_chart(table, image, look, when=when, width=charts.NARROW), f"attention_{when.lower()}"
            )


def _maps(model: nn.Module, image_1CHW: Tensor) -> dict[str, Array]:
    return {layer: maps[0].numpy() for layer, maps in attention_maps(model, image_1CHW).items()}


def _stays(layer: str, heads: int, after: dict[str, Array], kept: Mapping[str, Array]) -> Array:
    """Which heads of a layer are left; none where its whole block is gone."""
    return kept[layer] if layer in kept else np.full(heads, layer in after)
