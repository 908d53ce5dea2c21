"""A team's logins as they are: a browser, ``espalier serve --team`` and an identity provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.browsing import browser
from compression.data.adding import add
from compression.owner import owner_id, working_for
from tests.data.given import good, unpacked
from tests.e2e.browser import settle
from tests.faults.provider import CLIENT, provider
from tests.faults.team import SECRET, Team, served

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
WAIT_MS = 60_000
OWN = "{}/library?library_view=Data+sets&library_data=birds+of+Anna"
SECRETS = f"""
[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "{CLIENT}"
client_secret = "secret"
server_metadata_url = "ISSUER/.well-known/openid-configuration"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A dashboard that sends whoever logs in to a provider; Anna has a data set in her room."""
    home = tmp_path_factory.mktemp("login")
    with provider() as issuer, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESPALIER_DATA", str(home / "team" / "data"))
        with working_for(owner_id(f"{issuer} anna")):
            add(unpacked(home / "images", good()), "birds of Anna")
        with served(home / "team", SECRETS.replace("ISSUER", issuer)) as found:
            yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


def logged_in(chromium: Browser, server: Team, name: str) -> Page:
    """A page in a profile of its own, after somebody has chosen their name at the provider's."""
    page = chromium.new_context().new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{server.url}/library?library_view=Data+sets")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(f"{server.url}/")
    settle(page)
    return page


def test_whoever_is_on_the_list_logs_in_sees_the_pages_and_their_own_room_and_leaves(
    chromium: Browser, server: Team
) -> None:
    page = logged_in(chromium, server, "anna")
    page.goto(OWN.format(server.url))
    expect(page.get_by_role("combobox", name="Facts of")).to_have_value("birds of Anna", timeout=WAIT_MS)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=WAIT_MS)
    page.goto(OWN.format(server.url))
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.parametrize("name", ["eve", "ben"])
def test_whoever_is_not_on_the_list_or_has_an_address_that_nobody_verified_is_told_so_and_sees_nothing_else(
    name: str, chromium: Browser, server: Team
) -> None:
    page = logged_in(chromium, server, name)
    for path in ("", "library?library_view=Data+sets", "prune?model=digits-mlp"):
        page.goto(f"{server.url}/{path}")
        expect(page.get_by_text("this server's list does not have your address")).to_be_visible(timeout=WAIT_MS)
        settle(page)
        assert page.get_by_role("heading").all_inner_texts() == ["Not on the list"]
        assert page.get_by_test_id("stSidebarNavLink").count() == 0
        assert page.get_by_test_id("stButton").count() == 1  # to log out


def test_a_login_that_another_key_signed_is_none(chromium: Browser, server: Team) -> None:
    page = logged_in(chromium, server, "mallory")
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=WAIT_MS)
    assert not [one for one in page.context.cookies() if one["name"].startswith("_streamlit_user")]


def test_the_log_has_nobodys_name(chromium: Browser, server: Team) -> None:
    logged_in(chromium, server, "anna").close()
    log = server.log.read_text().replace(str(server.data.parent), "").casefold()
    assert not [name for name in ("anna@", "eve@", "ben@", "birds") if name in log], log
