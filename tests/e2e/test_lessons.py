"""Every lesson walked through by the keyboard alone, in a real browser: prediction, reveal, explanation, check."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from compression.report.drawing import TITLE_PX
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
        expect(page).to_have_url(re.compile("learn_drawn=98_98_98_98_98_98_98_98_88_98"))
    else:
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowRight")
        expect(page).to_have_url(re.compile("learn_guess_.*=0.01"))
    expect(page.get_by_role("button", name="Reveal")).to_be_enabled(timeout=WAIT_MS)
    settle(page)


def forward(page: Page, step: str) -> None:
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(f"learn_step={step}"), timeout=WAIT_MS)


def test_a_timing_is_stopped_midway(open_page: Open) -> None:
    """Before the lessons are walked through, since a timing is kept for everybody once it is done."""
    lesson = list(lessons().values())[2]
    page = opened(open_page, lesson, learn_guess_3=list(lesson.predict.choices)[0])
    page.keyboard.press("n")
    waits = page.get_by_text("Timing both models")
    expect(waits).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name="Back").click()
    expect(waits).to_have_count(0, timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("n")
    expect(waits).to_be_visible(timeout=WAIT_MS)  # had it gone on to its end, its result would be kept


@pytest.mark.slow
@pytest.mark.parametrize("lesson", lessons().values(), ids=lambda lesson: f"{lesson.number:02}")
def test_a_lesson_from_prediction_to_check(open_page: Open, lesson: Lesson) -> None:
    page = opened(open_page, lesson)
    expect(page.get_by_role("heading", name=lesson.question)).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Measured:")).to_have_count(0)
    expect(page.get_by_role("button", name="Reveal")).to_be_disabled()
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


@pytest.mark.slow
def test_a_clicker_goes_through_a_lesson_and_a_link_opens_the_same_view(open_page: Open) -> None:
    lesson = list(lessons().values())[5]
    page = opened(open_page, lesson, learn_present="true", hide="steps,tools")
    expect(page.get_by_role("heading", name=lesson.question)).to_be_visible(timeout=WAIT_MS)
    for hidden in ("stSidebar", "stHeader"):
        expect(page.get_by_test_id(hidden)).to_be_hidden()
    expect(page.get_by_role("radio", name="Explanation")).to_be_hidden()
    expect(page.get_by_text("Presenter mode")).to_be_hidden()
    predict(page, lesson)
    page.keyboard.press("PageDown")
    expect(page.get_by_text("Measured:")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    said = page.get_by_text("Measured:").inner_text()
    assert "hide=steps" in page.url
    assert title_px(page) == 1.5 * TITLE_PX
    again = open_page(page.url.split("/")[-1])
    expect(again.get_by_text("Measured:")).to_have_text(said, timeout=WAIT_MS)
    page.keyboard.press("PageUp")
    expect(page.get_by_text("Measured:")).to_have_count(0, timeout=WAIT_MS)


@pytest.mark.slow
def test_a_clicker_is_heard_after_a_click_on_a_control(open_page: Open) -> None:
    lesson = next(one for one in lessons().values() if isinstance(one.predict, Pick))
    page = opened(open_page, lesson)
    page.get_by_text("Presenter mode").click()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden(timeout=WAIT_MS)
    settle(page)
    page.get_by_text(next(iter(lesson.predict.choices)), exact=True).click()
    settle(page)
    page.keyboard.press("PageDown")
    expect(page.get_by_text("Measured:")).to_be_visible(timeout=WAIT_MS)
    page.keyboard.press("PageUp")
    expect(page.get_by_text("Measured:")).to_have_count(0, timeout=WAIT_MS)
    page.keyboard.press("PageUp")
    before = list(lessons().values())[lesson.number - 2]
    expect(page.get_by_role("heading", name=before.question)).to_be_visible(timeout=WAIT_MS)


def title_px(page: Page) -> float:
    title = page.locator(".js-plotly-plot .gtitle").first
    expect(title).to_be_visible(timeout=WAIT_MS)
    return float(title.evaluate("title => getComputedStyle(title).fontSize").removesuffix("px"))


def link_of(page: Page) -> str:
    """What the page gives away as its link, without the address before it."""
    page.get_by_role("button", name="Link", exact=True).click()
    link = page.get_by_test_id("stCode")
    expect(link).to_be_visible(timeout=WAIT_MS)
    settle(page)
    said = link.inner_text().strip()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden(timeout=WAIT_MS)
    return said.split("/")[-1]


@pytest.mark.slow
def test_a_link_carries_what_was_chosen_at_an_earlier_step(open_page: Open) -> None:
    lesson = list(lessons().values())[6]
    page = opened(open_page, lesson, learn_step="Experiment", learn_guess_7="0.3", learn_temperature="9.0")
    expect(page.get_by_text("Measured:")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    forward(page, "Explanation")
    settle(page)
    expect(page).not_to_have_url(re.compile("learn_temperature"), timeout=WAIT_MS)
    again = open_page(link_of(page))
    again.get_by_role("button", name="Back").click()
    expect(again.get_by_text("You said 30 %")).to_be_visible(timeout=WAIT_MS)
    expect(again.get_by_role("slider", name="Temperature")).to_have_attribute("aria-valuetext", "9.00", timeout=WAIT_MS)


@pytest.mark.slow
def test_a_link_carries_the_curve_and_the_logits_that_were_drawn(open_page: Open) -> None:
    for path, name, said in (
        ("learn", "Expected accuracy at 50 %", "88 %"),
        ("learn?learn_view=Pictures", "Logit at 4", "-4.5"),
    ):
        page = open_page(path)
        page.get_by_role("slider", name=name).focus()
        page.keyboard.press("PageDown")
        expect(page).to_have_url(re.compile("learn_(drawn|logits)="), timeout=WAIT_MS)
        again = open_page(link_of(page))
        expect(again.get_by_role("slider", name=name)).to_have_attribute("aria-valuetext", said, timeout=WAIT_MS)


def test_what_a_link_hides_stays_hidden_after_clicks_and_other_pages(open_page: Open) -> None:
    lesson = list(lessons().values())[6]
    page = opened(open_page, lesson, learn_guess_7="0.3", hide="views,tools")
    hidden = [page.get_by_role("radio", name="Glossary"), page.get_by_text("Presenter mode")]
    pages = page.get_by_test_id("stSidebarNav")
    for here, go in (
        (1, lambda: forward(page, "Experiment")),
        (1, lambda: forward(page, "Explanation")),
        (0, lambda: pages.get_by_role("link", name="Overview").click()),
        (1, lambda: pages.get_by_role("link", name="Learn").click()),
    ):
        go()
        settle(page)
        expect(page.get_by_role("heading", name=lesson.question)).to_have_count(here, timeout=WAIT_MS)
        for control in hidden:
            expect(control).to_be_hidden(timeout=WAIT_MS)


def test_a_teachers_link_says_what_it_hides(open_page: Open) -> None:
    page = opened(open_page, list(lessons().values())[1])
    page.get_by_role("button", name="Link").click()
    page.get_by_role("combobox", name="Hide from whoever opens it").click()
    page.get_by_role("option", name="The seed").click()
    page.keyboard.press("Escape")
    link = page.get_by_test_id("stCode")
    expect(link).to_contain_text("hide=seed", timeout=WAIT_MS)
    assert "/learn?learn_lesson=2+Magnitude" in link.inner_text()


def test_a_logit_is_dragged_and_moved_by_keys(open_page: Open) -> None:
    page = open_page("learn?learn_view=Pictures")
    drawn = page.locator(".js-plotly-plot .gtitle").first
    expect(drawn).to_be_visible(timeout=WAIT_MS)
    before = drawn.text_content()
    handle = page.get_by_role("slider", name="Logit at 4")
    box = handle.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 32, steps=4)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuetext", re.compile(r"^1[345]"))
    expect(drawn).not_to_have_text(before or "", timeout=WAIT_MS)
    settle(page)
    before, high = drawn.text_content(), float(handle.get_attribute("aria-valuenow") or 0)
    handle.focus()
    page.keyboard.press("PageDown")
    expect(handle).to_have_attribute("aria-valuetext", f"{high - 1:.1f}")
    expect(drawn).not_to_have_text(before or "", timeout=WAIT_MS)


def test_a_curve_is_drawn_in_one_stroke_and_reality_over_it(open_page: Open) -> None:
    page = opened(open_page, list(lessons().values())[0])
    handles = page.get_by_role("slider")
    expect(handles).to_have_count(10)
    first, last = handles.first.bounding_box(), handles.last.bounding_box()
    assert first and last
    page.mouse.move(first["x"] + first["width"] / 2, first["y"] + 35)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] / 2, last["y"] + last["height"] - 30, steps=30)
    page.mouse.up()
    heights = [float(handle.get_attribute("aria-valuenow") or 0) for handle in handles.all()]
    assert heights == sorted(heights, reverse=True) and heights[0] > 0.9 and heights[-1] < 0.1
    expect(page).to_have_url(re.compile("learn_drawn="), timeout=WAIT_MS)
    settle(page)
    forward(page, "Experiment")
    expect(page.get_by_text("your curve lies")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot").get_by_text("you drew")).to_be_visible(timeout=WAIT_MS)


def test_a_lesson_hands_over_with_its_settings(open_page: Open) -> None:
    lesson = list(lessons().values())[0]
    page = opened(open_page, lesson, learn_step="Explanation", learn_drawn="_".join(["50"] * 10))
    page.get_by_role("button", name=lesson.onward.label).click()
    expect(page).to_have_url(re.compile("/prune.*prune_sparsity=0.6"), timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot .gtitle").first).to_contain_text("60", timeout=WAIT_MS)
    expect(page.get_by_role("combobox", name="Model")).to_have_value("digits-mlp")


@pytest.mark.parametrize("view", ["Lessons", "Pictures", "Methods", "Glossary"])
def test_at_twice_the_size_nothing_is_wider_than_the_window(open_page: Open, view: str) -> None:
    page = open_page(f"learn?learn_view={view}", width=640, height=400)  # 1280 × 800 at 200 %
    expect(page.get_by_test_id("stMainBlockContainer")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
