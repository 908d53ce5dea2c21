"""An identity provider of the tests' own on loopback: OpenID Connect as far as a login needs it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlencode, urlsplit

PEOPLE = {
    "anna": {"email": "Anna@example.org", "email_verified": True},
    "ben": {"email": "ben@example.org", "email_verified": False},
    "eve": {"email": "eve@elsewhere.example", "email_verified": True},
    "mallory": {"email": "anna@example.org", "email_verified": True},
}
"""What it says of each; what it says of Mallory is signed with another key than it tells."""
CLIENT = "espalier"


@contextmanager
def provider() -> Iterator[str]:
    """Run it; its address, which is the issuer of its logins."""
    from joserfc.jwk import RSAKey

    told, other = (RSAKey.generate_key(2048, {"kid": "1"}) for _ in range(2))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        server.issuer = f"http://127.0.0.1:{server.server_port}"
        server.told, server.keys = told, dict.fromkeys(PEOPLE, told) | {"mallory": other}
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.issuer
        finally:
            server.shutdown()
            thread.join()


class _Provider(BaseHTTPRequestHandler):
    """A page with everybody's name, each of which logs in; a code is the name with the login's nonce."""

    def do_GET(self) -> None:
        asked, issuer = urlsplit(self.path), self.server.issuer
        path, query = asked.path, {key: one for key, (one,) in parse_qs(asked.query).items()}
        if path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            self._say({"issuer": issuer, **{key: f"{issuer}/{end}" for key, end in ends.items()}})
        elif path == "/jwks":
            self._say({"keys": [self.server.told.as_dict(private=False)]})
        elif path == "/authorize":
            back = {name: {"code": f"{name} {query['nonce']}", "state": query["state"]} for name in PEOPLE}
            links = [f'<a href="{query["redirect_uri"]}?{urlencode(back[name])}">{name}</a>' for name in PEOPLE]
            self._say(" ".join(links))

    def do_POST(self) -> None:
        from joserfc import jwt

        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name, nonce = form["code"][0].split()
        now = int(time.time())
        claims = {"iss": self.server.issuer, "aud": CLIENT, "sub": name, "nonce": nonce, "iat": now, "exp": now + 600}
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims | PEOPLE[name], self.server.keys[name])
        self._say({"access_token": "unused", "token_type": "Bearer", "expires_in": 600, "id_token": signed})

    def _say(self, content: object) -> None:
        body = content if isinstance(content, str) else json.dumps(content)
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""
