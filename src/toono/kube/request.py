# SPDX-License-Identifier: Apache-2.0
"""One request to the Kubernetes API as one immutable value, made once."""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from toono.errors import RequestError
from toono.kube.accept import Form as Form
from toono.kube.accept import parse_accept
from toono.kube.selectors import canonical_fields, canonical_labels


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a request, as plain values; `identity` says what that means."""

    connection: int
    local: tuple[str, int]
    remote: tuple[str, int]
    token: bytes = b""
    """The bearer token, b"" where none was sent."""
    certificate: bytes = b""
    """The verified client certificate (DER), b"" where there is none."""
    impersonates: bool = False
    """Impersonate-* fields are present."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the hub may know of a request. Nothing later parses the URL again."""

    method: str
    target: bytes
    """As sent: what goes upstream."""
    path: str
    """Without query, percent-decoded."""
    verb: str
    """get list watch create update patch delete deletecollection, or, where
    `resource` is empty, the method in lower case."""
    group: str = ""
    version: str = ""
    resource: str = ""
    """Plural; empty for paths that name no resource (/version, /apis, /healthz)."""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    label_selector: str = ""
    """In canonical form (`selectors.canonical_labels`)."""
    field_selector: str = ""
    resource_version: str | None = None
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool = False
    allow_watch_bookmarks: bool = False
    timeout_seconds: float | None = None
    dry_run: bool = False
    accept: tuple[Form, ...] = ()
    content_type: str = ""
    user_agent: str = ""
    component: str = ""
    """Lower-cased product of the User-Agent, made safe; empty where there is none."""
    caller: Caller


_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def parse(
    method: str, target: bytes, fields: Mapping[bytes, bytes], caller: Caller
) -> Call:
    """Make the one `Call` of a request whose head has passed the wire's gate.

    Raises RequestError with the API server's own texts for options it refuses.
    """
    known = _prototype(method, target)
    accept = fields.get(b"accept")
    user_agent = fields.get(b"user-agent", b"").decode("latin-1")
    return msgspec.structs.replace(
        known,
        accept=parse_accept(accept.decode("latin-1")) if accept else (),
        content_type=fields.get(b"content-type", b"").decode("latin-1"),
        user_agent=user_agent,
        component=component_of(user_agent),
        caller=caller,
    )


@lru_cache(maxsize=4096)
def component_of(user_agent: str) -> str:
    """Return the product of a User-Agent, lower case and safe as a file name.

    The product ends at the first "/" or space. Any byte outside a-z 0-9 . _ - is
    written %XX, and so is what could be taken for a special name; a very long one
    ends in a hash. The mapping is injective but for ASCII case.
    """
    product = re.split(r"[/ ]", user_agent, maxsplit=1)[0]
    safe = "".join(
        char
        if char in _SAFE
        else "".join(f"%{byte:02X}" for byte in char.encode("latin-1", "replace"))
        for char in product.translate(_LOWER)
    )
    if safe in (".", ".."):
        safe = safe.replace(".", "%2E")
    if safe.startswith(("_", "tmp_")):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe) > _MAX_COMPONENT:
        digest = blake2b(safe.encode(), digest_size=8).hexdigest()
        safe = f"{safe[: _MAX_COMPONENT - 17]}-{digest}"
    return safe


_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_MAX_COMPONENT = 128
_NOBODY = Caller(connection=0, local=("", 0), remote=("", 0))


@lru_cache(maxsize=4096)
def _prototype(method: str, target: bytes) -> Call:
    """Return the part of a Call that the request line decides."""
    raw_path, _, raw_query = target.partition(b"?")
    path = unquote(raw_path.decode("latin-1"), errors="strict")
    query = _query(raw_query)
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        group, version, rest = "", "", []
    verb = _VERBS.get(method, method.lower())
    if not rest:
        return Call(
            method=method, target=target, path=path, verb=method.lower(), caller=_NOBODY
        )
    watched = _true(query.get("watch"))
    if rest[0] in ("watch", "proxy"):
        watched, rest = rest[0] == "watch", rest[1:]
        if not rest:
            return Call(
                method=method,
                target=target,
                path=path,
                verb=method.lower(),
                caller=_NOBODY,
            )
    namespace, resource, name, subresource = _place(rest)
    if verb == "get" and not name:
        verb = "watch" if watched else "list"
    elif verb == "delete" and not name:
        verb = "deletecollection"
    if rest is not parts and watched and name and b"/watch/" in raw_path:
        verb = "watch"
    return Call(
        method=method,
        target=target,
        path=path,
        verb=verb,
        group=group,
        version=version,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
        caller=_NOBODY,
        **_options(query, verb),
    )


def _place(rest: list[str]) -> tuple[str, str, str, str]:
    """Return (namespace, resource, name, subresource) of a path below a version."""
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in _OF_NAMESPACE:
        namespace, rest = rest[1], rest[2:]
    # A Namespace is an object without a namespace: RequestInfo gives it its own
    # name there, which would make two keys of one object.
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    return namespace, resource, name, "/".join(rest[2:])


_OF_NAMESPACE = frozenset({"status", "finalize"})


def _options(query: Mapping[str, str], verb: str) -> dict[str, Any]:
    found: dict[str, Any] = {"dry_run": bool(query.get("dryRun"))}
    found["resource_version"] = query.get("resourceVersion")
    if verb not in ("list", "watch", "deletecollection"):
        return found
    try:
        limit = int(query.get("limit") or 0)
        seconds = query.get("timeoutSeconds")
        timeout = float(int(seconds)) if seconds else None
    except ValueError as exc:
        raise RequestError(400, "BadRequest", f"invalid list options: {exc}") from exc
    found.update(
        label_selector=canonical_labels(query.get("labelSelector", "")),
        field_selector=canonical_fields(query.get("fieldSelector", "")),
        resource_version_match=query.get("resourceVersionMatch", ""),
        limit=limit,
        continue_token=query.get("continue", ""),
        send_initial_events=_true(query.get("sendInitialEvents")),
        allow_watch_bookmarks=_true(query.get("allowWatchBookmarks")),
        timeout_seconds=timeout,
    )
    return found


def _query(raw: bytes) -> dict[str, str]:
    """Return the first value of each key, as the API server's decoder takes it."""
    found: dict[str, str] = {}
    for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        found.setdefault(key, value)
    return found


def _true(value: str | None) -> bool:
    """Kubernetes' query booleans: present is true, but for false and 0."""
    return value is not None and value.lower() not in ("false", "0")
