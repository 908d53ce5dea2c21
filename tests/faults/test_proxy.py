"""The guide's own words for nginx, in front of a team's dashboard: a browser works through them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, expect
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from benchmarks.browsing import browser, free_port
from benchmarks.visitor import login_cookie
from compression.recipe import Recipe
from tests.data.given import encoded, good, noise, zipped
from tests.e2e.browser import settle
from tests.e2e.journey import add_images
from tests.faults.team import SECRET, Team, id_of, login_of, served
from tests.studies.plans import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
GUIDE = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text()
SITE = "https://espalier.example.org"
WAIT_MS = 60_000
KNOCK = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
"""What asks for a websocket."""
AROUND = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/other;
    uwsgi_temp_path {home}/other;
    scgi_temp_path {home}/other;
{guide}
}}
"""


class Site(NamedTuple):
    """A dashboard, the port of the proxy before it, and a browser profile that finds it under the guide's address."""

    server: Team
    port: int
    profile: BrowserContext


def block(language: str) -> str:
    """The guide's only block in a language."""
    (found,) = re.findall(rf"^ *```{language}\n(.*?)^ *```$", GUIDE, re.M | re.S)
    return found


def put(text: str, **instead: str) -> str:
    """A text with each word, which it must have, replaced."""
    for word, other in instead.items():
        assert word in text, f"the guide does not say {word}"
        text = text.replace(word, other)
    return text


@contextmanager
def nginx(home: Path, server: Team) -> Iterator[int]:
    """The guide's proxy with a certificate of its own, before a dashboard; the port where it listens."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not found or not shutil.which("openssl"):
        pytest.skip("nginx or openssl is not installed (on Debian: apt-get install nginx-light openssl)")
    home.mkdir()
    port, certificate, key = free_port(), home / "site.pem", home / "site.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=espalier.example.org", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    here = {
        "443": f"127.0.0.1:{port}",
        "127.0.0.1:8501": f"127.0.0.1:{server.port}",
        "/etc/ssl/certs/espalier.pem": str(certificate),
        "/etc/ssl/private/espalier.key": str(key),
    }
    (home / "nginx.conf").write_text(AROUND.format(home=home, guide=put(block("nginx"), **here)))
    with subprocess.Popen([found, "-e", home / "nginx.log", "-p", home, "-c", home / "nginx.conf"]) as process:
        try:
            until(lambda: answers(port) or process.poll() is not None, 20)
            assert process.poll() is None, (home / "nginx.log").read_text()
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def asked(site: Site, path: str, **headers: str) -> Iterator[int]:
    """The status of an answer through the proxy, held open; header names are written with _ for -."""
    unproven = ssl._create_unverified_context()
    with closing(HTTPSConnection("127.0.0.1", site.port, timeout=30, context=unproven)) as line:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request("GET", path, headers={"Host": urlsplit(SITE).netloc, **named})
        with closing(line.getresponse()) as answer:
            yield answer.status


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The dashboard behind the proxy, and a browser profile in which Anna is logged in."""
    home = tmp_path_factory.mktemp("proxy")
    secrets = put(block("toml"), **{"at least 32 random characters: openssl rand -hex 32": SECRET})
    with served(home / "team", secrets) as server, nginx(home / "nginx", server) as port:
        # The browser asks for the guide's own address, which leads here.
        with browser(f"--host-resolver-rules=MAP espalier.example.org:443 127.0.0.1:{port}") as chromium:
            profile = chromium.new_context(ignore_https_errors=True)
            for name, value in login_cookie(SITE, SECRET, **login_of("anna")).items():
                profile.add_cookies([{"name": name, "value": value, "url": SITE}])
            yield Site(server, port, profile)


def test_a_page_is_drawn_over_a_websocket_that_is_encrypted(site: Site) -> None:
    page, sockets = site.profile.new_page(), []
    page.on("websocket", lambda one: sockets.append(one.url))
    page.goto(f"{SITE}/prune?model=digits-mlp")
    expect(page.get_by_text("Baseline").first).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert sockets == ["wss://espalier.example.org/_stcore/stream"]
    set_here = [cookie for cookie in site.profile.cookies() if cookie["name"] != USER_COOKIE_NAME]
    assert set_here and all(cookie["secure"] for cookie in set_here)
    page.close()


def test_an_upload_of_more_than_a_megabyte_arrives_and_is_in_the_users_room(site: Site, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "mine.zip", good(n=40) | {"a/noise.png": encoded(noise(1, 700, 700, 3))})
    assert archive.stat().st_size > 2**20  # more than nginx takes unless it is told
    page = site.profile.new_page()
    add_images(page, SITE, archive, "mine", WAIT_MS)
    page.close()
    assert (site.server.data / "users" / id_of("anna") / "own" / "mine.safetensors").is_file()


def test_a_file_is_downloaded_whole(site: Site) -> None:
    page = site.profile.new_page()
    page.goto(f"{SITE}/prune?model=digits-mlp")
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Recipe (YAML)").click(timeout=WAIT_MS)
    assert Recipe.from_yaml(download.value.path().read_text()).model == "digits-mlp"
    page.close()


def test_health_is_told_and_another_sites_page_opens_no_session(site: Site) -> None:
    def status(path: str, **headers: str) -> int:
        with asked(site, path, **headers) as found:
            return found

    assert status("/_stcore/health") == 200
    assert status("/_stcore/stream", Origin=SITE, **KNOCK) == 101
    assert status("/_stcore/stream", Origin="https://evil.example", **KNOCK) == 403
    assert status("/_stcore/stream", Origin="https://evil.example", Host="evil.example", **KNOCK) == 403


def test_an_office_behind_one_address_has_room_for_fifty_pages(site: Site) -> None:
    with ExitStack() as opened:
        held = [opened.enter_context(asked(site, "/_stcore/stream", Origin=SITE, **KNOCK)) for _ in range(50)]
    assert held == [101] * 50
