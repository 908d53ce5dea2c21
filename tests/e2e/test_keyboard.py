"""Each page's main action by the keyboard alone, from the page's start, with the focus in sight where it acts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from pages._stages import packed
from tests.e2e.browser import settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("study")]
Open = Callable[..., Page]
WAIT_MS = 120_000
MOST = 150
"""Presses of Tab from a page's start to anything on it."""
AROUND = 12
"""Pixels around an element in which its ring may be drawn."""


class Act(NamedTuple):
    """Where, on what, which keys, and the address or the words that show it was done."""

    path: str
    query: dict[str, str]
    role: str
    name: str
    keys: tuple[str, ...]
    url: str = ""
    words: str = ""


OF_STUDY = {"model": "digits-mlp", "study": "seen by all"}
CUT = packed([{"kind": "prune", "sparsity": 0.5}])
QUICK = {"model": "digits-mlp", "stages": CUT, "pipeline_controls": "false", "pipeline_latency": "false"}
ACTS = {
    "a page is chosen": Act("", {}, "link", "Trade-offs", ("Enter",), url="/tradeoffs"),
    "a model is chosen": Act("", {}, "combobox", "Model", (*"mlp", "Enter"), url="model=digits-mlp"),
    "pruned": Act("prune", {}, "slider", "Sparsity", ("ArrowRight",), url="prune_sparsity=0.51"),
    "the export is opened": Act("prune", {}, "button", "Take it away", ("Enter", "Tab", "Tab"), words="Make the files"),
    "a budget is used": Act("sensitivity", {}, "button", "Use in Prune", ("Enter",), url="/prune"),
    "softened": Act("distill", {}, "slider", "Temperature", ("ArrowRight",), url="distill_temperature=4.5"),
    "a pipeline is run": Act("pipeline", QUICK, "button", "Run", ("Space",), url="run=[0-9a-f]{12}"),
    "a kind of study is chosen": Act(
        "tradeoffs", {"model": "digits-vit"}, "radio", "Sweep", ("ArrowRight", "Space"), url="study_way"
    ),
    "a point is chosen": Act("tradeoffs", OF_STUDY, "combobox", "Look at", (*"trial 3", "Enter"), words="trial 3 of"),
    "trials are filtered": Act(
        "tradeoffs", OF_STUDY, "group", "sparsity: drag", ("ArrowUp",), words="of 10 trials pass"
    ),
    "data sets are shown": Act("library", {}, "radio", "Models", ("ArrowRight", "Space"), url="library_view=Data"),
    "a logit is moved": Act("learn", {"learn_view": "Pictures"}, "slider", "Logit at 4", ("PageUp",), words="-2.5"),
    "a prediction is made": Act(
        "learn", {}, "slider", "Expected accuracy at 90 %", ("PageDown",), url="learn_drawn=98_98_98_98_98_98_98_98_88"
    ),
}


def has_focus(wanted: Locator) -> bool:
    return bool(wanted.count()) and wanted.evaluate("one => one.matches(':focus')")


def tab_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Press Tab until it has the focus."""
    for _ in range(MOST):
        page.keyboard.press(key)
        if has_focus(wanted):
            return
    pytest.fail(f"{MOST} times {key} do not lead to {wanted}", pytrace=False)


def seen(page: Page, wanted: Locator) -> bool:
    """Whether the place of an element looks different with the focus and without."""
    box = wanted.bounding_box()
    assert box
    left, top = max(0, box["x"] - AROUND), max(0, box["y"] - AROUND)
    clip = {"x": left, "y": top, "width": box["width"] + 2 * AROUND, "height": box["height"] + 2 * AROUND}
    with_focus = page.screenshot(clip=clip, animations="disabled")
    wanted.evaluate("one => one.blur()")
    without = page.screenshot(clip=clip, animations="disabled")
    wanted.focus()
    return with_focus != without


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_it_is_reached_and_done_and_the_focus_is_seen(open_page: Open, act: Act) -> None:
    page = open_page(f"{act.path}?{urlencode(act.query)}" if act.query else act.path)
    wanted = page.get_by_role(act.role, name=act.name).first
    expect(wanted).to_be_attached(timeout=WAIT_MS)
    settle(page, WAIT_MS)
    tab_to(page, wanted)
    assert seen(page, wanted)
    for key in act.keys:
        page.keyboard.press(key)
    if act.url:
        expect(page).to_have_url(re.compile(act.url), timeout=WAIT_MS)
    if act.words:
        expect(page.get_by_text(act.words).first).to_be_visible(timeout=WAIT_MS)


def test_a_prediction_is_revealed_and_a_report_is_saved(open_page: Open) -> None:
    page = open_page("learn")
    tab_to(page, page.get_by_role("slider", name="Expected accuracy at 10 %"))
    page.keyboard.press("PageDown")
    reveal = page.get_by_role("button", name="Reveal")
    expect(reveal).to_be_enabled(timeout=WAIT_MS)
    settle(page, WAIT_MS)
    tab_to(page, reveal, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Measured:")).to_be_visible(timeout=WAIT_MS)
    page = open_page("present?present_study=seen+by+all")
    saved = page.get_by_role("button", name="HTML")
    expect(saved).to_be_attached(timeout=WAIT_MS)
    settle(page, WAIT_MS)
    tab_to(page, saved)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "espalier-seen-by-all.html"
