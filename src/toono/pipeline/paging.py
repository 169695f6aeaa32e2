# SPDX-License-Identifier: Apache-2.0
"""Lists in pages, while cut off: with tokens of the hub's own.

A token has the API server's shape (base64 of `{"v":…,"rv":…,"start":…}`), so that one
that is used after the link is back goes on where it stopped, and one word more by
which the hub knows its own. One that came from the cloud speaks of a version that
nobody holds here: 410, as for one that is too old, and clients begin anew.
"""

import base64
import binascii
from collections.abc import Sequence

import msgspec

from toono.cache.answer import Found
from toono.codec.page import Page
from toono.errors import RequestError
from toono.kube import status
from toono.kube.request import Call

SHAPE = "meta.k8s.io/v1"
ISSUER = "toono"
AMBIGUOUS = "specifying resource version is not allowed when using continue"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page begins. Members in the API server's order, ours behind them."""

    v: str
    rv: int
    start: str
    by: str = ""
    """Who made it: an API server passes over what it does not know."""


def opened(call: Call) -> Token | None:
    """Return the token that a list goes on with, None where it begins.

    RequestError 400 where it cannot be read, 410 where it is not one of ours.
    """
    if not call.continue_token:
        return None
    if call.resource_version not in (None, "", "0"):
        raise status.refuse(status.bad_request(AMBIGUOUS))
    token = _read(call.continue_token)
    if token.by != ISSUER:
        raise status.refuse(status.expired(status.CONTINUE_EXPIRED))
    return token


def cut(
    call: Call, found: Found, *, version: str, token: Token | None
) -> tuple[Sequence[bytes], Page]:
    """Return the items of one page, and what its list tells of itself.

    RequestError 410 where what is known has another version than the token's.
    """
    items, keys = found.items, ["/" + "/".join(filter(None, k)) for k in found.keys]
    prefix = f"/{call.namespace}" if call.namespace else ""
    if token is not None:
        if str(token.rv) != version:
            raise status.refuse(status.expired(status.CONTINUE_EXPIRED))
        after = prefix + token.start
        begin = next((n for n, key in enumerate(keys) if key >= after), len(keys))
        items, keys = items[begin:], keys[begin:]
    if not _is_limited(call, token) or len(items) <= call.limit:
        return items, Page(version)
    last = keys[call.limit - 1].removeprefix(prefix)
    following = Token(v=SHAPE, rv=int(version), start=last + "\0", by=ISSUER)
    # Nobody counts what a selector leaves: the API server does not tell it either.
    selects = call.label_selector or call.field_selector
    remaining = None if selects else len(items) - call.limit
    return items[: call.limit], Page(version, _written(following), remaining)


def _is_limited(call: Call, token: Token | None) -> bool:
    """A list of any version is whole: the watch cache passes over its limit."""
    return call.limit > 0 and (token is not None or call.resource_version != "0")


def _written(token: Token) -> str:
    raw = msgspec.json.encode(token)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(text: str) -> Token:
    try:
        raw = base64.b64decode(
            text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise _malformed("illegal base64 data") from exc
    try:
        token = msgspec.json.decode(raw, type=Token)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        first = raw[:1].decode("latin-1")
        shown = first if first.isprintable() else f"\\u{ord(first or chr(0)):04x}"
        why = f"invalid character '{shown}' looking for beginning of value"
        if first in ("{", ""):
            why = "unexpected end of JSON input"
        raise _malformed(why) from exc
    if token.v != SHAPE:
        told = f'server does not recognize this encoded version "{token.v}"'
        raise _malformed(told)
    if token.rv == 0 or not token.start:
        told = f"incorrect encoded start resourceVersion (version {SHAPE})"
        raise _malformed(
            told if token.rv == 0 else f"encoded start key empty ({SHAPE})"
        )
    return token


def _malformed(why: str) -> RequestError:
    text = f"invalid continue token: continue key is not valid: {why}"
    return status.refuse(status.bad_request(text))
