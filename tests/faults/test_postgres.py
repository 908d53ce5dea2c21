"""A study on PostgreSQL, which restarts in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.postgres import postgres, programs
from compression.registry import UserError
from compression.studies import control, database
from tests.faults.account import account, running, some_measured
from tests.studies.plans import LONG, made

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240), pytest.mark.usefixtures("own_store")]
Server = Callable[..., None]


@pytest.fixture
def server(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback, whose database the studies are in; call it with what pg_ctl is to do."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'espalier[postgres]')")
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (on Debian: apt-get install postgresql)")
    with postgres(binaries, "fsync=off") as running_here:
        monkeypatch.setenv(database.VARIABLE, running_here.address)
        yield running_here.control
        database.let_go()


def test_a_postgresql_server_that_restarts_is_waited_for(server: Server, cluster: str) -> None:
    study = made(LONG.replace("epochs: 4", "epochs: 8"))
    with running(study, cluster):
        before = some_measured(study)
        assert len(before) < 3
        server("restart", "-m", "immediate")
    assert account(study, "done", 3, before).failed == ()


def test_a_postgresql_server_that_is_down_for_a_while_is_waited_for(server: Server, cluster: str) -> None:
    study = made(LONG.replace("epochs: 4", "epochs: 8"))
    with running(study, cluster):
        before = some_measured(study)
        assert len(before) < 3
        server("stop", "-m", "fast")
        with pytest.raises(UserError, match=r"The studies in postgresql\+psycopg://.* cannot be reached: .*refused"):
            control.status("long")
        server("start")
    assert account(study, "done", 3, before).failed == ()
