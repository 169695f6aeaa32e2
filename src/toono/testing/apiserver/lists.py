# SPDX-License-Identifier: Apache-2.0
"""A list: at which version, which objects, which page of them, and the token to go on."""

import base64
import json
from typing import NamedTuple

from toono.testing.apiserver.query import JSON, Query, Selects
from toono.testing.apiserver.refusals import bad_request, stale_token
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.storage import (
    ExpiredError,
    Key,
    Storage,
    Stored,
    encode,
    path_of,
)

INCONSISTENT = -1
"""The version of a token that goes on at whatever is there now."""
Page = tuple[list[Stored], JSON]
"""Objects, and the metadata of their list."""


class _Start(NamedTuple):
    version: int
    path: str


def page_of(
    storage: Storage,
    resource: Resource,
    *,
    namespace: str,
    query: Query,
    selects: Selects,
    version: int | None,
) -> Page:
    """Return what a list answers; the version is known not to lie ahead."""
    prefix = f"/{namespace}" if namespace else ""
    token = query.text("continue")
    start = _Start(storage.version, "")
    if token:
        start = _opened(token, prefix)
        if version:
            raise bad_request(
                "specifying resource version is not allowed when using continue"
            )
        if start.version == INCONSISTENT:
            start = _Start(storage.version, start.path)
        elif start.version < storage.compacted:
            fresh = _token(INCONSISTENT, start.path.removeprefix(prefix))
            raise stale_token(fresh)
    elif query.text("resourceVersionMatch") == "Exact" and version is not None:
        start = _Start(version, "")
        if version < storage.compacted:
            raise ExpiredError(version, storage.compacted)
    limit = query.number("limit") if version != 0 or token else 0
    found = _selected(storage, resource, start, selects)
    page, meta = _cut(found, limit, start.version, prefix)
    if query.text("labelSelector") or query.text("fieldSelector"):
        meta.pop("remainingItemCount", None)  # nobody counts what a selector leaves
    return page, meta


def _selected(
    storage: Storage, resource: Resource, start: _Start, selects: Selects
) -> list[Stored]:
    collection = storage.collection(resource.qualified)
    is_now = start.version == storage.version
    state = collection.now if is_now else collection.at(start.version)
    after = {path_of(key): one for key, one in state.items()}
    return [
        after[path]
        for path in sorted(after)
        if path >= start.path and selects(after[path].object)
    ]


def _cut(found: list[Stored], limit: int, version: int, prefix: str) -> Page:
    meta: JSON = {"resourceVersion": str(version)}
    if limit and len(found) > limit:
        last = _relative(found[limit - 1].key, prefix)
        meta["continue"] = _token(version, last + "\0")
        meta["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    return found, meta


def _relative(key: Key, prefix: str) -> str:
    return path_of(key).removeprefix(prefix)


def _token(version: int, start: str) -> str:
    content = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(encode_token(content)).decode().rstrip("=")


def encode_token(content: JSON) -> bytes:
    """Return a token's content; the zero byte is escaped as Go does it."""
    return encode(content)


def _opened(token: str, prefix: str) -> _Start:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        content = json.loads(raw.decode("latin-1"))
        return _Start(int(content["rv"]), prefix + str(content["start"]))
    except json.JSONDecodeError as exc:
        character = exc.doc[exc.pos : exc.pos + 1]
        why = f"invalid character {_quoted(character)} looking for beginning of value"
        raise _malformed(why) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise _malformed(str(exc)) from exc


def _quoted(character: str) -> str:
    """A character as Go's %q shows it."""
    return f"'{character}'" if character.isprintable() else f"'\\u{ord(character):04x}'"


def _malformed(why: str) -> Exception:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")
