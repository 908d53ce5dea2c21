"""The names that a user imports, the tour in the docstring, and the README's Python."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import compression

ROOT = Path(__file__).resolve().parents[1]


def test_the_names_of_the_design_are_there() -> None:
    from compression import Prune, Recipe, Train, load_data, load_model, load_result, measure, model_card, run

    assert [f.__module__ for f in (load_model, model_card, load_data)] == ["compression.models.zoo"] * 2 + [
        "compression.data.sets"
    ]
    assert {f.__module__ for f in (measure, run, load_result)} == {"compression.pipeline"}
    assert {kind.__module__.rpartition(".")[0] for kind in (Prune, Recipe, Train)} == {"compression.recipe"}


def test_every_public_name_can_be_had_and_is_listed() -> None:
    assert all(getattr(compression, name) is not None for name in compression.__all__)
    assert set(compression.__all__) <= set(dir(compression))
    assert sorted(compression.__all__) == compression.__all__
    with pytest.raises(AttributeError, match="module 'compression' has no attribute 'mesure'"):
        compression.mesure  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'prone'"):
        from compression import prone  # type: ignore[attr-defined]  # noqa: F401


def test_measure_is_the_function_also_after_its_folder_is_imported() -> None:
    importlib.import_module("compression.measure.packing")
    from compression.measure import macs

    assert callable(macs)
    assert compression.measure is importlib.import_module("compression.pipeline").measure


def test_the_package_and_its_recipes_need_no_torch() -> None:
    code = (
        "import sys, compression, compression.recipe, compression.results, compression.report.tables\n"
        "from compression import Measurement, Prune, Recipe, UserError\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_tour_runs_as_written() -> None:
    assert compression.__doc__ is not None
    assert 10 <= len(re.findall(r"^ {4}\S", compression.__doc__, re.MULTILINE)) <= 12
    found = doctest.testmod(compression)
    assert (found.failed, found.attempted) == (0, 8)


def test_the_readmes_python_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, "README.md", "exec"), names)
