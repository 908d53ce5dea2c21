"""What the tests of pages share: the app opened at a page, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]
Open = Callable[..., AppTest]


@pytest.fixture
def open_app(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    # AppTest forgets before each run that app.py makes the menu, as a fresh server does once; the
    # second start that this asks for would swallow the click. The browser tests cover the real thing.
    monkeypatch.setattr("pages._workbench._enter_by_app", lambda: None)
    monkeypatch.setattr("pages._sketched.HEAD_START", 0)  # nobody looks

    def opened(page: str, model: str | None = None, **query: str) -> AppTest:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=240)
        for key, value in (query | ({"model": model} if model else {})).items():
            at.query_params[key] = value
        return (at if page == "overview" else at.switch_page(f"pages/{page}.py")).run()

    return opened
