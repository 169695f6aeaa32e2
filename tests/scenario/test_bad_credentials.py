# SPDX-License-Identifier: Apache-2.0
"""Credentials that are no good, row by row: each is named, and none is served.

All go over TLS, as a pod's would; each is asked online (the API server says) and cut
off, where the hub alone says what is wrong with it.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from tests.rig import ask, status_of, until
from tests.scenario.identities import HOST, RESOURCES, Cluster, Site
from toono.identity.sockets import Owner

SECRET = RESOURCES["secret of a pod here"]
OWNER = "system:serviceaccount:shop:reader"


def claims(cluster: Cluster, **changes) -> dict:
    now = int(cluster.clock.wall())
    uid = json.loads(_part(cluster.token("reader"), 1))["kubernetes.io"]
    return {
        "aud": list(cluster.keys.audiences),
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "iss": cluster.keys.issuer,
        "sub": OWNER,
        "kubernetes.io": uid,
    } | changes


def _part(token: str, number: int) -> bytes:
    part = token.split(".")[number]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _text(content: dict) -> str:
    raw = json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(cluster: Cluster, algorithm: str) -> str:
    return f"{_text({'alg': algorithm})}.{_text(claims(cluster))}."


def changed(cluster: Cluster) -> str:
    """Another's name in a token that is really signed, for its owner."""
    head, _, signature = cluster.token("web").split(".")
    return f"{head}.{_text(claims(cluster))}.{signature}"


def with_key_s_name(cluster: Cluster) -> str:
    """Signed by another key that calls itself by the cluster's."""
    header = json.loads(_part(cluster.token("reader"), 0))
    return cluster.others.sign(claims(cluster), header=header)


def confused(cluster: Cluster) -> str:
    """An HMAC over the public key, where a verifier lets the token choose the way."""
    header = json.loads(_part(cluster.token("reader"), 0)) | {"alg": "HS256"}
    signed = f"{_text(header)}.{_text(claims(cluster))}"
    mac = hmac.new(cluster.keys.jwks(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def early(cluster: Cluster) -> str:
    later = int(cluster.clock.wall()) + 1000
    return cluster.keys.sign(claims(cluster, nbf=later, iat=later))


def expired(cluster: Cluster, by: float) -> str:
    now = cluster.clock.wall()
    return cluster.token("reader", now=now - 3600 - by, seconds=3600)


# what → (token, (code online, code cut off), word of the reason cut off)
TOKENS = {
    "alg none": (lambda c: unsigned(c, "none"), (401, 401), "algorithm"),
    "alg None": (lambda c: unsigned(c, "None"), (401, 401), "algorithm"),
    "alg HS256": (confused, (401, 401), "algorithm"),
    "another's claims": (changed, (401, 401), "signature is not the cluster's"),
    "another's key": (with_key_s_name, (401, 401), "signature is not the cluster's"),
    "not yet valid": (early, (401, 503), "not valid yet"),
    "expired": (lambda c: expired(c, 400), (401, 401), "expired"),
    "another issuer": (
        lambda c: c.keys.sign(claims(c, iss="https://elsewhere")),
        (401, 401),
        "",
    ),
    "another audience": (
        lambda c: c.keys.sign(claims(c, aud=["vault"])),
        (401, 401),
        "",
    ),
    "another's subject": (
        lambda c: c.keys.sign(claims(c, sub="system:serviceaccount:bank:root")),
        (403, 401),  # the embedded server believes what it signed
        "subject is not its service account",
    ),
    "opaque": (lambda _: "abcdef.0123456789abcdef", (401, 401), ""),
    "20 KiB": (lambda c: c.token("reader") + "A" * 20480, (431, 431), "too long"),
}
LINES = {
    "two Authorization lines": (("Authorization: Bearer b",), 400, "more than once"),
    "Basic": (("Authorization: Basic YTpi",), 400, "Bearer"),
    "an empty bearer": (("Authorization: Bearer ",), 400, "Bearer"),
    "impersonation without a token": (
        ("Impersonate-User: admin",),
        400,
        "token of the caller's own",
    ),
    "a spelling of it": (("Impersonate_User: admin",), 400, "caller's own"),
    "a stripped token": (("Connection: authorization",), 400, "hop-by-hop"),
    "a stripped name": (("Connection: impersonate-user",), 400, "hop-by-hop"),
}


class Heard(dict):
    """What each row heard: (code, message), by name and by online or not."""

    def take(self, name: str, answer: tuple[int, bytes], *, online: bool) -> None:
        code, content = answer
        self[name, online] = (code, json.loads(content).get("message", ""))


async def play(directory: Path) -> Heard:
    cluster = Cluster(directory)
    await cluster.start()
    site, heard = Site(cluster, directory), Heard()
    tokens = {name: make(cluster) for name, (make, _, _) in TOKENS.items()}
    nobody = Owner(1000, HOST)
    async with site.running():
        await until(lambda: site.hub.upstream.online)
        assert (await site.ask(SECRET, token=cluster.token("reader")))[0] == 200
        await site.hub.ahead.idle()
        for online in (True, False):
            if not online:
                await cluster.server.aclose()
                await until(lambda: not site.hub.upstream.online)
            for name, token in tokens.items():
                answer = await site.ask(SECRET, token=token, owner=nobody)
                heard.take(name, answer, online=online)
            for name, (more, _, _) in LINES.items():
                own = name.startswith(("two", "a stripped"))
                token = cluster.token("reader") if own else ""
                answer = await site.ask(SECRET, token=token, more=more, owner=nobody)
                heard.take(name, answer, online=online)
    return heard


@pytest.fixture(scope="module")
def heard(tmp_path_factory) -> Heard:
    return asyncio.run(play(tmp_path_factory.mktemp("bad")))


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_that_is_no_good_is_named_and_not_served(heard, name: str) -> None:
    _, codes, word = TOKENS[name]
    online, offline = heard[name, True], heard[name, False]
    assert (online[0], offline[0]) == codes
    assert word in offline[1]


@pytest.mark.parametrize("name", LINES)
def test_a_head_that_is_no_good_is_named_and_not_served(heard, name: str) -> None:
    _, code, word = LINES[name]
    for online in (True, False):
        assert heard[name, online][0] == code
        assert word in heard[name, online][1]


PAGES = {
    "of another site": (("Origin: http://evil.example",), "127.0.0.1"),
    "of nowhere": (("Origin: null",), "127.0.0.1"),
    "that shows a picture": (("Sec-Fetch-Site: cross-site",), "127.0.0.1"),
    "whose name leads here": ((), "evil.example"),
    "of that name, as itself": (("Origin: http://evil.example",), "evil.example"),
}


def test_page_in_a_browser_of_root_is_not_the_node(tmp_path: Path) -> None:
    async def story() -> None:
        cluster = Cluster(tmp_path)
        await cluster.start()
        site = Site(cluster, tmp_path)
        async with site.running():
            await until(lambda: site.hub.upstream.online)
            assert (await site.ask(SECRET))[0] == 200  # root itself
            seen = len(cluster.server.requests)
            for more, host in PAGES.values():
                lines = (f"GET {SECRET} HTTP/1.1", f"Host: {host}", *more)
                raw = "\r\n".join([*lines, "Connection: close", "\r\n"]).encode()
                answer = await ask(site.hub, raw)
                assert status_of(answer) == 403, answer
                assert b"a page in a browser" in answer
            asked = [target for _, target in cluster.server.requests[seen:]]
            assert SECRET not in asked
        await cluster.server.aclose()

    asyncio.run(story())
