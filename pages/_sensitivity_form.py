"""The controls of a scan."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from compression.pruning import CRITERIA, GRANULARITIES
from compression.recipe import fixed_sparsity
from compression.registry import Method
from compression.subject import Subject, criteria, granularities, identity, live_limit
from pages._sensitivity_scan import Settings

KEY = "sensitivity_"
IMAGES = (100, 200, 500, 1000, 2000, 5000)


def settings_of(subject: Subject) -> Settings:
    """Style, criterion and number of images of a scan."""
    styles = tuple(style for style in granularities(subject) if fixed_sparsity(style) is None)
    granularity = _choice("Style", styles, GRANULARITIES, "style")
    criterion = _choice("Criterion", criteria(subject, granularity), CRITERIA, "criterion")
    whole = len(subject.dataset.val)
    options = (*(n for n in IMAGES if n < whole), whole)
    live = live_limit(subject) or whole
    images = st.select_slider(
        "Validation images", options, min(options, key=lambda n: abs(n - live)), key=f"{KEY}images",
        bind="query-params", format_func="{:,}".format,
        help="Each layer is judged on so many, at each sparsity. More of them take longer and tell smaller losses "
        "from noise. Test images are not used for choosing.",
    )  # fmt: skip
    seen = images if images in options else live
    own = identity(subject.name, subject.dataset.name)
    return Settings(subject.name, subject.dataset.name, granularity, criterion, seen, own)


def _choice(label: str, options: tuple[str, ...], cards: Mapping[str, Method], key: str) -> str:
    about = "\n".join(f"- **{cards[option].label}**: {cards[option].sentence}" for option in options)
    chosen = st.selectbox(
        label, options, format_func=lambda option: cards[option].label, key=f"{KEY}{key}", bind="query-params",
        help=about,
    )  # fmt: skip
    return chosen if chosen in options else options[0]
