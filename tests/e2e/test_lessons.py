"""Every lesson walked through by the keyboard alone, in a real browser: prediction, reveal, explanation, check."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from pages._lessons import Curve, Lesson, Pick, lessons
from tests.e2e.browser import settle

pytestmark = pytest.mark.timeout(300)
Open = Callable[..., Page]
WAIT_MS = 60_000


def opened(open_page: Open, lesson: Lesson, **query: str) -> Page:
    return open_page("learn?" + urlencode({"learn_lesson": f"{lesson.number} {lesson.title}", **query}))


def predict(page: Page, lesson: Lesson) -> None:
    if isinstance(lesson.predict, Pick):
        choice = page.get_by_role("radio", name=list(lesson.predict.choices)[0])
        choice.focus()
        page.keyboard.press("Space")
        expect(choice).to_be_checked()
    elif isinstance(lesson.predict, Curve):
        page.get_by_role("slider", name="Expected accuracy at 90 %").focus()
        page.keyboard.press("PageDown")
        expect(page).to_have_url(re.compile("learn_drawn=98-98-98-98-98-98-98-98-88-98"))
    else:
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("learn_guess_.*=0.51"))
    settle(page)
    page.evaluate("document.activeElement.blur()")


def forward(page: Page, step: str) -> None:
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(f"learn_step={step}"), timeout=WAIT_MS)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", lessons().values(), ids=lambda lesson: f"{lesson.number:02}")
def test_a_lesson_from_prediction_to_check(open_page: Open, lesson: Lesson) -> None:
    page = opened(open_page, lesson)
    expect(page.get_by_role("heading", name=lesson.question)).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Measured:")).to_have_count(0)
    predict(page, lesson)
    forward(page, "Experiment")
    expect(page.get_by_text("Measured:")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    charts = page.get_by_test_id("stPlotlyChart")
    expect(charts.first).to_be_visible(timeout=WAIT_MS)
    assert all(len(chart.get_attribute("aria-label") or "") > 10 for chart in charts.all())
    forward(page, "Explanation")
    expect(page.locator(".katex-display")).not_to_have_count(0, timeout=WAIT_MS)
    forward(page, "Check")
    wrong, right = ((lesson.check.right + turn) % len(lesson.check.choices) for turn in (1, 0))
    for place, said in ((wrong, "Not quite"), (right, "Right.")):
        page.get_by_role("radio", name=lesson.check.choices[place], exact=True).focus()
        page.keyboard.press("Space")
        expect(page.get_by_text(said)).to_be_visible(timeout=WAIT_MS)
        settle(page)
