"""Somebody's own images, from a zip to an ONNX file, and what the page says of them all the way."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from compression.data.sets import load_data
from compression.report.text import percent
from tests.e2e.browser import settle
from tests.e2e.journey import add_images, add_resnet, judged, shipped

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Open = Callable[..., Page]
WAIT_MS = 240_000
STAGES = [
    {"kind": "train", "epochs": 3, "lr": 0.02},
    {"kind": "prune", "granularity": "channels", "scope": "layer", "sparsity": 0.5},
    {"kind": "train", "epochs": 2, "lr": 0.02},
]


def photographs(path: Path, n: int = 60) -> Path:
    """A zip of JPEG files in class folders, of which a quarter is to judge by: digits, in colour, 32×32."""
    split = load_data("digits").train
    with zipfile.ZipFile(path, "w") as archive:
        for label in range(10):
            for i, image in enumerate(split.images[split.labels == label][:n]):
                picture = Image.fromarray(image[0].numpy()).resize((32, 32)).convert("RGB")
                content = io.BytesIO()
                picture.save(content, "JPEG", quality=92)
                archive.writestr(f"{'test' if i % 4 == 0 else 'train'}/digit {label}/{i}.jpg", content.getvalue())
    return path


def test_from_a_zip_of_photographs_to_an_onnx_file_that_is_as_right_as_the_page_says_and_away(
    open_page: Open, server: str, tmp_path: Path
) -> None:
    page, archive = open_page(), photographs(tmp_path / "my photographs.zip")
    add_images(page, server, archive, "photos", WAIT_MS)
    add_resnet(page, server, "mine", WAIT_MS)
    with shipped(page, server, "mine", STAGES, WAIT_MS) as files:
        right, total = judged(archive, files)
    assert total == 150 and right > 30  # better than chance
    expect(page.get_by_text(f"{percent(right / total, 2)} of 150 test images right")).to_be_visible()
    page.goto(f"{server}/library?library_model=mine")
    settle(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_have_count(0, timeout=WAIT_MS)
    gone = open_page("prune?model=mine")
    expect(gone.get_by_text("is not here; this is digits-cnn.")).to_be_visible(timeout=WAIT_MS)
