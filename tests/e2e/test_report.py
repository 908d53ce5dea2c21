"""A report as HTML in a real browser without a network: its charts live, nothing asked for, the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from compression.report import html
from compression.report import story_words as words
from compression.report.cover import cover
from compression.report.story_tables import before_after_cells
from tests.report.told import made


def test_a_report_opens_without_a_network_and_shows_the_numbers(
    contexts: dict[str, BrowserContext], tmp_path: Path
) -> None:
    told = made()
    file = tmp_path / "report.html"
    file.write_text(html.page(told, cover("<b>Ours</b>", "Ada", "#801650")), encoding="utf-8")
    page = contexts["light"].new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.route("http*://**", lambda route: route.abort())
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('.main-svg').length >= 3")
    shown = page.locator("body").inner_text()
    assert words.headline(told, told.points[0]) in shown and "<b>Ours</b>" in shown
    for line in before_after_cells(told)[1:]:
        assert page.locator("tr", has_text=line[0]).first.locator("td").all_inner_texts() == line[1:]
    point = "Array.from(document.getElementById('tradeoff').data).find(trace => trace.name === 'marked')"
    assert page.evaluate(f"[{point}.x[0], {point}.y[0]]") == [32, 0.97]
    for kind in ("PNG", "SVG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save as {kind}").first.click()
        assert download.value.suggested_filename == f"tradeoff.{kind.lower()}"
    page.close()
    assert not faults
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize("width", [1280, 400])
def test_a_report_fits_its_window(contexts: dict[str, BrowserContext], tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(html.page(made(0, 1, 2), cover()), encoding="utf-8")
    page = contexts["light"].new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('.main-svg').length >= 3")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
