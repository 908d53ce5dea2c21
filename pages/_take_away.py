"""The way to take a model along: formats are chosen, files made and proven in a process of their own, and zipped."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd
import streamlit as st

from compression import errands
from compression.errands import Export
from compression.export import FORMATS
from compression.recipe import Recipe
from compression.registry import UserError
from compression.report.text import interval, percent
from pages._errand import free, put_away, waited_for
from pages._link import inert


def take_away(
    recipe: Recipe, weights: Path | None, of: str, key: str, width: Literal["content", "stretch"] = "content"
) -> None:
    """A button that opens the formats; ``weights`` is the recipe's model, which is made anew where it is None.

    ``of`` is the study or the style, and stands in the name of the zip between the model and the date.
    """
    with st.popover("Take it away", icon=":material/package_2:", key=f"{key}_away", width=width):
        about = "\n".join(f"- **{form.label}**: {form.sentence}" for form in FORMATS.values())
        int8 = any(stage.kind == "quantize" for stage in recipe.stages)  # it is an ONNX file, whatever holds it
        formats = st.pills(
            "Formats", tuple(FORMATS), selection_mode="multi", default=["onnx"] if int8 else ["safetensors", "onnx"],
            key=f"{key}_formats{'_int8' if int8 else ''}", format_func=lambda form: FORMATS[form].label, wrap=True,
            help=about,
        )  # fmt: skip
        if not formats:
            st.info("Choose one or more formats.", icon=":material/touch_app:")
            return
        stem = stem_of(recipe, of, date.today())
        order = Export(recipe=recipe, weights=weights and weights.absolute(), stem=stem, formats=tuple(formats))
        try:
            _offered(order, key)
        except UserError as fault:  # as many are under way as may be
            st.error(inert(str(fault)), icon=":material/error:")


def stem_of(recipe: Recipe, of: str, day: date) -> str:
    """What files are called: the model, which may be a path, the study or the style, and the day."""
    return re.sub(r"[^\w.-]", "-", f"{Path(recipe.model).stem}-{of}-{day}".replace(":", "of"))


def _offered(order: Export, key: str) -> None:
    place = errands.place_of(order)
    for other in errands.under_way("export"):
        if other != place:
            st.caption("Another model is being made ready:")
            waited_for(other)
    if free(place) and st.button(
        "Make the files", icon=":material/build:", key=f"{key}_make",
        help="What `espalier export` writes, in a process of its own; each file is read back and compared.",
    ):  # fmt: skip
        errands.start(order)
        st.rerun()
    if waited_for(place):
        _made(place, order.stem)
        put_away(place, "Make them anew", icon="refresh")


def _made(place: str, stem: str) -> None:
    """What is in the zip, how near each file is to PyTorch, and the zip."""
    card, path = errands.found(place), errands.file(place)
    rows = [(name, about["bytes"], f"{about['largest_difference']:.1e}") for name, about in card["files"].items()]
    if measured := card.get("measured"):
        low, high = measured["accuracy_low"], measured["accuracy_high"]
        right = f"{percent(measured['accuracy'], 2)} of {measured['n']:,} {measured['split']} images right"
        st.markdown(f"**{right}**, 95 % interval {interval(low, high)}.")
    st.dataframe(
        pd.DataFrame(rows, columns=["file", "bytes", "largest difference"]), hide_index=True, key=f"{place}_files",
        column_config={"bytes": st.column_config.NumberColumn(format="localized")},
    )  # fmt: skip
    st.caption(
        f"Differences from the model's own logits, as a share of the largest, on {inert(card['compared_on'])}. Beside "
        "them: card.json, recipe.yaml and, where it could be written, load_model.py, which needs torch and safetensors "
        "and nothing of Espalier."
    )
    for note in card["notes"]:
        st.caption(inert(note))
    st.download_button(
        f"Download {path.stat().st_size:,} bytes", path.read_bytes, f"{stem}.zip", "application/zip",
        key=f"{place}_download", icon=":material/download:", type="primary", on_click="ignore",
    )  # fmt: skip
