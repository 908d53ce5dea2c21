"""What only a browser shows: sliders that move charts, a sweep from click to chart, links that reopen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from compression.library import add_model
from compression.models.own import remove_model
from pages._stages import packed
from tests.e2e.browser import settle

pytestmark = pytest.mark.timeout(300)
Open = Callable[..., Page]
WAIT_MS = 120_000
SPARSIFIED = packed([{"kind": "sparsify", "penalty": "l1", "epochs": 3}])


def title(page: Page, position: int) -> str:
    return page.locator(".js-plotly-plot").nth(position).locator(".gtitle").text_content().replace("\u00a0", " ")


def metric(page: Page, label: str) -> str:
    card = page.get_by_test_id("stMetric").filter(has_text=label)
    return card.get_by_test_id("stMetricValue").inner_text()


def test_the_first_page_carries_the_message(page: Page) -> None:
    plot = page.locator(".js-plotly-plot").first
    # A bare frame comes first, while the server imports what measures the points.
    expect(plot.locator("path.point").first).to_be_attached(timeout=WAIT_MS)
    assert re.search(r"smaller|accuracy", title(page, 0))
    expect(page.get_by_role("link", name="Trade-offs").first).to_be_visible()


def test_a_slider_moves_every_chart_and_the_link(open_page: Open) -> None:
    page = open_page("prune?model=digits-mlp")
    expect(page.locator(".js-plotly-plot")).to_have_count(5, timeout=WAIT_MS)
    before, size = title(page, 0), metric(page, "Size packed")
    thumb = page.get_by_role("slider", name="Sparsity")
    for _ in range(10):
        thumb.press("ArrowRight")
    expect(page.get_by_test_id("stMetricValue").nth(1)).not_to_have_text(size, timeout=WAIT_MS)
    settle(page)
    assert title(page, 0) != before
    assert "prune_sparsity=0.6" in page.url


def test_a_link_reopens_the_same_view(open_page: Open) -> None:
    page = open_page("prune?model=digits-mlp&prune_sparsity=0.8")
    expect(page.locator(".js-plotly-plot")).to_have_count(5, timeout=WAIT_MS)
    assert "80 %" in title(page, 0)
    assert page.get_by_test_id("stSidebar").get_by_text("workbench").count() == 0  # only pages in the menu


def test_a_link_to_a_model_that_is_not_here_says_so(open_page: Open) -> None:
    page = open_page("prune?model=nope")
    expect(page.get_by_text("The link's model 'nope' is not here; this is digits-cnn.")).to_be_visible(timeout=WAIT_MS)


def test_a_link_s_model_goes_along_to_the_next_page(open_page: Open) -> None:
    page = open_page("sensitivity?model=digits-mlp")
    model = page.locator(".st-key-model input")
    expect(model).to_have_value("digits-mlp", timeout=WAIT_MS)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Distill").click()
    page.wait_for_url("**/distill*", timeout=WAIT_MS)
    settle(page)
    expect(model).to_have_value("digits-mlp")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["prune", "distill", "sensitivity"])
def test_a_page_whose_model_is_deleted_meanwhile_says_so_and_goes_on_with_another(
    path: str, open_page: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPALIER_DATA", str(home / "data"))
    add_model("passing", "mlp", {"inputs": 64, "hidden": [8]}, data="digits")
    page = open_page(f"{path}?model=passing&sensitivity_images=100")
    remove_model("passing")
    page.locator(".stMain input[type=range]").first.press("ArrowRight")
    expect(page.get_by_text("The link's model 'passing' is not here; this is digits-cnn.")).to_be_visible(
        timeout=WAIT_MS
    )
    settle(page)
    assert page.get_by_text("Unknown model").count() == 0
    expect(page.get_by_role("combobox", name="Model")).to_have_value("digits-cnn")


@pytest.mark.slow
def test_a_study_from_click_to_chart_and_away(open_page: Open) -> None:
    page = open_page("tradeoffs?model=digits-mlp&sweep_count=3")
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name="Run sweep").click()
    expect(page).to_have_url(re.compile("study=digits-mlp\\+sweep"), timeout=WAIT_MS)
    expect(page.get_by_text("6 of 6 measured")).to_be_visible(timeout=WAIT_MS)
    again = open_page(page.url.split("/")[-1])  # whoever opens the link later sees the same
    expect(again.get_by_text("6 of 6 measured")).to_be_visible(timeout=WAIT_MS)
    settle(again)
    assert title(again, 0) == title(page, 0)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 7 and lines[0].startswith("trial,model")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("A first look, one-shot")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("6 of 6 measured")).to_have_count(0)


@pytest.mark.slow
def test_brushing_an_axis_filters_the_chart_and_a_click_chooses_a_point(open_page: Open) -> None:
    page = open_page("tradeoffs?model=digits-cnn&study_way=Preset")
    page.get_by_role("button", name="Run preset").click()
    expect(page.get_by_text("18 of 18 measured")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    axis = page.get_by_role("group", name="sparsity: drag to filter")
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    assert box
    page.mouse.move(box["x"] + 14, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 14, box["y"] + 150, steps=4)
    page.mouse.up()
    passing = page.get_by_text(re.compile("of 18 trials pass the filters"))
    expect(passing).to_be_visible(timeout=WAIT_MS)
    kept = int(passing.inner_text().split()[0])
    settle(page)
    told = page.locator(".js-plotly-plot").first.locator(".gtitle-subtitle").text_content() or ""
    assert 0 < kept < 18 and told.replace("\u00a0", " ").startswith(f"{kept} trials")
    page.get_by_role("button", name="Clear filters").click()
    expect(passing).to_have_count(0, timeout=WAIT_MS)
    page.get_by_text("Knee").click()  # whatever is changed next, the filters stay away
    settle(page)
    expect(passing).to_have_count(0)
    axis.focus()
    page.keyboard.press("ArrowUp")
    expect(passing).to_be_visible(timeout=WAIT_MS)
    settle(page)
    axis.focus()
    page.keyboard.press("Delete")
    expect(passing).to_have_count(0, timeout=WAIT_MS)
    settle(page)
    chosen = page.get_by_role("heading", level=2).first
    before = chosen.inner_text()
    points = page.locator(".js-plotly-plot").first.locator(".points path")
    points.nth(0).click(force=True)
    settle(page)
    expect(page.get_by_text(re.compile("first look, chosen"))).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name="Compare with another").click()
    expect(page.get_by_role("button", name="Now click another point")).to_be_disabled(timeout=WAIT_MS)
    settle(page)
    points.nth(2).click(force=True)
    expect(page.get_by_role("button", name="Unpin")).to_be_visible(timeout=WAIT_MS)
    assert chosen.inner_text() != before
    page.get_by_role("button", name="Open in Pipeline").click()
    expect(page).to_have_url(re.compile("/pipeline"), timeout=WAIT_MS)
    expect(page.get_by_role("button", name="delete icon")).to_have_count(1, timeout=WAIT_MS)


def test_the_temperature_moves_what_the_teacher_says(open_page: Open) -> None:
    page = open_page("distill?model=digits-mlp&distill_temperature=2")
    expect(page.locator(".js-plotly-plot")).to_have_count(5, timeout=WAIT_MS)
    before = [title(page, position) for position in range(4)]
    page.get_by_role("slider", name="Temperature").press("ArrowRight")
    expect(page).to_have_url(re.compile("distill_temperature=2.5"), timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot .gtitle").first).to_contain_text("2.5", timeout=WAIT_MS)
    settle(page)
    after = [title(page, position) for position in range(4)]
    assert all("2.5" in one for one in (after[0], after[2], after[3])), after
    assert before[0] != after[0]


@pytest.mark.slow
def test_a_lesson_from_click_to_judgement(open_page: Open) -> None:
    page = open_page("distill?model=digits-mlp&distill_view=Teach&teach_epochs=2")
    page.get_by_role("button", name="Train").click()
    expect(page).to_have_url(re.compile("lesson=[0-9a-f]{12}"), timeout=WAIT_MS)
    expect(page.get_by_text("After 2 epochs")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.get_by_role("radio", name="Judge").click()
    expect(page.get_by_test_id("stMetric")).to_have_count(2, timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot")).to_have_count(3, timeout=WAIT_MS)
    settle(page)
    assert "teacher" in " ".join(title(page, position) for position in range(3))


@pytest.mark.slow
def test_a_pipeline_from_preset_to_lineage(open_page: Open) -> None:
    page = open_page("pipeline?model=digits-mlp")
    page.get_by_role("button", name="delete icon").last.click()
    settle(page)
    expect(page.get_by_role("button", name="delete icon")).to_have_count(1)
    page.get_by_role("button", name="content_copy icon").click()
    expect(page.get_by_role("button", name="delete icon")).to_have_count(2)
    settle(page)
    page.get_by_role("button", name="Run").click()
    expect(page).to_have_url(re.compile("run=[0-9a-f]{12}"), timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=WAIT_MS)
    settle(page)
    again = open_page(page.url.split("/")[-1])
    expect(again.get_by_role("button", name="delete icon")).to_have_count(2)
    expect(again.locator(".js-plotly-plot").first).to_be_visible(timeout=WAIT_MS)
    assert title(again, 0) == title(page, 0)


def test_a_scan_and_its_budget_go_over_to_the_prune_page(open_page: Open) -> None:
    page = open_page("sensitivity?model=digits-mlp&sensitivity_images=100")
    expect(page.get_by_role("button", name="Use in Prune")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert page.locator(".js-plotly-plot").count() >= 4  # heat map, lines, what each method leaves, how it spends
    page.get_by_role("button", name="Use in Prune").click()
    expect(page).to_have_url(re.compile("/prune"), timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot")).to_have_count(5, timeout=WAIT_MS)
    settle(page)
    before = title(page, 0)
    assert "50 %" in before
    assert page.url.count("prune_of_") == 3  # the link holds every layer's amount
    page.reload()
    expect(page.locator(".js-plotly-plot")).to_have_count(5, timeout=WAIT_MS)
    settle(page)
    assert title(page, 0) == before


@pytest.mark.slow
def test_weights_drift_towards_zero_when_played(open_page: Open) -> None:
    page = open_page(f"pipeline?model=digits-mlp&stages={SPARSIFIED}&pipeline_controls=false&pipeline_latency=false")
    page.get_by_role("button", name="Run").click()
    drift = page.locator(".js-plotly-plot").filter(has=page.locator(".slider-group"))
    expect(drift.first).to_be_visible(timeout=WAIT_MS)
    settle(page)
    bars = "plot => plot.querySelectorAll('.barlayer path').length"
    assert drift.first.evaluate(bars) > 10
    heights = "plot => [...plot.querySelectorAll('.barlayer path')].map(bar => bar.getAttribute('d')).join()"
    before = drift.first.evaluate(heights)
    drift.first.locator(".updatemenu-button").first.click()
    page.wait_for_function(
        "before => [...document.querySelectorAll('.js-plotly-plot')].filter(p => p.querySelector('.slider-group'))"
        ".some(plot => [...plot.querySelectorAll('.barlayer path')].map(b => b.getAttribute('d')).join() !== before)",
        arg=before,
        timeout=WAIT_MS,
    )


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "prune", "distill", "tradeoffs", "sensitivity"])
def test_nothing_is_wider_than_a_projector(open_page: Open, path: str, scheme: str) -> None:
    page = open_page(f"{path}?model=digits-mlp", width=1024, height=768, scheme=scheme)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    clipped = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
            const box = plot.getBoundingClientRect();
            return [...plot.querySelectorAll('text')].filter(text => text.textContent.trim()).filter(text => {
                const own = text.getBoundingClientRect();
                return own.width && (own.left < box.left - 2 || own.right > box.right + 2);
            }).map(text => text.textContent);
        })"""
    )
    assert clipped == []
