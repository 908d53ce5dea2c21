"""A stranger's words in a real browser, which alone shows what Markdown makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from compression.errands import Fetch
from compression.errands.folder import place_of
from compression.studies.watch import State, write_state

WORDS = (
    "See WWW.evil.example, https://evil.example/y?z=1, ftp://evil.example, a.b+c@evil.example, mailto:a@evil.example "
    "[click](http://evil.example) ![seen](http://evil.example/a.png) <http://evil.example> <b>bold</b> *stars* $x^2$"
)


@pytest.mark.timeout(300)
def test_what_a_stranger_writes_becomes_neither_link_nor_picture(home: Path, open_page: Callable[..., Page]) -> None:
    folder = home / "data" / "errands" / place_of(Fetch(name="mnist"))
    folder.mkdir(parents=True)
    write_state(folder, State(state="failed", message=WORDS))
    (folder / "order.json").write_text(Fetch(name="mnist").model_dump_json())
    shown = open_page("library?library_view=Data+sets").get_by_role("alert").filter(has_text="evil.example")
    expect(shown).to_be_visible(timeout=240_000)
    assert shown.inner_text().replace("\u2060", "").strip().endswith(WORDS)
    assert shown.locator("a, img, b, em, .katex").count() == 0
