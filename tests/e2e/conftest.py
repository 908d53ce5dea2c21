"""A server of the whole dashboard, and a real browser to look at it with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.browsing import Server, free_port, wait_for
from compression.studies import control, database
from tests.e2e.browser import SWITCHES, settle, system_browser
from tests.studies.plans import measured

ROOT = Path(__file__).parents[2]
LOG = "server.log"
STUDY = """
name: seen by all
model: digits-mlp
stages: [{kind: prune, granularity: {choose: [weights, rows]}, sparsity: {choose: [0.2, 0.4, 0.5, 0.6, 0.8]}}]
constraints: [accuracy >= 50 %]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def study(home: Path) -> Iterator[str]:
    """A study with its models in the server's store, for as long as a module's tests take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESPALIER_DATA", str(home / "data"))
        patch.delenv(database.VARIABLE, raising=False)
        (home / "data").mkdir(exist_ok=True)
        name = measured(STUDY).name
        database.let_go()
        yield name
        control.delete(name)
        database.let_go()


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The address of a dashboard that was started for these tests, as a new user has it."""
    ours = ("STREAMLIT_", "PYTHONPATH", "ESPALIER_", "XDG_", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"HOME": str(home), "ESPALIER_DATA": str(home / "data")}
    port = free_port()
    command = [sys.executable, "-m", "pages._serve", "--server.headless", "true", "--server.port", str(port)]
    log = home / LOG
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sink, stderr=sink)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(Server(url, process), log=log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def contexts() -> Iterator[dict[str, BrowserContext]]:
    """One browser profile for each theme: kept for all tests, so that the app's scripts are read once."""
    with sync_playwright() as playwright:
        # None means Playwright's own.
        chromium = playwright.chromium.launch(executable_path=system_browser(), args=list(SWITCHES))
        yield {
            "light": chromium.new_context(color_scheme="light", accept_downloads=True),
            "dark": chromium.new_context(color_scheme="dark", accept_downloads=True),
        }
        chromium.close()


@pytest.fixture
def open_page(server: str, home: Path, contexts: dict[str, BrowserContext]) -> Iterator[Callable[..., Page]]:
    """``open_page(path="", width=1280, height=800, scheme="light")``: a settled page, a new session.

    A test fails at its end when one of its pages shows an uncaught exception or met one in JavaScript.
    """
    pages: list[Page] = []
    faults: list[str] = []

    def opened(path: str = "", width: int = 1280, height: int = 800, scheme: str = "light") -> Page:
        page = contexts[scheme].new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.on("pageerror", lambda error: faults.append(f"JavaScript: {error}"))
        pages.append(page)
        page.goto(f"{server}/{path.lstrip('/')}")
        settle(page)
        return page

    yield opened
    for page in pages:
        faults += page.locator("[data-testid=stException]").all_inner_texts()
        page.evaluate("localStorage.clear()")
        page.close()
    # The page itself withholds the traceback (client.showErrorDetails); the server's log has it.
    assert not faults, "\n".join([*faults, (home / LOG).read_text()[-4000:]])


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The first page of the dashboard at 1280×800 in the light theme."""
    return open_page()
