"""The ground: what the project's own files promise about set-up, themes, imports and licence."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compression.report.themes import THEMES, Theme
from tests.e2e import browser

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONFIG: dict[str, Any] = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    # Without what a make that runs these tests leaves behind for a make below it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    variables = {**inherited, **environment}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)


# Packages


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(pin.name) for pin in found}) == len(found), "a package is pinned twice"
    return {canonicalize_name(pin.name): pin for pin in found}


def asked() -> list[Requirement]:
    project = PROJECT["project"]
    found = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]
    return [one for one in found if one.specifier or not one.extras]  # the version of an extra is that of its package


def test_every_pin_is_exact() -> None:
    for name, pin in pins().items():
        assert [part.operator for part in pin.specifier] == ["=="], name


@pytest.mark.parametrize("requirement", asked(), ids=str)
def test_each_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    (pin,) = pins()[canonicalize_name(requirement.name)].specifier
    assert requirement.specifier.contains(pin.version)
    assert ">=" in {part.operator for part in requirement.specifier}, "a lower bound says what was tried"


def test_what_only_linux_has_is_not_asked_of_others() -> None:
    elsewhere = {**default_environment(), "sys_platform": "darwin"}
    for name, pin in pins().items():
        for_linux = name.startswith(("nvidia-", "cuda-")) or name == "triton"
        assert for_linux != (pin.marker is None or pin.marker.evaluate(elsewhere)), name


def test_python_stops_before_the_version_that_has_a_package_of_our_name() -> None:
    allowed = Requirement("python" + PROJECT["project"]["requires-python"]).specifier
    assert [minor for minor in range(8, 20) if allowed.contains(f"3.{minor}.1")] == [11, 12, 13]


# make and continuous integration


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout's Makefile and what it depends on, without an environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_help_lists_everything_that_can_be_made() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = run("make", "help").stdout
    for target in targets.split():
        assert re.search(rf"^make {target} +\w", shown, re.MULTILINE), target


@pytest.mark.parametrize("target", ["setup", "run", "test", "lint", "bench"])
def test_without_a_suitable_python_everything_says_so_in_one_line(bare: Path, target: str) -> None:
    old = bare / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = run("make", target, f"PYTHON={old}", cwd=bare)
    said = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert result.returncode != 0 and len(said) == 1 and result.stdout == ""
    assert said[0].startswith("Espalier needs Python 3.11, 3.12 or 3.13") and str(old) in said[0]
    assert not (bare / ".venv").exists()


def test_the_environment_is_made_once(bare: Path) -> None:
    stamp = bare / ".venv" / ".setup"
    stamp.parent.mkdir()
    stamp.touch()
    # Any command would fail here: there is no Python in this .venv, and none is offered.
    assert run("make", "setup", "PYTHON=/nowhere", cwd=bare).returncode == 0
    os.utime(bare / "constraints.txt", (2**31, 2**31))
    assert run("make", "setup", "PYTHON=/nowhere", cwd=bare).returncode != 0


@pytest.mark.parametrize("with_data", [True, False], ids=["data", "no data"])
@pytest.mark.parametrize("failing", ["nothing", "lint", "test", "test-slow", "test-faults"])
def test_ci_unpacks_then_lints_then_tests_and_stops_at_a_fault(tmp_path: Path, with_data: bool, failing: str) -> None:
    script = tmp_path / "repository" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", script)
    log = tmp_path / "log"
    tools = tmp_path / "tools"
    (place,) = re.findall(r"^prepare=(\S+)$", script.read_text(), re.MULTILINE)
    fakes = {tools / "make": f'echo "make $1" >> {log}; [ "$1" != {failing} ]'}
    if with_data:
        fakes[script.parents[1] / place] = f"echo prepare >> {log}"
    for path, body in fakes.items():
        path.resolve().parent.mkdir(parents=True, exist_ok=True)
        path.resolve().write_text(f"#!/bin/sh\n{body}\n")
        path.resolve().chmod(0o755)
    result = run("bash", str(script), cwd=tmp_path, PATH=f"{tools}:{os.environ['PATH']}")
    steps = ["lint", "test", "test-slow", "test-faults"]
    reached = steps[: steps.index(failing) + 1] if failing in steps else steps
    expected = ["prepare"] * with_data + [f"make {step}" for step in reached]
    assert log.read_text().splitlines() == expected
    assert (result.returncode == 0) == (failing == "nothing")


def test_a_browser_that_does_not_start_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, status in (("stub", 1), ("works", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(browser, "CANDIDATES", ("absent-browser", "stub", "works"))
    assert browser.system_browser() == str(tmp_path / "works")
    monkeypatch.setattr(browser, "CANDIDATES", ("absent-browser", "stub"))
    assert browser.system_browser() is None


# Streamlit's settings


def test_streamlit_knows_every_setting() -> None:
    shown = run(sys.executable, "-m", "streamlit", "config", "show")
    assert shown.returncode == 0
    assert "not a valid config" not in shown.stdout + shown.stderr
    # What is set is printed without a comment sign: all of ours arrived.
    assert 'address = "127.0.0.1"' in shown.stdout and 'showErrorDetails = "none"' in shown.stdout


def test_the_server_is_closed_to_others_and_sends_nothing_home() -> None:
    server = CONFIG["server"]
    assert server["address"] == "127.0.0.1" and server["enableXsrfProtection"] and server["enableCORS"]
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert server["showEmailPrompt"] is False


def rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def luminance(colour: list[float]) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(above: list[float], below: list[float]) -> float:
    darker, lighter = sorted((luminance(above), luminance(below)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(above: str, below: str, opacity: float) -> list[float]:
    return [opacity * a + (1 - opacity) * b for a, b in zip(rgb(above), rgb(below), strict=True)]


def test_contrast_is_that_of_the_standards_own_examples() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_text_of_a_theme_can_be_read(name: str) -> None:
    theme = CONFIG["theme"][name]
    for ground in (theme["backgroundColor"], theme["secondaryBackgroundColor"]):
        # Streamlit sets captions in the text colour at 60 %, and what is chosen in the primary colour.
        assert contrast(mixed(theme["textColor"], ground, 0.6), rgb(ground)) >= 4.5
        assert contrast(rgb(theme["primaryColor"]), rgb(ground)) >= 4.5
        assert contrast(rgb(theme["linkColor"]), rgb(ground)) >= 4.5
    assert contrast(rgb(theme["codeTextColor"]), rgb(theme["codeBackgroundColor"])) >= 4.5
    assert contrast(rgb(theme["dataframeHeaderTextColor"]), rgb(theme["dataframeHeaderBackgroundColor"])) >= 4.5
    # White words are on buttons, whose colour in the dark theme app.py has.
    (fills,) = re.findall(r"light-dark\((#\w{6}),(#\w{6})\)", (ROOT / "app.py").read_text())
    assert fills[0] == CONFIG["theme"]["light"]["primaryColor"]
    assert contrast(rgb("#ffffff"), rgb(fills[name == "dark"])) >= 4.5
    # The white tick of a checkbox and the knob of a switch are drawn on the primary colour.
    assert contrast(rgb("#ffffff"), rgb(theme["primaryColor"])) >= 3


@pytest.mark.parametrize("chart", THEMES.values(), ids=THEMES)
def test_charts_and_pages_agree_on_the_colours_and_all_are_seen(chart: Theme) -> None:
    theme = CONFIG["theme"][chart.name]
    assert theme["backgroundColor"].lower() == chart.page.lower()
    assert [colour.lower() for colour in theme["chartCategoricalColors"]] == [c.lower() for c in chart.palette]
    for colour in chart.palette:
        assert contrast(rgb(colour), rgb(chart.page)) >= 3, colour
    for colour in (chart.text, chart.muted):
        assert contrast(rgb(colour), rgb(chart.page)) >= 4.5, colour
    # Streamlit takes ten or none.
    assert len(theme["chartSequentialColors"]) == len(theme["chartDivergingColors"]) == 10


# What is imported, and what may be done with it


def test_recipes_results_and_reports_are_read_without_loading_torch() -> None:
    modules = ["compression.registry", "compression.recipe", "compression.results"]
    report = ROOT / "compression" / "report"
    modules += [f"compression.report.{path.stem}" for path in report.glob("*.py") if path.stem != "__init__"]
    code = f"import sys; import {', '.join(modules)}; print([m for m in ('torch', 'streamlit') if m in sys.modules])"
    result = run(sys.executable, "-c", code)
    assert result.stdout.strip() == "[]", result.stderr


def test_the_licence_is_apaches_word_for_word() -> None:
    text = (ROOT / "LICENSE").read_text()
    ours = "Copyright 2026 Espalier contributors"
    assert text.count(ours) == 1
    canonical = text.replace(ours, "Copyright [yyyy] [name of copyright owner]")
    # The digest by which distributions recognise the unchanged text.
    assert hashlib.md5(canonical.encode(), usedforsecurity=False).hexdigest() == "3b83ef96387f14655fc854ddc3c6bd57"
