"""Two users run studies of the same name on data of the same name, on one cluster and perhaps in one database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compression.data.adding import add
from compression.data.root import own_root
from compression.owner import environment, owner_id, working_for
from compression.studies import control, database, records, store
from compression.studies.study import Study
from tests.data.given import good, unpacked
from tests.faults.account import ROOT
from tests.studies.plans import WAIT, team

IMAGES = {owner_id("anna"): 10, owner_id("ben"): 20}
STUDY = Study.from_yaml("""
name: ours
model: digits-mlp
data: mine
stages: [{kind: prune, sparsity: {choose: [0.3, 0.5, 0.7]}}]
""")


@pytest.mark.faults
@pytest.mark.timeout(2 * WAIT)
@pytest.mark.parametrize("storage", ["a file each", "one database"])
def test_each_trial_has_the_data_of_whose_it_is(
    storage: str, own_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if storage == "one database":
        monkeypatch.setenv(database.VARIABLE, f"sqlite:///{tmp_path / 'team.db'}")
    engines = []
    with team(2) as address:
        for whom, n in IMAGES.items():
            with working_for(whom):
                add(unpacked(tmp_path / whom, good("abcdefghij", n)), "mine", size=(8, 8), grey=True)
                store.create(STUDY)
                command = [sys.executable, "-m", "compression.studies.engine", "ours", "--cluster", address]
                engines.append(subprocess.Popen(command, cwd=ROOT, env=environment()))
        assert [engine.wait(WAIT) for engine in engines] == [0, 0]
    for whom, n in IMAGES.items():
        with working_for(whom):
            assert control.status("ours").state == "done"
            assert [row["n"] for row in records.rows("ours")] == [2 * n] * 3  # a fifth of ten classes' images
            assert len(list((own_root() / "studies").glob("*.safetensors"))) == 3
    assert not (own_store / "studies").exists() and not (own_store / "own").exists()
