"""Widgets drawn from the registries, returning recipe stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from compression.pruning import CRITERIA, GRANULARITIES, SCOPES, kind_of, sparsity_at, threshold_of
from compression.recipe import ROUNDED, Prune, Recalibrate, fixed_sparsity, validated
from compression.registry import Method
from compression.subject import Subject, criteria, granularities, layer_names
from pages._cache import scores_index

KEY = "prune_"
LEAST, MOST = 0.01, 0.99


def prune_controls(subject: Subject) -> Prune:
    """Style, criterion, scope and amount as one stage. Raises UserError where they contradict."""
    granularity = _choice("Style", granularities(subject), GRANULARITIES, "style")
    criterion = _choice("Criterion", criteria(subject, granularity), CRITERIA, "criterion")
    _explained(GRANULARITIES[granularity], CRITERIA[criterion])
    fields: dict[str, Any] = {"granularity": granularity, "criterion": criterion}
    if kind_of(criterion):
        fields["images"] = _images(len(subject.dataset.train))
    pattern = fixed_sparsity(granularity)
    if pattern is not None:
        st.caption(f"The pattern {granularity} fixes the sparsity at {pattern:.0%}.")
    else:
        fields["scope"] = (
            "global" if granularity == "blocks" else _choice("Scope", ("global", "layer"), SCOPES, "scope")
        )
        fields["sparsity"] = _amount(subject, granularity, criterion, fields["scope"])
        fields["overrides"] = _overrides(layer_names(subject, granularity))
    if granularity in ROUNDED:
        fields["round_to"] = st.select_slider(
            "Keep widths at multiples of",
            (1, 2, 4, 8, 16),
            value=8,
            key=f"{KEY}round_to",
            bind="query-params",
            help="Odd widths are slow: 41 channels can take a quarter longer than 40.",
        )
    stage: Prune = validated(Prune, fields)
    return stage


def recalibration(subject: Subject) -> Recalibrate | None:
    """What may be put right after the cut without training; None where nothing is asked or there is nothing to do."""
    options = {
        "batchnorm": ("Recount BatchNorm", any(isinstance(m, _BatchNorm) for m in subject.model.modules())),
        "biases": ("Correct biases", any(isinstance(m, nn.Linear) for m in subject.model.modules())),
    }
    chosen = {
        key: st.toggle(label, key=f"{KEY}{key}", bind="query-params", help="Without training, on training images.")
        for key, (label, there) in options.items()
        if there
    }
    if not any(chosen.values()):
        return None
    return Recalibrate(batchnorm=chosen.get("batchnorm", False), biases=chosen.get("biases", False))


def _choice(label: str, options: tuple[str, ...], cards: Mapping[str, Method], key: str) -> str:
    about = "\n".join(f"- **{cards[option].label}**: {cards[option].sentence}" for option in options)
    chosen = st.selectbox(
        label,
        options,
        format_func=lambda option: cards[option].label,
        key=f"{KEY}{key}",
        bind="query-params",
        help=about,
    )
    return chosen if chosen in options else options[0]


def _images(whole: int) -> int:
    chosen = st.number_input(
        "Training images to look at",
        1,
        whole,
        min(whole, Prune.model_fields["images"].default),
        key=f"{KEY}images",
        bind="query-params",
        help=f"This criterion ranks by what so many of the {whole:,} training images show, drawn at random.",
    )
    return min(chosen, whole)  # another model's data may hold more


def _explained(*cards: Method) -> None:
    with st.popover("How it works", icon=":material/menu_book:", width="stretch"):
        for card in cards:
            st.markdown(f"**{card.label}.** {card.sentence}")
            st.latex(card.formula)
            st.caption(card.paper)


def _amount(subject: Subject, granularity: str, criterion: str, scope: str) -> float:
    """Two sliders that move each other; the sparsity is the one that counts."""
    unit = "weights" if granularity == "weights" else granularity
    sparsity = st.slider(
        "Sparsity",
        LEAST,
        MOST,
        0.5,
        0.01,
        format="percent",
        key=f"{KEY}sparsity",
        bind="query-params",
        help=f"The fraction of all prunable {unit} that is removed.",
    )
    index = scores_index(subject.name, subject.dataset.name, granularity, criterion)
    if scope == "layer" or index is None:
        reason = "each layer has its own" if scope == "layer" else f"{CRITERIA[criterion].label} ranks, it has no size"
        st.caption(f"Threshold: {reason}; the chart of layers shows what falls.")
        return float(sparsity)

    shown = st.session_state.setdefault(f"{KEY}shown", {"sparsity": sparsity, "thresholds": []})

    def moved() -> None:
        # While the sparsity moves fast, the browser still sends thresholds that the page itself set
        # some steps ago: those are echoes, not the reader's hand.
        echo = st.session_state[f"{KEY}threshold"] in shown["thresholds"]
        if not echo and st.session_state[f"{KEY}sparsity"] == shown["sparsity"]:
            found = sparsity_at(index, st.session_state[f"{KEY}threshold"])
            st.session_state[f"{KEY}sparsity"] = min(MOST, max(LEAST, found))

    highest = threshold_of(index, MOST)
    now = min(highest, threshold_of(index, min(MOST, max(LEAST, sparsity))))
    st.session_state[f"{KEY}threshold"] = now
    shown |= {"sparsity": sparsity, "thresholds": [*shown["thresholds"][-50:], now]}
    st.session_state[f"{KEY}shown"] = shown
    st.slider(
        "Threshold on |w|" if granularity == "weights" and criterion == "magnitude" else "Threshold on the score",
        0.0,
        highest,
        step=highest / 500,
        format="%.4g",
        key=f"{KEY}threshold",
        on_change=moved,
        help=f"Remove the {unit} that score below it. It moves with the sparsity, and the sparsity with it.",
    )
    return float(sparsity)


def _overrides(layers: tuple[str, ...]) -> dict[str, float]:
    with st.expander("Single layers"):
        chosen = st.multiselect(
            "Layers with a sparsity of their own",
            layers,
            key=f"{KEY}layers",
            bind="query-params",
            help="0 % keeps a layer whole. The other layers follow the sparsity above.",
        )
        return {
            layer: st.slider(layer, 0.0, MOST, 0.0, 0.01, format="percent", key=f"{KEY}of_{layer}", bind="query-params")
            for layer in chosen
            if layer in layers
        }
