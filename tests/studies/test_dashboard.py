"""Optuna's own dashboard reads our database: it is Optuna's, and settings and numbers are where it looks."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from compression.studies import database, recording, store
from compression.studies.proposals import proposals
from compression.studies.study import Study
from tests.studies.plans import GRID

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.mark.filterwarnings("ignore")
def test_optunas_dashboard_shows_a_study() -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="pip install optuna-dashboard")
    study = Study.from_yaml(GRID)
    store.create(study)
    for place, one in enumerate(proposals(study)):
        assert one.recipe
        number = recording.begin(study.name, f"{place:016}", one.recipe, one.given, one.setting)
        recording.finish(number, study, {"accuracy": 0.9, "packed_bytes": 1000 + place, **one.setting}, {})
    app = dashboard.wsgi(database.storage_url())

    def answered(path: str) -> Any:
        statuses: list[str] = []
        asked = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80",
                 "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http"}  # fmt: skip
        body = b"".join(app(asked, lambda status, headers, *rest: statuses.append(status)))
        assert statuses[0].startswith("200"), path
        return body

    assert b"<html" in answered("/dashboard/")
    (summary,) = json.loads(answered("/api/studies"))["study_summaries"]
    assert (summary["study_name"], summary["directions"]) == ("grid", ["maximize", "minimize"])
    trials = json.loads(answered(f"/api/studies/{summary['study_id']}"))["trials"]
    assert [trial["values"] for trial in trials] == [[0.9, 1000.0 + place] for place in range(6)]
    names = {parameter["name"] for trial in trials for parameter in trial["params"]}
    assert names == {"recipe.1.prune.granularity", "recipe.1.prune.sparsity"}
