"""The Library page's forms, and the way to take a model along, as somebody uses them, without a browser."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from compression import errands
from compression.studies.watch import UNDER_WAY

Open = Callable[..., AppTest]


def sound(at: AppTest) -> AppTest:
    assert not at.exception, [fault.value for fault in at.exception]
    return at


def opened(open_app: Open, view: str) -> AppTest:
    at = sound(open_app("library"))
    return sound(at.segmented_control(key="library_view").set_value(view).run())


def press(at: AppTest, label: str) -> AppTest:
    return sound(next(button for button in at.button if button.label == label).click().run())


def add_data(at: AppTest, name: str, content: bytes | None, called: str = "given.zip") -> AppTest:
    if content is not None:
        at.file_uploader(key="library_data_file").upload(called, content, "application/zip")
    at.text_input(key="library_data_name").set_value(name)
    return press(at, "Add data set")


def add_mlp(at: AppTest, name: str, content: bytes, called: str, hidden: int = 8) -> AppTest:
    """A small network of ours for the digits, with these weights."""
    at.text_input(key="library_model_name").set_value(name)
    at.selectbox(key="library_model_kind").set_value("own").run()
    at.selectbox(key="library_model_data").set_value("digits")
    at.text_input(key="library_model_options").set_value(f'{{"hidden": [{hidden}]}}')
    at.segmented_control(key="library_model_weights").set_value("file").run()
    at.file_uploader(key="library_model_file").upload(called, content).run()
    return press(at, "Add model")


def ended(at: AppTest, place: str) -> AppTest:
    """The page after the errand of a place has ended."""
    for _ in range(1200):
        present = errands.state(place)
        assert present, at.error
        if present.state not in UNDER_WAY:
            return sound(at.run())
        time.sleep(0.05)
    raise AssertionError("it does not end")


def said(at: AppTest) -> str:
    """What the page complains of, as a reader sees it."""
    return " ".join(fault.value for fault in at.error).replace("\\", "")


def column(at: AppTest, name: str) -> list[Any]:
    """The first table's column that is called so."""
    return next(frame.value[name].tolist() for frame in at.dataframe if name in frame.value)


def handed_out(at: AppTest, key: str, root: Path) -> dict[str, bytes]:
    """The files of the zip that a page makes, which it shows by name and length."""
    at.pills(key=f"{key}_formats").set_value(["safetensors", "packed"]).run()
    sound(at.button(key=f"{key}_make").click().run())
    [place] = [folder.name for folder in (root / "errands").iterdir()]
    at = ended(at, place)
    with zipfile.ZipFile(errands.file(place)) as archive:
        found = {name.split("/")[1]: archive.read(name) for name in archive.namelist()}
    assert dict(zip(column(at, "file"), column(at, "bytes"), strict=True)) == {
        name: len(found[name]) for name in ("model.safetensors", "model.packed")
    }
    labels = [button.proto.label for button in at.get("download_button")]
    assert f"Download {errands.file(place).stat().st_size:,} bytes" in labels
    assert found.keys() == {*column(at, "file"), "card.json", "recipe.yaml", "load_model.py", "packing.py"}
    return found
