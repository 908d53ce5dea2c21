"""The data sets that are here or can be fetched, what became of your own images, and the way to add some."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from compression import errands
from compression.data.own import Report, own_names, own_report, remove
from compression.data.sets import Source, sources
from compression.errands import AddData, Fetch
from compression.report.text import count
from pages._errand import just_done, put_away, waited_for
from pages._library_add_data import add_data
from pages._library_delete import confirm, say_deleted
from pages._link import lost

CHOSEN = "library_data"


def data_sets() -> None:
    """A table of all data sets, the facts of one, and the form for another."""
    if isinstance(order := just_done("data"), AddData):
        st.session_state[CHOSEN] = order.name
    say_deleted()
    known, own = sources(), own_names()
    st.dataframe(_table(known, own), hide_index=True, key="library_sets")
    add_data()
    _fetching()
    lost(CHOSEN, tuple(known), "data set")
    name = st.selectbox(
        "Facts of", tuple(known), key=CHOSEN, bind="query-params", width=380,
        help="Where it comes from and what is in it.",
    )  # fmt: skip
    name = name if name in known else next(iter(known))
    source = known[name]
    st.text(source.sentence)
    if not source.here():
        if st.button(
            f"Fetch ({source.megabytes} MB)", icon=":material/cloud_download:", key="library_fetch",
            disabled=errands.state("fetch") is not None,
            help="With torchvision, which takes a network; in a process of its own.",
        ):  # fmt: skip
            errands.start(Fetch(name=name))
            st.rerun()
    elif name in own:
        if st.button("Delete", icon=":material/delete:", key="library_data_delete", type="tertiary"):
            stays = "goes with its images. Models that were trained on it stay."
            confirm(name, stays, CHOSEN, next(iter(sources())), remove)
        _own(own_report(name))
    else:
        st.text(f"Classes: {', '.join(source.classes)}")


def _table(known: dict[str, Source], own: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        {
            "data set": name,
            "where": "yours" if name in own else "here" if source.here() else f"to fetch, {source.megabytes} MB",
            "image": "×".join(map(str, source.shape)),
            "classes": len(source.classes),
            "what it is": source.sentence,
        }
        for name, source in known.items()
    ]
    return pd.DataFrame(rows)


def _fetching() -> None:
    if waited_for("fetch"):
        st.success("It is here now.", icon=":material/check:")
        put_away("fetch", "Fetch another")


def _own(report: Report) -> None:
    """What became of the images that were given."""
    with st.container(horizontal=True):
        st.metric("Images", count(report.images), help=f"{report.images:,} in all splits.")
        st.metric("Classes", len(report.classes))
        st.metric("Left out", f"{report.left_out_count:,}", help="Files that could not be used, each with its reason.")
        st.metric("Equal images", f"{report.repeated:,}", help="With the pixels of another one of their split.")
        st.metric("In two splits", f"{report.across_count:,}", help="Images to judge by that training sees too.")
    st.caption(" ".join((f"Every image was {report.transform}.", report.put_aside)))
    st.dataframe(pd.DataFrame({"class": report.classes, **report.counts}), hide_index=True, key="library_counts")
    if report.left_out:
        st.markdown(f"**Left out**, the first {len(report.left_out):,} of {report.left_out_count:,}")
        _pairs(report.left_out, ("file", "why"), "library_left_out")
    if report.across:
        st.markdown(f"**In two splits**, the first {len(report.across):,} of {report.across_count:,}")
        _pairs(report.across, ("file", "has the pixels of"), "library_across")


def _pairs(pairs: Sequence[tuple[str, str]], columns: tuple[str, str], key: str) -> None:
    st.dataframe(pd.DataFrame(pairs, columns=columns), hide_index=True, key=key)
