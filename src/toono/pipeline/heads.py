# SPDX-License-Identifier: Apache-2.0
"""The fields that the hub adds to and takes from heads, on both ways.

Sources: RFC 9110 (Via, hop-by-hop), RFC 9211 (Cache-Status), RFC 9209 (Proxy-Status),
RFC 9111 (Age; Warning as the Kubernetes API uses it, KEP-1693).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from toono.wire.messages import Headers, Request

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_UPSTREAM = HOP_BY_HOP | {b"host", b"expect", b"content-length", b"edge-cache"}
UPGRADES = frozenset({b"spdy/3.1", b"websocket"})
"""What exec, attach and port-forward speak. A tunnel of h2c would be a way around the
gate, on a connection that may carry the node's certificate."""

VIA = (b"Via", b"1.1 toono")
STORED = (b"Cache-Status", b"toono; fwd=miss; stored")
BYPASSED = (b"Cache-Status", b"toono; fwd=bypass")
SHARED = (b"Cache-Status", b"toono; hit; detail=shared")
HIT = (b"Cache-Status", b"toono; hit")
MISS = (b"Cache-Status", b"toono; detail=unknown")
SPOOLED = (b"Cache-Status", b"toono; detail=spooled")
UNAVAILABLE = (b"Proxy-Status", b"toono; error=destination_unavailable")


def upstream_headers(headers: Headers, *, plain: bool = False) -> Headers:
    """Return what of a request's fields goes upstream.

    Host is the upstream's own business, and the framing the wire's. Edge-Cache is
    said to the hub alone. `plain` asks for no content coding: a stream whose frames
    the hub reads (since 1.37 watch-lists come as a chain of gzip members).
    """
    left = _NOT_UPSTREAM | {b"accept-encoding"} if plain else _NOT_UPSTREAM
    kept = [line for line in headers if line[0].lower() not in left]
    if plain:
        kept.append((b"Accept-Encoding", b"identity"))
    kept.append(VIA)
    return kept


def upgrade_of(request: Request) -> str:
    """Return the protocol that a request's connection may change to, "" for none."""
    upgrade = request.fields[b"upgrade"]
    if upgrade.lower() not in UPGRADES:
        return ""  # any server may ignore it (RFC 9110, 7.8)
    return upgrade.decode("latin-1")


def downstream_headers(
    headers: Headers, fields: Mapping[bytes, bytes], cache_status: tuple[bytes, bytes]
) -> Headers:
    """Return what of an answer's fields goes to the client, and where it came from.

    Content-Length stays for HEAD, where it tells of another body than the answer's
    own; everywhere else the wire writes what it counts.
    """
    if HOP_BY_HOP.isdisjoint(fields):
        return [*headers, VIA, cache_status]
    kept = [line for line in headers if line[0].lower() not in HOP_BY_HOP]
    return [*kept, VIA, cache_status]


def media_type(headers: Headers) -> str:
    """Return the bare media type of an answer, lower-case; "" where it has none."""
    for line in headers:
        if line[0].lower() == b"content-type":
            return _bare(line[1])
    return ""


def coding(headers: Headers) -> Mapping[bytes, bytes]:
    """Return how an answer's body is coded, as its field alone."""
    fields = ((line[0].lower(), line[1]) for line in headers)
    return {name: value for name, value in fields if name == b"content-encoding"}


@lru_cache(maxsize=256)
def _bare(value: bytes) -> str:
    return value.decode("latin-1").partition(";")[0].strip().lower()


def warning(since: float) -> tuple[bytes, bytes]:
    """Return the Warning of one outage: constant, because clients print new texts."""
    moment = datetime.fromtimestamp(int(since), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f'299 toono "cut off since {moment}; answered by toono from its cache"'
    return (b"Warning", text.encode())
