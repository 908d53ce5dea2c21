"""What everybody can use: axe finds nothing serious on any page in either theme, and at 200 % nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.browser import settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("study")]
Open = Callable[..., Page]
WAIT_MS = 120_000
ORDER = "heading-order"
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "rules": {ORDER: {"enabled": True}},
    "resultTypes": ["violations"],
}
DRAWN = {"learn_drawn": "_".join(["50"] * 10)}
STATES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "overview": ("", {}, ()),
    "prune": ("prune", {}, ("How it works",)),
    "sensitivity": ("sensitivity", {}, ("Locks, floors and widths",)),
    "distill": ("distill", {}, ()),
    "teach": ("distill", {"distill_view": "Teach"}, ("How they work",)),
    "pipeline": ("pipeline", {}, ("From YAML",)),
    "cloud": ("tradeoffs", {"model": "digits-mlp", "study": "seen by all"}, ()),
    "asked to delete": ("tradeoffs", {"model": "digits-mlp", "study": "seen by all"}, ("Delete",)),
    "link to nothing": ("tradeoffs", {"model": "nope", "study": "nope"}, ()),
    "story": ("present", {"present_study": "seen by all"}, ("Traffic, price, energy: what savings assume",)),
    "models": ("library", {}, ()),
    "data sets": ("library", {"library_view": "Data sets"}, ()),
    "lesson": ("learn", {}, ()),
    "measured": ("learn", {"learn_step": "Experiment", **DRAWN}, ()),
    "presenter": ("learn", {"learn_present": "true"}, ()),
    "pictures": ("learn", {"learn_view": "Pictures"}, ()),
    "methods": ("learn", {"learn_view": "Methods"}, ()),
    "glossary": ("learn", {"learn_view": "Glossary"}, ()),
}
"""Each page and what it can show: its address, and what is opened on it, by name."""


def shown(open_page: Open, state: str, **how: object) -> Page:
    """A page in a state, all of it drawn."""
    path, query, opening = STATES[state]
    page = open_page(f"{path}?{urlencode(query)}" if query else path, **how)
    page.wait_for_function("document.querySelector('[data-testid=stMainBlockContainer]')?.innerText.length > 40")
    if state == "measured":
        expect(page.get_by_text("Measured:")).to_be_visible(timeout=WAIT_MS)
    settle(page, WAIT_MS)
    for name in opening:
        page.get_by_text(name, exact=True).click()
        settle(page, WAIT_MS)
        page.wait_for_timeout(400)  # what fades in has no sign of having done so
    return page


def told(violation: dict) -> str:
    """A violation as a reader of the failure needs it: the rule, then where and why."""
    lines = [f"{violation['impact']} {violation['id']}: {violation['help']}"]
    for node in violation["nodes"]:
        why = " ".join(node["failureSummary"].split())
        lines.append(f"  {node['target']} {node['html'][:160]}\n    {why}")
    return "\n".join(lines)


OUTSIDE = """() => [...document.querySelectorAll('button, input:not([type=range]), a, [role], .js-plotly-plot text')]
  .filter(one => one.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  .filter(one => !one.closest('[data-testid=stSidebar], [data-testid=stDataFrame], .modebar'))
  .filter(one => {
    const box = one.getBoundingClientRect()
    const plot = one.closest('.js-plotly-plot')?.getBoundingClientRect() ?? {left: 0, right: innerWidth}
    return box.width > 1 && (box.left < plot.left - 2 || box.right > plot.right + 2)
  }).map(one => one.getAttribute('aria-label') || one.textContent || one.outerHTML.slice(0, 120))"""
"""What can be used or read and does not lie inside the window or its chart."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious_and_at_200_percent_nothing_is_outside(
    open_page: Open, state: str, scheme: str
) -> None:
    page = shown(open_page, state, scheme=scheme)
    found = Axe().run(page, options=RULES).response
    assert len(found["passes"]) > 15  # axe has seen a page, not a blank
    faults = [
        told(one) for one in found["violations"] if one["impact"] in ("serious", "critical") or one["id"] == ORDER
    ]
    assert not faults, "\n".join(faults)
    page.set_viewport_size({"width": 640, "height": 400})  # 1280 × 800 at 200 %
    page.wait_for_timeout(400)  # charts are drawn anew a moment after the window has changed
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert page.evaluate(OUTSIDE) == []
