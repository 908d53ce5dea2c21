"""The form that adds a model: an architecture by name, the data it is for, and weights."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from compression import errands
from compression.data.sets import sources
from compression.errands import AddModel
from compression.library import options_of, shape_of
from compression.models.imports import OWN, architectures
from compression.models.own import check_model_name, own_models
from compression.recipe import validated
from compression.registry import UserError
from pages._errand import UPLOAD_MB
from pages._library_add import adding, needed

KINDS = {"torchvision": "torchvision", "timm": "timm", "own": "Espalier's own"}
WEIGHTS = {"random": "Random", "file": "From a file", "pretrained": "torchvision's own"}
OTHER = "other images"
KEY = "library_model_"


def add_model() -> None:
    """The form, and how far the model is that was asked for."""
    adding("model", "Add a model", "model", own_models(), _form)


def _form() -> None:
    name, architecture = _what()
    images, (weights, upload) = _images(), _weights(architecture)
    options = st.text_input(
        "Options (JSON)", "{}", key=f"{KEY}options",
        help='Of the architecture, such as {"width_mult": 0.5} or, for an mlp, {"hidden": [64]}.',
    )  # fmt: skip
    if st.button("Add model", type="primary", icon=":material/add:", key=f"{KEY}go", disabled=not architecture):
        needed(name=name, weights_file=upload or "weights" not in weights)
        check_model_name(name)
        fields = {"name": name, "architecture": architecture, "config": options_of(options, "Options")}
        if "input_shape" in images:
            images["input_shape"] = shape_of(images["input_shape"], "Input")
        sent = {"upload": upload.name} if upload else {}
        order = validated(AddModel, fields | images | weights | sent)
        errands.start(order, {order.weights: upload} if upload else {})
        st.rerun()


def _what() -> tuple[str, str]:
    first, second, third = st.columns([1, 1, 1.4])
    name = first.text_input(
        "Name", key=f"{KEY}name", max_chars=64, placeholder="my-resnet",
        help="1 to 64 letters, digits, spaces, dots, _ or -. It goes wherever a sample model's name does.",
    )  # fmt: skip
    kind = second.selectbox(
        "Architecture of", tuple(KINDS), format_func=KINDS.__getitem__, key=f"{KEY}kind",
        help="Any of torchvision's or timm's classifiers, or one of the four that the sample models are made of.",
    )  # fmt: skip
    try:
        options = architectures(kind)
    except UserError as fault:
        third.info(str(fault), icon=":material/info:")
        return name, ""
    chosen = third.selectbox(
        "Architecture", options, options.index("resnet18") if "resnet18" in options else 0, key=f"{KEY}of_{kind}",
        help="Type to search.",
    )  # fmt: skip
    return name, chosen if chosen in OWN else f"{kind}:{chosen}"


def _images() -> dict[str, Any]:
    """The images and classes that the model is to take: those of a data set, or others."""
    first, second, third = st.columns([1.4, 1, 1])
    here = [name for name, source in sources().items() if source.classes and source.here()]
    data = first.selectbox(
        "For the data set", (*reversed(here), OTHER), key=f"{KEY}data",
        help="Its images say the input, its classes the outputs.",
    )  # fmt: skip
    if data != OTHER:
        source = sources()[data]
        second.metric("Input", "×".join(map(str, source.shape)))
        third.metric("Classes", len(source.classes))
        return {"data": data}
    shape = second.text_input(
        "Input", "3x224x224", key=f"{KEY}input", help="Channels, height and width of an image, such as 3x32x32."
    )
    classes = third.number_input("Classes", 1, 1_000_000, 10, key=f"{KEY}classes", help="How many it tells apart.")
    return {"input_shape": shape, "classes": classes}


def _weights(architecture: str) -> tuple[dict[str, Any], UploadedFile | None]:
    """Where the weights come from, as fields of the order, and the file where one was uploaded."""
    ways = [way for way in WEIGHTS if way != "pretrained" or architecture.startswith("torchvision:")]
    way = st.segmented_control(
        "Weights", ways, default="random", required=True, format_func=WEIGHTS.__getitem__, key=f"{KEY}weights",
        help="Random ones can be trained on the Pipeline page. torchvision's own are fetched once, which takes a "
        "network. Where the classes differ from those of the weights, the last layer starts random.",
    )  # fmt: skip
    if way != "file":
        return {"pretrained": "DEFAULT"} if way == "pretrained" else {}, None
    upload = st.file_uploader(
        "Weights: safetensors, or a state dict", type=["safetensors", "pt", "pth", "bin"], key=f"{KEY}file",
        max_upload_size=UPLOAD_MB,
        help="torch.save(model.state_dict()). Read without running any code that it may hold, in a process of its own.",
    )  # fmt: skip
    plain = upload is not None and upload.name.lower().endswith(".safetensors")
    return {"weights": "weights.safetensors" if plain else "weights.pt"}, upload
