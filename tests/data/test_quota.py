"""Quotas: what users may bring, run and take together, and the one line where it is enough."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compression.data import quota
from compression.data.adding import add
from compression.data.own import own_names
from compression.data.root import own_root
from compression.owner import VARIABLE, working_for
from compression.registry import UserError
from compression.studies import control, database, jobs, launch, spool, store
from compression.studies.plan import Sweep
from compression.studies.study import Study
from tests.data.given import good, unpacked

ANNA, BEN = "a" * 16, "b" * 16
STUDY = Study(name="ours", model="digits-mlp", recipes={"recipe": ({"kind": "prune", "sparsity": 0.5},)})


@pytest.fixture(autouse=True)
def room(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (database.VARIABLE, *(one.variable for one in quota.QUOTAS.values())):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(quota, "FRESH", 1e-9)
    yield
    database.let_go()


def test_alone_nothing_is_limited_and_users_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {quota.allowed(key) for key in quota.QUOTAS} == {math.inf}
    with working_for(ANNA):
        assert {key: quota.allowed(key) for key in quota.QUOTAS} == {"uploads": 5, "studies": 2, "disk": 50}
        monkeypatch.setenv("ESPALIER_STUDIES", "7")
        assert quota.allowed("studies") == 7


@pytest.mark.parametrize("given", ["many", "-1", "nan", "inf", "1e999"])
def test_what_is_no_number_is_one_line(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_UPLOADS_GB", given)
    with pytest.raises(UserError, match="ESPALIER_UPLOADS_GB is '.*'; give the GB of data and models that a user"):
        quota.allowed("uploads")


def test_taken_counts_every_file_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 1000)
    (tmp_path / "deep" / "er" / "two").write_bytes(b"x" * 234)
    (tmp_path / "link").symlink_to("/")
    assert quota.taken(tmp_path) == 1234
    assert quota.taken(tmp_path / "absent") == 0


def test_an_upload_that_is_too_much_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with working_for(ANNA):
        add(unpacked(tmp_path / "one", good()), "one")
        size = (own_root() / "own" / "one.safetensors").stat().st_size
        # Another set has 8 images of 6×8×3 bytes and 8 labels of 8.
        monkeypatch.setenv("ESPALIER_UPLOADS_GB", str((size + 8 * (6 * 8 * 3 + 8) - 1) / 1e9))
        line = r"^What you brought takes .* GB of your .* GB, and this needs .* GB more; remove a data set or a mod"
        with pytest.raises(UserError, match=line):
            add(unpacked(tmp_path / "two", good()), "two")
        assert own_names() == ("one",)
        assert [path.name for path in (own_root() / "own").iterdir()] == ["one.safetensors"]
    with working_for(BEN):  # who has brought nothing yet
        add(unpacked(tmp_path / "three", good()), "three")


def test_a_full_disk_stops_uploads_studies_and_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_DISK_GB", "1e-6")
    with working_for(BEN):
        (own_root() / "studies").mkdir(parents=True)
        (own_root() / "studies" / "large").write_bytes(b"x" * 1001)
    line = "^The disk for all users is full: 1e-06 GB of 1e-06 GB are taken; remove what you need no more"
    with working_for(ANNA):
        with pytest.raises(UserError, match=line):
            add(unpacked(tmp_path / "one", good()), "one")
        with pytest.raises(UserError, match=line):
            control.start(STUDY)
        with pytest.raises(UserError, match=line):
            spool.keep("k" * 16, b"weights", {}, {})
        assert store.names() == ()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks as an engine of one owner does, with a forked worker of its own."""
    package = tmp_path / "compression" / "studies"
    package.mkdir(parents=True)
    (package / "engine.py").write_text("import os, time\nos.fork()\nprint('up', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "compression.studies.engine", "ours"],
        cwd=tmp_path, env={VARIABLE: ANNA}, start_new_session=True, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        yield process
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.usefixtures("engine")
def test_as_many_run_as_may_and_what_was_measured_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_STUDIES", "1")
    started: list[str] = []
    monkeypatch.setattr(control, "launch", lambda log, module, *rest: started.append(module))
    plan = Sweep(model="digits-mlp", data="digits", sparsities=(0.5,))
    line = "^You have 1 under way, as many as run for one person at once; wait, or cancel one$"
    with working_for(ANNA):
        assert launch.running() == 1  # not its worker
        done = own_root() / "sweeps" / jobs._name(plan)
        done.mkdir(parents=True)
        (done / "plan.json").write_text(plan.model_dump_json())
        (done / "state.json").write_text(json.dumps({"state": "done"}))
        with pytest.raises(UserError, match=line):
            control.start(STUDY)
        assert store.names() == ()
        with pytest.raises(UserError, match=line):
            jobs.start(plan, fresh=True)
        assert jobs.state(done.name).state == "done"
        with pytest.raises(UserError, match=line):
            jobs.start(plan.model_copy(update={"seeds": 2}))
    with working_for(BEN):
        assert launch.running() == 0
        control.start(STUDY)
    assert started == ["compression.studies.engine"]
