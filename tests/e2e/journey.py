"""What somebody does with images of their own, in a browser: data set, model, pipeline, files to ship."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image
from playwright.sync_api import Page, expect

from pages._stages import packed
from tests.e2e.browser import settle


def add_images(page: Page, server: str, archive: Path, name: str, wait_ms: float) -> None:
    """Make a data set of a zip on the Library page, and wait until it is there."""
    page.goto(f"{server}/library?library_view=Data+sets")
    settle(page)
    page.locator(".st-key-library_data_file input[type=file]").set_input_files(archive)
    expect(page.get_by_text(archive.name)).to_be_visible(timeout=wait_ms)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Add data set").click()
    expect(page.get_by_text(f"{name} is a data set now")).to_be_visible(timeout=wait_ms)


def add_resnet(page: Page, server: str, name: str, wait_ms: float) -> None:
    """Add torchvision's ResNet-18 for the data set that the form has in front, with random weights."""
    page.goto(f"{server}/library")
    settle(page)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Name", exact=True).press("Tab")
    settle(page)
    page.get_by_role("button", name="Add model").click()
    expect(page.get_by_text(f"{name} is a model now")).to_be_visible(timeout=wait_ms)


def shipped(page: Page, server: str, model: str, stages: list[dict[str, Any]], wait_ms: float) -> zipfile.ZipFile:
    """Run a pipeline and download what the page offers; it stays open at what it says of that."""
    page.goto(f"{server}/pipeline?model={model}&stages={packed(stages)}&pipeline_controls=false&pipeline_latency=false")
    settle(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Take it away").click(timeout=wait_ms)
    page.get_by_role("button", name="Make the files").click()
    button = page.get_by_role("button", name=re.compile("Download [0-9,]+ bytes"))
    expect(button).to_be_visible(timeout=wait_ms)
    with page.expect_download() as download:
        button.click()
    content = download.value.path().read_bytes()
    expect(button).to_contain_text(f"{len(content):,} bytes")
    assert download.value.suggested_filename.startswith(f"{model}-pipeline-")
    return zipfile.ZipFile(io.BytesIO(content))


def judged(archive: Path, files: zipfile.ZipFile) -> tuple[int, int]:
    """How many of the test images in a zip the shipped ONNX file gets right, and of how many."""
    home = files.namelist()[0].split("/")[0]
    card = json.loads(files.read(f"{home}/card.json"))
    session = onnxruntime.InferenceSession(files.read(f"{home}/model.onnx"), providers=["CPUExecutionProvider"])
    mean, std = (np.array(card[key], np.float32).reshape(3, 1, 1) for key in ("mean", "std"))
    right = total = 0
    with zipfile.ZipFile(archive) as given:
        for name in given.namelist():
            split, label, _ = name.split("/")
            if split == "test":
                pixels = np.asarray(Image.open(io.BytesIO(given.read(name)))).transpose(2, 0, 1)
                (logits,) = session.run(None, {"input": ((pixels.astype(np.float32) / 255 - mean) / std)[None]})
                right += card["classes"][int(np.asarray(logits).argmax())] == label
                total += 1
    return right, total
