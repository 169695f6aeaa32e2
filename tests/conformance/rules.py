# SPDX-License-Identifier: Apache-2.0
"""What two API servers say differently by nature, put aside by named rules.

A rule changes both answers before they are compared byte for byte, so nothing else
may differ. Rules that would hide a mistake keep what they can: versions keep their
order and their sameness, tokens their contents, uids which object they belong to.
"""

import base64
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from tests.conformance.exchanges import Exchange

MOMENT = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
VERSION = re.compile(rb'"resourceVersion":"([0-9]+)"')
TOKEN = re.compile(rb'"continue":"([A-Za-z0-9_-]+)"')
OWNERSHIP = re.compile(rb',?"managedFields":\[\{.*?\}\}(?:,"subresource":"\w+")?\}\]')
LIST_HEAD = re.compile(
    rb'\A(\{"kind":"(?:\w+List|Table)","apiVersion":"[\w./]+","metadata":\{)"resourceVersion":"\d+"'
)
CUSTOM_LIST_TAIL = re.compile(
    rb'("kind":"\w+List","metadata":\{"continue":"[^"]*",)"resourceVersion":"\d+"'
)
END = b"k8s.io/initial-events-end"


class Rule(NamedTuple):
    """One change to a body, and why it is right to make it."""

    name: str
    reason: str
    change: Callable[[bytes], bytes]
    applies: Callable[[Exchange], bool] = lambda _: True


def _uids(body: bytes) -> bytes:
    seen: dict[bytes, bytes] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return seen.setdefault(match[0], b"<uid-%d>" % len(seen))

    return UID.sub(number, body)


def _versions(body: bytes) -> bytes:
    found = sorted({int(each) for each in VERSION.findall(body)})
    rank = {b"%d" % version: b"%d" % place for place, version in enumerate(found)}
    return VERSION.sub(lambda match: b'"resourceVersion":"<%b>"' % rank[match[1]], body)


def _tokens(body: bytes) -> bytes:
    def opened(match: re.Match[bytes]) -> bytes:
        token = match[1]
        content = json.loads(base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4)))
        content["rv"] = "<version>"
        return b'"continue":%b' % json.dumps(json.dumps(content)).encode()

    return TOKEN.sub(opened, body)


def _times(body: bytes) -> bytes:
    keys = rb"creationTimestamp|deletionTimestamp|time|lastTransitionTime"
    keys += rb"|expirationTimestamp"
    return re.sub(rb'"(%b)":"%b"' % (keys, MOMENT), rb'"\1":"<time>"', body)


def _ages(body: bytes) -> bytes:
    def without(match: re.Match[bytes]) -> bytes:
        return re.sub(rb'"(?:(?:\d+[smhd])+|%b)"' % MOMENT, b'"<age>"', match[0])

    return re.sub(rb'"cells":\[.*?\]', without, body)


def _list_version(body: bytes) -> bytes:
    body = LIST_HEAD.sub(rb'\1"resourceVersion":"<list>"', body)
    return CUSTOM_LIST_TAIL.sub(rb'\1"resourceVersion":"<list>"', body)


def _allocated(body: bytes) -> bytes:
    seen: dict[bytes, bytes] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return seen.setdefault(match[0], b"<address-%d>" % len(seen))

    body = re.sub(rb"10\.96\.(?!0\.1\b)\d+\.\d+", number, body)
    body = re.sub(rb'"nodePort":\d+', b'"nodePort":<port>', body)
    return re.sub(rb'"80:\d+/TCP"', b'"80:<port>/TCP"', body)


def _own_address(body: bytes) -> bytes:
    body = re.sub(rb'("serverAddress":")[\d.:]+"', rb'\1<address>"', body)
    return re.sub(rb'("port":443,"targetPort":)\d+', rb"\1<port>", body)


def _signed(body: bytes) -> bytes:
    def opened(match: re.Match[bytes]) -> bytes:
        part = match[1].split(b".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
        for own in ("exp", "iat", "nbf", "jti"):
            claims[own] = "<own>"
        return b'"token":%b' % json.dumps(claims).encode()

    return re.sub(rb'"token":"([\w.-]+)"', opened, body)


def _dated_bookmarks(body: bytes) -> bytes:
    lines = body.split(b"\n")
    return b"\n".join(
        _undated(line) for line in lines if b'"BOOKMARK"' not in line or END in line
    )


def _undated(line: bytes) -> bytes:
    if b'"BOOKMARK"' not in line:
        return line
    return VERSION.sub(b'"resourceVersion":"<now>"', line)


def plain_bookmarks(body: bytes) -> set[bytes]:
    """Return the bookmarks that only tell a version, without it."""
    return {
        _undated(line)
        for line in body.split(b"\n")
        if b'"BOOKMARK"' in line and END not in line
    }


def without_bookmarks(body: bytes) -> bytes:
    """Return a watch's events alone, any other body as it is."""
    return b"\n".join(line for line in body.split(b"\n") if b'"BOOKMARK"' not in line)


def _generated(body: bytes) -> bytes:
    return re.sub(rb'"name":"(web-0\.)[a-z0-9]+"', rb'"name":"\1<random>"', body)


def _build(body: bytes) -> bytes:
    keys = rb"gitCommit|gitTreeState|buildDate|goVersion|compiler|platform"
    return re.sub(rb'"(%b)": "[^"]*"' % keys, rb'"\1": "<build>"', body)


def _undescribed(body: bytes) -> bytes:
    def without(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return {k: v for k, v in pairs if k != "description" or isinstance(v, dict)}

    document = json.loads(body, object_pairs_hook=without)
    return json.dumps(document, separators=(",", ":")).encode()


def _unhashed(body: bytes) -> bytes:
    return re.sub(rb"hash=[0-9A-F]{128}", b"hash=<hash>", body)


def _is_of_openapi(exchange: Exchange) -> bool:
    return exchange.target.startswith("/openapi/")


def _was_written(exchange: Exchange) -> bool:
    return exchange.method != "GET" or exchange.is_watch


def _is_of_definitions(exchange: Exchange) -> bool:
    return "/customresourcedefinitions" in exchange.target


def _holds_table(exchange: Exchange) -> bool:
    return b'"kind":"Table"' in exchange.answer.body


RULES = (
    Rule(
        "ownership",
        "the embedded server does not track managedFields; what was loaded with them "
        "is compared with them, what was written meanwhile without",
        lambda body: OWNERSHIP.sub(b"", body),
        lambda exchange: _was_written(exchange) or _is_of_definitions(exchange),
    ),
    Rule(
        "list-version",
        "a list tells how new its source is; the recorded server's watch caches were "
        "older than etcd by differing amounts",
        _list_version,
        lambda exchange: exchange.method == "GET",
    ),
    Rule(
        "bookmarks",
        "how many come, and how new they are, is the watch cache's affair; those that "
        "end a burst stay, the others are compared by themselves",
        _dated_bookmarks,
        lambda exchange: exchange.is_watch,
    ),
    Rule(
        "tokens",
        "a continue token holds a version; the key it starts at must be the same",
        _tokens,
    ),
    Rule(
        "signed",
        "a token is signed with the server's own key for a time of its own",
        _signed,
    ),
    Rule(
        "credential",
        "the hash of a certificate",
        lambda body: re.sub(rb"X509SHA256=[0-9a-f]{64}", b"<credential>", body),
    ),
    Rule("allocated", "cluster addresses and node ports are drawn", _allocated),
    Rule("own-address", "where the server listens", _own_address),
    Rule("uids", "random; the same object must keep the same one", _uids),
    Rule("versions", "counted by each server; their order must be the same", _versions),
    Rule("times", "when things were made", _times),
    Rule("ages", "cells of a Table that tell how long ago", _ages, _holds_table),
    Rule("generated-names", "the server adds five random characters", _generated),
    Rule(
        "build",
        "of what and where a server was built",
        _build,
        lambda exchange: exchange.target == "/version",
    ),
    Rule(
        "checks",
        "readyz names the parts that a server consists of",
        lambda body: re.sub(rb"(\[\+\][\w/-]+ ok\n)+", b"[+]<checks> ok\n", body),
    ),
    Rule(
        "descriptions",
        "what everything is for is told in the words of Kubernetes, which are not ours",
        _undescribed,
        _is_of_openapi,
    ),
    Rule(
        "hashes",
        "of documents with descriptions in them; that they are the documents' own is "
        "held by the server's unit tests",
        _unhashed,
        _is_of_openapi,
    ),
    Rule(
        "window",
        "the message of an expired watch tells the watch cache's oldest version",
        lambda body: re.sub(rb"(too old resource version: 5) \(\d+\)", rb"\1", body),
    ),
    Rule(
        "current",
        "the message of a too large version tells the current one",
        lambda body: re.sub(
            rb"(Too large [\w ]+: 99999999, current): \d+", rb"\1", body
        ),
    ),
)

READ_BY_CLIENTS = (
    "content-type",
    "cache-control",
    "retry-after",
    "x-content-type-options",
    "etag",
    "vary",
    "warning",
    "content-encoding",
    "allow",
)
"""The rest is Date, framing (a big body is chunked, when is a matter of buffers), and
Audit-Id and X-Kubernetes-Pf-*, which name what only that server knows."""


def told(exchange: Exchange, name: str, value: str | None) -> str | None:
    """Return a header as it is compared: the ETag of OpenAPI is the document's hash."""
    if name == "etag" and value is not None and _is_of_openapi(exchange):
        return re.sub(r"[0-9A-F]{128}", "<hash>", value)
    return value


def normalised(exchange: Exchange, body: bytes) -> bytes:
    """Return a body with all that may differ put aside."""
    for rule in RULES:
        if rule.applies(exchange):
            body = rule.change(body)
    return body
