"""Strangers, and colleagues that guess: what a team's dashboard lets in, shows and writes down."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from compression.data.root import own_root
from compression.owner import working_for
from compression.recipe import Prune, Recipe
from compression.studies import database, store
from compression.studies.health import main as health
from compression.studies.lineage import Lineage
from compression.studies.study import Study
from tests.faults.team import BROKEN, SECRET, Team, id_of, team
from tests.studies.plans import until

pytestmark = pytest.mark.timeout(240)
PAGES = ("", "prune", "sensitivity", "distill", "pipeline", "tradeoffs", "present", "library")
HOSTILE = (
    "../../../etc/passwd",
    "<img src=x onerror=alert(1)>![x](http://evil.example/x.png)",
    "%00\n{}'\"" + "x" * 300,
)
STUDY = Study(name="of Anna", model="digits-mlp", recipes={"recipe": ({"kind": "prune", "sparsity": 0.5},)})
PLAN = Lineage(recipe=Recipe(model="digits-mlp", data="digits", stages=(Prune(granularity="weights", sparsity=0.5),)))
FILE = b'--line\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\n%s\r\n--line--\r\n'
FORM = "multipart/form-data; boundary=line"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team(tmp_path_factory.mktemp("team")) as found:
        # The very first request of all goes to one page, past app.py if it could.
        with found.visit() as nobody:
            assert "Log in" in nobody.open("prune").text() and "Baseline" not in nobody.text()
        yield found


@pytest.fixture
def room(server: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Anna's room on the server, from within this process."""
    monkeypatch.setenv("ESPALIER_DATA", str(server.data))
    monkeypatch.delenv(database.VARIABLE, raising=False)
    with working_for(id_of("anna")):
        yield own_root()
    database.let_go()


# Who comes in


def test_it_listens_to_this_machine_alone(server: Team) -> None:
    heard = [one.laddr for one in psutil.Process(server.pid).net_connections() if one.status == psutil.CONN_LISTEN]
    assert heard == [("127.0.0.1", server.port)]


def test_without_a_login_there_is_a_door_on_every_page(server: Team) -> None:
    for page in PAGES:
        with server.visit() as nobody:
            text = nobody.open(page, model="digits-mlp").text()
            assert "Log in" in text and not re.search("Baseline|Model|digits", text) and not nobody.faults


def test_a_login_that_is_not_on_the_list_is_told_so(server: Team) -> None:
    with server.visit("eve") as eve:
        text = eve.open("prune").text()
        assert "this server's list does not have your address" in text.replace("\\'", "'")
        assert "Baseline" not in text


def test_a_login_that_another_secret_signed_is_none(server: Team) -> None:
    with server.visit("anna", secret=SECRET[::-1]) as mallory:
        assert "Log in" in mallory.open("prune").text()


def test_whoever_is_on_the_list_works_and_may_leave(server: Team) -> None:
    with server.visit("anna") as anna:
        text = anna.open("prune", model="digits-mlp").text()
        assert "Baseline" in text and "Log out" in text and not anna.faults


def test_who_is_taken_off_the_list_stays_out(server: Team) -> None:
    listed = server.data.parent / "team.txt"
    before = listed.read_text()
    with server.visit("ben") as ben:
        assert "Baseline" in ben.open("prune", model="digits-mlp").text()
        try:
            listed.write_text("anna@example.org\n")
            assert "Not on the list" in ben.open("prune").text()
            listed.unlink()
            assert "Closed" in ben.open("prune").text()
        finally:
            listed.write_text(before)


# Other sites' pages


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:{port}", "localhost:{port}", 101),
        ("http://evil.example", "localhost:{port}", 403),
        ("http://localhost.evil.example:{port}", "localhost:{port}", 403),
        ("http://evil.example:{port}", "evil.example:{port}", 403),  # a name of theirs that leads to this machine
        ("null", "localhost:{port}", 403),
    ],
)
def test_a_websocket_is_opened_for_our_own_pages_alone(origin: str, host: str, status: int, server: Team) -> None:
    answer = server.ask(
        "GET", "/_stcore/stream", Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", Origin=origin.format(port=server.port),
        Host=host.format(port=server.port),
    )  # fmt: skip
    assert answer.status == status


def test_another_sites_page_cannot_upload_in_somebodys_name(server: Team) -> None:
    body = FILE % (b"mine.zip", b"content")
    with server.visit("anna") as anna:
        path = f"/_stcore/upload_file/{anna.open().session}/file"
        cookie = anna.socket.request.headers["Cookie"]  # the browser sends it, whoever asks
        token = re.search("_streamlit_xsrf=([^;]+)", cookie)[1]
        for headers in ({}, {"X_Xsrftoken": "guessed"}, {"Origin": "http://evil.example"}):
            assert server.ask("PUT", path, body, Cookie=cookie, Content_Type=FORM, **headers).status == 403
            assert server.ask("POST", path, body, Cookie=cookie, Content_Type=FORM, **headers).status in (403, 405)
            assert server.ask("DELETE", path, Cookie=cookie, **headers).status == 403
        preflight = server.ask("OPTIONS", path, Origin="http://evil.example")
        assert "evil" not in str(preflight.headers) and "*" not in preflight.headers["Access-Control-Allow-Origin"]
        own = {"Cookie": cookie, "Content_Type": FORM, "X_Xsrftoken": token}
        assert server.ask("PUT", path, body, **own).status == 204
        other = "/_stcore/upload_file/00000000-0000-0000-0000-000000000000/file"
        assert server.ask("PUT", other, body, **own).status == 400


def test_an_upload_over_the_limit_or_broken_off_leaves_nothing(server: Team) -> None:
    with server.visit("anna") as anna:
        path = f"/_stcore/upload_file/{anna.open().session}/file"
        cookie = anna.socket.request.headers["Cookie"]
        own = {"Cookie": cookie, "Content_Type": FORM, "X_Xsrftoken": re.search("_streamlit_xsrf=([^;]+)", cookie)[1]}
        large = FILE % (b"large.zip", b"x" * 2**20 + b"x")
        assert server.ask("PUT", path, large, **own).status == 413
        assert server.ask("PUT", path, (large[at : at + 65536] for at in range(0, 2**21, 65536)), **own).status == 413
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in own.items())
            line.sendall(f"PUT {path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: 900000\r\n\r\n".encode())
            line.sendall(large[:400_000])
        until(lambda: not [one for one in server.temporary.iterdir() if one.is_file()], 10)
        assert "Baseline" in anna.open("prune", model="digits-mlp").text()
    assert server.ask("GET", "/_stcore/health").status == 200


# Colleagues that guess


def test_two_users_with_the_same_names_meet_each_only_their_own(server: Team, room: Path) -> None:
    store.create(STUDY)
    with working_for(id_of("ben")):
        store.create(STUDY.model_copy(update={"name": "of Ben"}))
    for name, own, other in (("anna", "of Anna", "of Ben"), ("ben", "of Ben", "of Anna")):
        with server.visit(name) as visitor:
            text = visitor.open("tradeoffs", model="digits-mlp", study=own).text()
            assert own in text and other not in text
            for guess in (other, f"{id_of('anna')}/of Anna", f"{id_of('ben')}/of Ben"):
                for page, key in (("tradeoffs", "study"), ("present", "present_study")):
                    text = visitor.open(page, model="digits-mlp", **{key: guess}).text()
                    assert f"The link's study `'{guess}'` is not in this store" in text.replace("\\'", "'")
            assert not visitor.faults


def test_a_link_to_anothers_run_shows_nothing_of_it(server: Team, room: Path) -> None:
    folder = room / "sweeps" / "abc123def456"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(PLAN.model_dump_json())
    (folder / "state.json").write_text(json.dumps({"state": "failed", "message": "a word of Anna's"}))
    with server.visit("anna") as anna:
        assert "a word of Anna" in anna.open("pipeline", model="digits-mlp", run=folder.name).text()
    with server.visit("ben") as ben:
        for guess in (folder.name, f"../../{id_of('anna')}/sweeps/{folder.name}"):
            assert "a word of Anna" not in ben.open("pipeline", model="digits-mlp", run=guess).text()
        assert not ben.faults


def test_no_words_of_a_link_become_a_path_or_marks_on_the_page(server: Team, room: Path) -> None:
    (server.data / "secret").mkdir()
    (server.data / "secret" / "plan.json").write_text(PLAN.model_dump_json())
    known = {path for path in server.data.parent.rglob("*") if "tmp" not in path.parts}
    keys = "model data_digits study lesson run stages prune_layer sensitivity_style present_study".split()
    with server.visit("ben") as ben:
        for page in PAGES:
            for words in (*HOSTILE, "../../secret"):
                text = ben.open(page, **dict.fromkeys(keys, words)).text()
                assert "root:" not in text and not ben.faults, (page, words)
                marks = [line for line in text.splitlines() if "<img" in line or "![x]" in line]
                assert all(re.search(r"`[^`]*(<img|!\[x\])[^`]*`", line) for line in marks), marks
    new = {path for path in server.data.parent.rglob("*") if "tmp" not in path.parts} - known
    assert all(id_of("ben") in path.parts for path in new), new


# What it tells, and writes down


def test_a_fault_of_ours_is_told_neither_to_the_page_nor_with_personal_data_to_the_log(tmp_path: Path) -> None:
    with team(tmp_path / "home", BROKEN) as broken, broken.visit("anna") as anna:
        anna.open("prune")
        told = "".join(str(element) for element in anna.elements.values())
        assert len(anna.faults) == 1 and "RuntimeError" not in told and "_workbench" not in told
        assert "patients" not in told and "anna@" not in told
        until(lambda: "RuntimeError" in broken.log.read_text(), 10)
        log = broken.log.read_text()
    assert "FileNotFoundError" in log and re.search(r'File ".*prune\.py", line \d+', log)
    assert not re.search("anna|patients|x-ray|example.org", log.replace(str(tmp_path), ""))


def test_the_log_of_a_days_work_has_nobodys_name_in_it(server: Team) -> None:
    with server.visit("anna") as anna:
        anna.open("tradeoffs", model="digits-mlp", study="of somebody")
    log = server.log.read_text()
    assert not re.search("anna|ben@|eve|mine.zip|of somebody|of Anna", log.replace(str(server.data.parent), "")), log


def test_health_says_whether_dashboard_and_storage_answer(
    server: Team, room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health(["--port", str(server.port)]) == 0
    assert capsys.readouterr().out == "dashboard: answers\nstorage: answers\n"
    monkeypatch.setenv(database.VARIABLE, "postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    assert health(["--port", str(server.port)]) == 1
    told = capsys.readouterr()
    assert told.out == "dashboard: answers\n" and "secret" not in told.err and told.err.startswith("storage: The st")
    monkeypatch.delenv(database.VARIABLE)
    assert health(["--port", "1"]) == 1
    assert capsys.readouterr().err.startswith("dashboard: The dashboard at port 1 does not answer")
