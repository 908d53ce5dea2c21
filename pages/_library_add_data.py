"""The form that adds a data set: a zip of images in class folders, or with a table of paths and labels."""

from __future__ import annotations

import streamlit as st

from compression import errands
from compression.data.adding import check_name
from compression.data.own import own_names
from compression.errands import AddData
from pages._errand import UPLOAD_MB
from pages._library_add import adding, needed

SIDES = {"as they are": None, "8×8": 8, "28×28": 28, "32×32": 32, "64×64": 64, "96×96": 96, "224×224": 224}
KEY = "library_data_"


def add_data() -> None:
    """The form, and how far the data set is that was asked for."""
    adding("data", "Add your own images", "data set", own_names(), _form)


def _form() -> None:
    with st.form("library_data_form", border=False):
        upload = st.file_uploader(
            "Images: a zip with a folder for each class, or with a table", type="zip", key=f"{KEY}file",
            max_upload_size=UPLOAD_MB,
            help="CLASS/image, or train/CLASS/image with test/… or val/… beside it; or images and one .csv at the top, "
            "whose columns are path, label and perhaps split. PNG, JPEG, WebP, GIF, BMP or TIFF. "
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
    needed(zip=upload, name=name)
    check_name(name)
    side = SIDES[size]
    order = AddData(name=name, upload=upload.name, size=(side, side) if side else None, grey=grey or None)
    errands.start(order, {"images.zip": upload})
    st.rerun()
