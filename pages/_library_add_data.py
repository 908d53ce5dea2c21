"""The form that adds a data set: a zip of images in class folders."""

from __future__ import annotations

import streamlit as st

from compression import errands
from compression.data.adding import check_name
from compression.errands import AddData
from compression.registry import UserError
from pages._errand import UPLOAD_MB, free, put_away, waited_for
from pages._link import inert

SIDES = {"as they are": None, "8×8": 8, "28×28": 28, "32×32": 32, "64×64": 64, "96×96": 96, "224×224": 224}
PLACE = "data"
KEY = "library_data_"


def add_data(opened: bool) -> None:
    """The form, or in its place how far the data set is that was asked for."""
    if not free(PLACE):
        if waited_for(PLACE):
            st.success(f"{inert(errands.found(PLACE)['name'])} is a data set now.", icon=":material/check:")
            put_away(PLACE, "Add another")
        return
    with st.expander("Add your own images", icon=":material/add:", expanded=opened or errands.state(PLACE) is not None):
        waited_for(PLACE)
        try:
            _form()
        except UserError as fault:
            st.error(inert(str(fault)), icon=":material/error:")


def _form() -> None:
    with st.form("library_data_form", border=False):
        upload = st.file_uploader(
            "Images: a zip with a folder for each class", type="zip", key=f"{KEY}file", max_upload_size=UPLOAD_MB,
            help="CLASS/image, or train/CLASS/image with test/… or val/… beside it; PNG, JPEG, WebP, GIF, BMP or TIFF. "
            "Each image is decoded in a process of its own; what cannot be read is left out and named.",
        )  # fmt: skip
        first, second, third = st.columns([1.4, 1, 1])
        name = first.text_input(
            "Name", key=f"{KEY}name", max_chars=64, placeholder="my-cats",
            help="1 to 64 letters, digits, spaces, dots, _ or -. It goes wherever a data set's name does.",
        )  # fmt: skip
        size = second.selectbox(
            "Size", tuple(SIDES), key=f"{KEY}size",
            help="What every image is resized to. As they are: the size that all share, or 64×64 where they differ.",
        )  # fmt: skip
        grey = third.toggle("Grey", key=f"{KEY}grey", help="One channel, also where images have colours.")
        if not st.form_submit_button("Add data set", type="primary", icon=":material/add:"):
            return
    check_name(name)
    if upload is None:
        raise UserError("No zip has been chosen yet; drop one on the form")
    side = SIDES[size]
    order = AddData(name=name, size=(side, side) if side else None, grey=grey or None)
    errands.start(order, {"images.zip": upload})
    st.rerun()
