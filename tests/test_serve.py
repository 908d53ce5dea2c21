"""``espalier serve``: what it starts, whom it lets in, and what it refuses to do."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compression import cli_serve
from compression.cli import main
from compression.cli_serve import is_loopback
from compression.roster import read_roster, welcome

SECRETS = """
[auth]
redirect_uri = "https://espalier.example.org/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
"""
Start = Callable[..., tuple[list[str], dict[str, str]]]


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "team.txt"
    path.write_text("# us\nAnna@Example.org\n\n@partner.example  # all of them\n")
    return path


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server that has what logins need."""
    path = tmp_path / "secrets.toml"
    path.write_text(SECRETS)
    monkeypatch.setattr(cli_serve, "secrets_files", lambda: (path, tmp_path / "none.toml"))
    monkeypatch.setattr(cli_serve, "find_spec", lambda name: object())
    return path


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, data_root: Path) -> Start:
    """Run ``espalier serve``; what it would have started: Streamlit's options and the variables that it set."""
    started: list[tuple[list[str], dict[str, str]]] = []

    def become(path: str, command: list[str], variables: dict[str, str]) -> None:
        assert (path, command[:3]) == (sys.executable, [sys.executable, "-m", "pages._serve"])
        assert (Path.cwd() / "pages" / "_serve.py").is_file()
        started.append((command[3:], variables))

    monkeypatch.chdir("/")
    monkeypatch.setattr(cli_serve, "_check_port", lambda address, port: None)  # tests beside this one may listen
    monkeypatch.setattr(os, "execve", become)

    def run(*arguments: str) -> tuple[list[str], dict[str, str]]:
        assert main(["serve", *arguments]) == 0
        return started[-1]

    return run


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    def become(*_: Any) -> None:
        raise AssertionError("it was started")

    monkeypatch.setattr(os, "execve", become)
    assert main(["serve", *arguments]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line.removeprefix("espalier: ").rstrip()


# Without a login


def test_it_listens_to_this_machine_alone(start: Start) -> None:
    options, variables = start("--port", "9000")
    assert options == ["--server.port", "9000", "--server.address", "127.0.0.1"]
    assert "ESPALIER_TEAM" not in variables


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_other_names_of_this_machine_are_as_good(address: str, start: Start) -> None:
    assert is_loopback(address) and start("--address", address)[0][3] == address


def test_an_address_with_colons_is_told_in_brackets(start: Start) -> None:
    assert start("--address", "::1")[0][3:] == ["::1", "--browser.serverAddress=[::1]"]
    assert start("--address", "127.8.0.1")[0][3:] == ["127.8.0.1"]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.7", "example.org", "localhost.evil.example", ""])
def test_elsewhere_needs_a_login(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(capsys, monkeypatch, "--address", address) == (
        f"--address is '{address}', where others reach the dashboard without a login; ask for one with --team, "
        "or say --insecure"
    )


def test_whoever_says_insecure_gets_it_and_is_told(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    options, _ = start("--address", "0.0.0.0", "--insecure")
    assert options[-2:] == ["0.0.0.0", "--server.allowedHosts=*"]
    assert "no login is asked for" in capsys.readouterr().err


def test_without_the_pages_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_serve, "ROOT", tmp_path)
    assert refused(capsys, monkeypatch).startswith(f"The pages are not in {tmp_path}: a package has the commands alone")


def test_a_port_that_is_taken_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data_root: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(capsys, monkeypatch, "--port", str(port)) == (
            f"Nothing can listen at --address '127.0.0.1' --port {port} (Address already in use); choose another"
        )


# With one


def test_a_team_is_served_under_the_name_that_logins_come_back_to(start: Start, secrets: Path, roster: Path) -> None:
    options, variables = start("--team", "--allow", str(roster), "--address", "0.0.0.0")
    assert options[2:] == [
        "--server.address", "0.0.0.0", "--server.headless=true",
        "--server.corsAllowedOrigins=https://espalier.example.org", "--server.allowedHosts=espalier.example.org",
        "--server.allowedHosts=localhost", "--server.allowedHosts=127.0.0.1", "--server.allowedHosts=::1",
    ]  # fmt: skip
    assert variables["ESPALIER_TEAM"] == str(roster)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("[auth]", "[other]", "[auth] in {path} has no redirect_uri; docs/deployment.md has an example"),
        ("cookie_secret", "secret", "[auth] in {path} has no cookie_secret; docs/deployment.md has an example"),
        ("cdef0123", "", "cookie_secret in {path} is too short to sign logins with; give at least 32 characters"),
        ("[auth]", "auth = [", "{path} cannot be read: "),
        ("[auth]", "auth = 1\n[more]", "[auth] in {path} has no redirect_uri; docs/deployment.md has an example"),
        ("https:", "http:", "redirect_uri is 'http://espalier.example.org/oauth2callback', which sends logins "),
    ],
)
def test_logins_that_are_not_set_up_are_one_line(
    old: str, new: str, line: str, secrets: Path, roster: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    secrets.write_text(SECRETS.replace(old, new))
    assert refused(capsys, monkeypatch, "--team", "--allow", str(roster)).startswith(line.format(path=secrets))


def test_without_secrets_or_authlib_there_is_no_team(
    secrets: Path, roster: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.unlink()
    assert refused(capsys, monkeypatch, "--team", "--allow", str(roster)).startswith("--team needs [auth] in ")
    monkeypatch.setattr(cli_serve, "find_spec", lambda name: None)
    assert refused(capsys, monkeypatch, "--team", "--allow", str(roster)).startswith("--team needs Authlib")


def test_a_login_is_no_permission(
    secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(capsys, monkeypatch, "--team").startswith("--team needs --allow FILE")
    assert refused(capsys, monkeypatch, "--allow", "x").startswith("--allow is given without --team")
    for content, line in (
        (None, "No list of those who may enter can be read at"),
        ("# nobody\n", "Nobody is on the list"),
        ("anna@example.org\n*\n", "The list of those who may enter has '*'; give name@domain or @domain a line"),
    ):
        path = tmp_path / "list.txt"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        assert refused(capsys, monkeypatch, "--team", "--allow", str(path)).startswith(line)


@pytest.mark.parametrize(
    ("email", "verified", "enters"),
    [
        ("anna@example.org", True, True),
        ("ANNA@EXAMPLE.ORG", None, True),  # a provider that says nothing of it
        ("ben@partner.example", True, True),
        ("anna@example.org", "true", True),  # as some providers write it
        ("anna@example.org", False, False),
        ("anna@example.org", "false", False),
        ("anna@example.org", 0, False),
        ("anna@example.org", "", False),
        ("ben@example.org", True, False),
        ("anna@example.org.evil.example", True, False),
        ("eve@evil.example@partner.example", True, False),
        ("eve@sub.partner.example", True, False),
        ("@partner.example", True, False),
        ("partner.example", True, False),
        ("anna@example.org\n", True, False),
        (None, True, False),
        (7, True, False),
    ],
)
def test_who_is_on_the_list_enters(email: object, verified: object, enters: bool, roster: Path) -> None:
    assert welcome(email, verified, read_roster(roster)) is enters


# Quotas and old files


def test_quotas_given_go_to_the_server_and_are_checked(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, variables = start("--uploads", "1.5", "--studies", "0")
    assert (variables["ESPALIER_UPLOADS_GB"], variables["ESPALIER_STUDIES"]) == ("1.5", "0")
    assert refused(capsys, monkeypatch, "--disk", "9") == (
        "--disk is given without --team; it limits what users take who have rooms of their own"
    )
    assert refused(capsys, monkeypatch, "--disk", "much") == (
        "--disk is 'much'; give the GB that all users together take as a number of 0 or more"
    )


def test_the_server_has_the_data_root_that_was_meant_where_it_was_started(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_DATA", "here")
    assert start()[1]["ESPALIER_DATA"] == str(tmp_path / "here")


def test_old_files_go_before_the_server_starts(start: Start, data_root: Path) -> None:
    path = data_root / "own" / "mine.safetensors"
    path.parent.mkdir()
    path.touch()
    os.utime(path, (0, 0))
    start()
    assert path.exists()
    start("--keep-days", "30")
    assert not path.exists()


def test_fewer_days_than_one_are_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(capsys, monkeypatch, "--keep-days", "0.5") == "--keep-days is 0.5; it must be at least 1"
