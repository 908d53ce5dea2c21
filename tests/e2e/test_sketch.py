"""The sketch that is seen before a chart: everything stands where Plotly then draws it, and it goes by itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import plotly.io
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect
from plotly.offline import get_plotlyjs

from compression.report.drawing import Chart
from compression.report.sketch import sketch
from compression.report.themes import LIGHT
from tests.e2e.browser import settle
from tests.report.test_study_cloud import MAKERS

Open = Callable[..., Page]
Spot = tuple[float, float]
WIDTH = 800
PLACES = """() => {
  const at = (one, home) => {
    const box = one.getBoundingClientRect(), from = home.getBoundingClientRect();
    return [box.x + box.width / 2 - from.x, box.y + box.height / 2 - from.y, one.textContent.replace(/\\u2212/g, '-')];
  };
  const all = (home, selector) => [...home.querySelectorAll(selector)].map((one) => at(one, home));
  const [chart, sketch] = ['chart', 'sketch'].map((id) => document.getElementById(id));
  const image = sketch.querySelector('img'), home = sketch.getBoundingClientRect();
  const box = image?.getBoundingClientRect();
  return {
    image: image && { source: image.src, x: box.x - home.x, y: box.y - home.y, width: box.width, height: box.height },
    points: all(chart, '.scatterlayer path.point'),
    ticks: all(chart, '.xtick text, .ytick text'),
    titles: all(chart, '.xtitle, .ytitle'),
    notes: all(chart, '.annotation-text'),
    spans: all(sketch, 'span'),
    height: home.height,
  };
}"""


@pytest.fixture(scope="module")
def beside(contexts: dict[str, BrowserContext]) -> Iterator[Callable[[Chart], Any]]:
    """Where the parts of a chart are, and where those of its sketch are, on one page."""
    page = contexts["light"].new_page()
    page.set_content(
        f'<body style="margin:0;font-family:Arial"><div id="chart" style="width:{WIDTH}px"></div>'
        f'<div id="sketch" style="width:{WIDTH}px;position:relative"></div></body>'
    )
    page.add_script_tag(content=get_plotlyjs())

    def placed(chart: Chart) -> Any:
        page.evaluate("(text) => { document.getElementById('sketch').innerHTML = text }", sketch(chart))
        page.evaluate(f"Plotly.newPlot('chart', {plotly.io.to_json(chart.figure)})")
        return page.evaluate(PLACES)

    yield placed
    page.close()


def near(one: Any, others: Any, far: float = 1.5) -> bool:
    """Whether something is there, in pixels; the middle of a triangle is not that of the box round it."""
    return any(abs(one[0] - x) <= far and abs(one[1] - y) <= far for x, y, *_ in others)


def discs(image: Any) -> list[Spot]:
    """Where the picture has its points: lines of no length."""
    svg = base64.b64decode(image["source"].partition(",")[2]).decode()
    across, upward = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    x, y = image["width"] / across, image["height"] / upward
    found = re.findall(r"M(\S+) (\S+)h0", svg.replace("M", " M").replace("h0", "h0 "))
    return [(image["x"] + float(a) * x, image["y"] + float(b) * y) for a, b in found]


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("empty", "untimed")])
def test_all_stands_where_the_chart_will_have_it(name: str, beside: Callable[[Chart], Any]) -> None:
    chart = MAKERS[name](LIGHT)
    found = beside(chart)
    image = found["image"]
    spots = discs(image)

    def inside(one: Any) -> bool:
        right, down = one[0] - image["x"], one[1] - image["y"]
        return bool(0 <= right <= image["width"] and 0 <= down <= image["height"])

    points = [one for one in found["points"] if inside(one)]
    assert points and all(near(one, spots) for one in points)
    assert all(near(one, points) for one in spots if inside(one)), "nothing is shown that is not in the chart"
    spans = found["spans"]
    for kind, far in (("ticks", 4), ("titles", 10), ("notes", 8)):
        for x, y, words in found[kind]:
            assert near((x, y), [span for span in spans if span[2] == words], far), (kind, words, x, y, spans)
    assert found["height"] == chart.figure.layout.height


@pytest.mark.parametrize("name", ["empty", "untimed"])
def test_where_nothing_is_drawn_the_words_say_why(name: str, beside: Callable[[Chart], Any]) -> None:
    chart = MAKERS[name](LIGHT)
    assert beside(chart)["image"] is None and chart.title.split()[0] in sketch(chart)


def test_it_is_seen_until_the_chart_is_there_and_nothing_moves_then(open_page: Open, study: str) -> None:
    page = open_page()  # until the first page was shown, a server does not know the others
    held: list[Route] = []
    page.route("**/PlotlyChart*", lambda route: held.append(route))
    page.goto(page.url + f"tradeoffs?study={study}")
    picture, below = page.locator(".sketch img"), page.get_by_text("Drag along an axis to filter")
    expect(picture).to_be_visible(timeout=60_000)
    settle(page)
    before = below.bounding_box()
    for route in held:
        route.continue_()
    page.unroute("**/PlotlyChart*")
    expect(page.locator(".st-key-study_cloud .main-svg").first).to_be_visible(timeout=60_000)
    expect(picture).to_be_hidden()
    settle(page)
    after = below.bounding_box()
    assert before and after and abs(before["y"] - after["y"]) <= 3
