"""The browser that the tests drive: find one, or install one (`make browser`)."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

CANDIDATES = (
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

QUIET = """(most) => new Promise((done) => {
  let timer;
  const end = () => { changes.disconnect(); done(); };
  const changes = new MutationObserver(() => wait());
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => requestIdleCallback(end), 250);
  };
  setTimeout(end, most);
  changes.observe(document.body, { childList: true, subtree: true });
  wait();
})"""
"""Until nothing has come or gone for a quarter of a second and the browser is idle, or for so many milliseconds."""


def system_browser() -> str | None:
    """The machine's own Chromium or Chrome; None where there is none that starts."""
    for candidate in CANDIDATES:
        path = shutil.which(candidate)
        # Ubuntu's chromium-browser is a note that asks for a snap: present, but no browser.
        if path and subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path
    return None


def playwright_browser() -> str | None:
    """Playwright's own Chromium; None where it was not installed."""
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def settle(page: Page, timeout_ms: float = 60_000) -> None:
    """Wait until Streamlit has run the script and drawn what came of it."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout_ms)
    # Elements of the run before stay, marked stale, until the browser has replaced them.
    page.wait_for_function("!document.querySelector('[data-stale=true]')", timeout=timeout_ms)
    # The run is over before its last elements are there: their scripts are fetched, and they are drawn bit by bit.
    page.evaluate(QUIET, timeout_ms)


def is_debian() -> bool:
    """Whether this is Debian itself; its children package Chromium otherwise."""
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:
        return False


def install() -> str | None:
    """Install Debian's Chromium where we may, else Playwright's; the path of what there is then."""
    if is_debian() and os.geteuid() == 0:
        print("No browser here: installing Debian's chromium", flush=True)
        packages = ["chromium", "fonts-liberation"]
        for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *arguments], env=environment, check=False)
        if found := system_browser():
            return found
    print("No browser here: installing Playwright's chromium", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return playwright_browser()


def main() -> int:
    """Say which browser the tests will use, installing one first where there is none."""
    try:
        found = system_browser() or playwright_browser() or install()
    except Error as fault:
        print(f"Playwright does not start: {str(fault).splitlines()[0]}", file=sys.stderr)
        return 1
    if found is None:
        print("No browser could be installed; install Chromium or Chrome, then try again", file=sys.stderr)
        return 1
    print(f"Browser for the tests: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
