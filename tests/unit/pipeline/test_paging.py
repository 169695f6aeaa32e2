# SPDX-License-Identifier: Apache-2.0
"""Pages of a list that the hub answers itself."""

import base64
import json

import pytest

from tests.unit.cache.kit import call
from toono.cache.answer import Found
from toono.cache.scope import Question, Scope
from toono.errors import RequestError
from toono.kube.status import CONTINUE_EXPIRED
from toono.pipeline.paging import AMBIGUOUS, cut, opened

PODS = "/api/v1/pods"
NAMES = [("default", "a"), ("default", "b"), ("default-2", "a"), ("shop", "c")]
NODES = [("", "n1"), ("", "n2"), ("", "n3")]


def found(keys=NAMES) -> Found:
    question = Question("kubelet", "", "v1", "pods", "", "", "", "", "application/json")
    items = ["/".join(key).encode() for key in keys]
    return Found(Scope(1, question, 1), items, keys)


def walk(target: str, known: Found, *, version: str = "9") -> list[tuple]:
    """Return each page's names and count of what remains, as a client goes on."""
    pages, query = [], target
    while True:
        asked = call(query)
        items, page = cut(asked, known, version=version, token=opened(asked))
        pages.append(([item.decode() for item in items], page.remaining))
        assert page.resource_version == version
        if not page.continue_token:
            return pages
        query = f"{target}&continue={page.continue_token}"


def token(**members) -> str:
    shape = {"v": "meta.k8s.io/v1", "rv": 9, "start": "/default/a\0", "by": "toono"}
    raw = json.dumps(shape | members).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def refused(target: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        opened(call(target))
    return caught.value


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("target", "keys"),
    [
        (PODS, sorted(NAMES, key="/".join)),
        ("/api/v1/nodes", NODES),
        ("/api/v1/namespaces/default/pods", NAMES[:2]),
    ],
)
def test_no_page_loses_or_repeats_a_name(target, keys, limit) -> None:
    pages = walk(f"{target}?limit={limit}", found(keys))
    joined = [name for names, _ in pages for name in names]
    assert joined == ["/".join(key) for key in keys]
    assert all(len(names) == limit for names, _ in pages[:-1])
    left = [remaining for _, remaining in pages]
    assert left == [len(keys) - limit * n for n in range(1, len(pages))] + [None]


@pytest.mark.parametrize("query", ["", "?limit=0", "?limit=1&resourceVersion=0"])
def test_a_list_without_a_limit_or_of_any_version_is_whole(query: str) -> None:
    asked = call(PODS + query)
    items, page = cut(asked, found(), version="9", token=None)
    assert len(items) == len(NAMES)
    assert (page.continue_token, page.remaining) == ("", None)


@pytest.mark.parametrize("selector", ["labelSelector=a", "fieldSelector=spec.x=y"])
def test_nobody_counts_what_a_selector_leaves(selector: str) -> None:
    (first, remaining), *_ = walk(f"{PODS}?limit=1&{selector}", found())
    assert (len(first), remaining) == (1, None)


def test_what_has_moved_on_since_is_expired() -> None:
    asked = call(f"{PODS}?limit=1&continue={token()}")
    with pytest.raises(RequestError) as caught:
        cut(asked, found(), version="10", token=opened(asked))
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def test_a_name_that_is_gone_is_passed_by_its_place() -> None:
    asked = call(f"{PODS}?limit=9&continue={token(start='/default/aa')}")
    items, _ = cut(asked, found(), version="9", token=opened(asked))
    assert items[0] == b"default/b"
    beyond = call(f"{PODS}?limit=9&continue={token(start='/zzz')}")
    assert cut(beyond, found(), version="9", token=opened(beyond))[0] == []


def test_a_token_of_the_cloud_is_expired_and_none_is_given_to_go_on() -> None:
    exc = refused(f"{PODS}?limit=1&continue={token(by='')}")
    assert (exc.code, exc.reason, exc.message) == (410, "Expired", CONTINUE_EXPIRED)
    assert exc.details is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("garbage", "invalid character '\\u0081' looking for beginning of value"),
        ("!", "illegal base64 data"),
        ("e30", "unexpected end of JSON input"),
        (token(v="v2"), 'server does not recognize this encoded version "v2"'),
        (token(rv=0), "incorrect encoded start resourceVersion (version meta.k8s.i"),
        (token(start=""), "encoded start key empty"),
    ],
)
def test_what_is_no_token_is_refused_as_the_api_server_does(text, why) -> None:
    exc = refused(f"{PODS}?limit=1&continue={text}")
    assert (exc.code, exc.reason) == (400, "BadRequest")
    start = "invalid continue token: continue key is not valid: "
    assert exc.message.startswith(start + why)


def test_a_token_and_a_version_together_are_refused() -> None:
    exc = refused(f"{PODS}?limit=1&resourceVersion=9&continue={token()}")
    assert (exc.code, exc.message) == (400, AMBIGUOUS)
    assert opened(call(f"{PODS}?resourceVersion=0&continue={token()}")) is not None
