"""The documents say what the code has: every field with its default, every criterion, and recipes that run."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic_core import PydanticUndefined

from compression.data import archive, images, names
from compression.data.quota import QUOTAS
from compression.pipeline import run
from compression.pruning.criteria import allowed
from compression.recipe import STAGES, Fit, Granularity, Recipe, Stage
from compression.studies.proposals import proposals
from compression.studies.study import Study

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs" / "recipes.md").read_text()
SECTIONS = {part.splitlines()[0]: part for part in RECIPES.split("\n## ")[1:]}
TABLE = re.compile(r"^\| (`\w+`.*?) \| (.*?) \|", re.MULTILINE)
PRUNING, TRAINING = "What the stages that prune share", "What the stages that train share"


STUDIES, README = ((ROOT / name).read_text() for name in ("docs/studies.md", "README.md"))
PLANS = re.findall(r"```yaml\n(name:.*?)```", STUDIES + README, re.DOTALL)


def fields(section: str) -> dict[str, str]:
    """The default of each field in a section's table."""
    found = TABLE.findall(SECTIONS[section])
    return {name.strip("`"): default.strip("`") for name, default in found if re.fullmatch(r"`\w+`", name)}


def written(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def test_every_promise_of_safety_names_files_that_are_there() -> None:
    named = re.findall(r"`((?:tests|pages|compression)/[\w/.]+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20 and [path for path in named if not (ROOT / path).exists()] == []


def test_the_image_has_what_the_server_needs_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed and all((ROOT / name).exists() for name in copied)
    python = re.search(r"FROM python:(\d+)\.(\d+)\.\d+-", lines[1])
    assert python and (3, 11) <= (int(python[1]), int(python[2])) < (3, 14)
    ends = [line.split()[0] for line in lines if line]
    assert ends.index("USER") < ends.index("HEALTHCHECK") < ends.index("ENTRYPOINT") and "USER espalier" in lines
    assert find_spec("compression.studies.health") and any("compression.studies.health" in line for line in lines)


def test_every_quota_is_in_the_guide_with_its_default() -> None:
    guide = (ROOT / "docs" / "deployment.md").read_text()
    for key, quota in QUOTAS.items():
        assert f"| `--{key} N` | `{quota.variable}` | {quota.default:g} | {quota.sentence} |" in guide


@pytest.mark.parametrize("kind", STAGES)
def test_every_field_of_a_stage_is_described_with_its_default(kind: str) -> None:
    own, stage = fields(kind), STAGES[kind]
    shared = fields(TRAINING) if issubclass(stage, Fit) else {}
    shared |= fields(PRUNING) if kind in ("prune", "gradual") else {}
    assert set(shared | own) >= set(stage.model_fields) - {"kind"}
    assert set(own) <= set(stage.model_fields)
    for name, default in own.items():
        given = stage.model_fields[name].default
        if given not in (None, ()):
            assert default == written(given), name


def test_every_default_that_differs_among_the_stages_that_train_is_told() -> None:
    for kind, stage in STAGES.items():
        for name, default in fields(TRAINING).items() if issubclass(stage, Fit) else ():
            given = written(stage.model_fields[name].default)
            line = next(line for line in SECTIONS[TRAINING].splitlines() if line.startswith(f"| `{name}`"))
            assert given == default or (f"`{kind}`" in line and given.removesuffix(".0") in line), (kind, name)


def test_which_criteria_rank_what_is_told() -> None:
    rows = dict(TABLE.findall(SECTIONS[PRUNING].split("| granularity | criteria |")[1]))
    told = {
        name: set(re.findall(r"`(\w+)`", cell)) for key, cell in rows.items() for name in re.findall(r"`(\S+?)`", key)
    }
    for name in ("2:4", "1:4", "4:8"):
        told[name] = told["weights"] - {"lamp", "wanda"} | {"wanda"}
    assert told == {granularity: set(allowed(granularity)) for granularity in get_args(Granularity)}


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", RECIPES, re.DOTALL))
def test_every_recipe_runs_and_keeps_its_accuracy(text: str) -> None:
    result = run(Recipe.from_yaml(text))
    assert not result.stopped
    assert result.final.accuracy > result.baseline.accuracy - 0.06
    assert result.final.packed_bytes < result.baseline.packed_bytes


def test_every_stage_is_a_section() -> None:
    assert {kind for kind in SECTIONS if kind in STAGES} == set(STAGES)
    assert set(STAGES.values()) == set(get_args(get_args(Stage)[0]))


def test_every_field_of_a_study_is_described_with_its_default() -> None:
    told = {name.strip("`"): default.strip("`") for name, default in TABLE.findall(STUDIES)}
    given = {name: field.default for name, field in Study.model_fields.items()}
    assert {name for name in told if name in given} == set(given)
    for name, default in given.items():
        if default not in (None, (), PydanticUndefined):
            assert told[name] == written(default), name


@pytest.mark.parametrize("text", PLANS)
def test_every_plan_in_the_documents_can_be_run(text: str) -> None:
    study = Study.from_yaml(text)
    first = next(proposals(study)) if study.search == "grid" else None
    assert study.space.size > 1 and (first is None or first.recipe)


def test_the_plans_are_found() -> None:
    assert len(PLANS) == 2


def test_the_bounds_of_what_is_read_are_told() -> None:
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text().split("| bound | |\n|---|---|\n")[1]
    told = [line.strip("| ").split(" | ")[1] for line in text.split("\n\n")[0].splitlines()]
    assert told == [
        f"{archive.MOST_FILES:,}",
        f"{archive.RATIO}",
        f"{archive.UNPACKED_BYTES / 2**30:g} GiB",
        f"{archive.DIRECTORY_BYTES / 2**20:g} MiB",
        f"{archive.FILE_BYTES / 1e6:g} MB",
        f"{images.MAX_PIXELS:,} pixels",
        f"{images.MAX_BYTES / 2**30:g} GiB",
        f"{names.LONGEST} characters; {names.DEEPEST}",
    ]
