# SPDX-License-Identifier: Apache-2.0
"""One request to the Kubernetes API as one immutable value, made once.

Rules are those of the API server's RequestInfo. What the request line and a few fields
decide is worked out once for equal ones; callers differ, and are never part of it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from toono.errors import RequestError
from toono.kube.accept import Form as Form
from toono.kube.accept import parse_accept
from toono.kube.component import component_of as component_of
from toono.kube.names import is_path_segment
from toono.kube.options import (
    ListOptions,
    check_version,
    is_true,
    read_options,
    read_query,
)
from toono.kube.selectors import picks_name, pinned_name


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
    """get list watch create update patch delete deletecollection proxy, or, where
    `resource` is empty, the method in lower case."""
    group: str = ""
    version: str = ""
    resource: str = ""
    """Plural; empty for paths that name no resource (/version, /apis, /healthz)."""
    subresource: str = ""
    """All of the path after the name: status, log, proxy/some/path."""
    namespace: str = ""
    name: str = ""
    """Empty for list and watch, of one object too: see `pinned_name`."""
    pinned_name: str = ""
    """The one name that a list's or watch's field selector picks: RequestInfo, and
    with it every question of rights, takes it for the name."""
    label_selector: str = ""
    """In canonical form (`selectors.canonical_labels`)."""
    field_selector: str = ""
    resource_version: str | None = None
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool = False
    no_initial_events: bool = False
    """A watch without a version begins with what comes, not with what is there."""
    allow_watch_bookmarks: bool = False
    timeout_seconds: float | None = None
    """Of a list or watch; None where the server picks, 0 ends at once."""
    unknown_options: tuple[str, ...] = ()
    """Query keys of a list or watch that we do not know (shardSelector): the answer
    may be to another question, so none is to be kept, and none given from here."""
    problem: RequestError | None = None
    """What the API server says to these options, in its own words: it is for whoever
    answers here to raise; online the request passes, and the answer is the server's."""
    dry_run: bool = False
    pretty: bool = False
    """JSON is to be written for people, with indents."""
    include_object: str = ""
    """Of a Table: what its rows hold of their objects; empty is Metadata."""
    accept: tuple[Form, ...] = ()
    if_none_match: tuple[str, ...] = ()
    """Entity tags as given, weak ones with their W/ (RFC 9110, 13.1.2)."""
    content_type: str = ""
    user_agent: str = ""
    component: str = ""
    """Lower-cased product of the User-Agent, made safe; empty where there is none."""
    edge_cache: bool = False
    """`Edge-Cache: true`: the caller asks that the answer be kept (YurtHub v1.5)."""
    caller: Caller


_MAX_CACHED = 2048
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

    Options that the API server refuses are no error here: `problem` holds what it
    will say, in its own words.
    """
    find = fields.get
    said = (
        method,
        target,
        find(b"accept", b""),
        find(b"user-agent", b""),
        find(b"if-none-match", b""),
        find(b"content-type", b""),
        find(b"edge-cache", b""),
    )
    known = (_read_once if sum(map(len, said)) <= _MAX_CACHED else _read)(*said)
    if known.problem is not None:
        # An error must not outlive its use, nor be raised in two tasks.
        known = _read(*said)
    return msgspec.structs.replace(known, caller=caller)


def _read(
    method: str,
    target: bytes,
    accept: bytes,
    agent: bytes,
    tags: bytes,
    content_type: bytes,
    edge_cache: bytes,
) -> Call:
    """Return the Call of nobody that a request line and these fields make."""
    known = _line(method, target)
    forms = parse_accept(accept.decode("latin-1")) if accept else ()
    user_agent = agent.decode("latin-1")
    return msgspec.structs.replace(
        known,
        accept=forms,
        pretty=known.pretty or _is_for_people(known, forms, user_agent),
        if_none_match=_tags(tags),
        content_type=content_type.decode("latin-1"),
        user_agent=user_agent,
        component=component_of(user_agent),
        edge_cache=edge_cache.strip().lower() == b"true",
    )


_read_once = lru_cache(maxsize=1024)(_read)


def _is_for_people(call: Call, forms: tuple[Form, ...], user_agent: str) -> bool:
    """Say whether JSON goes to somebody's eyes: who asks so, and who reads by hand.

    The API server's rule: these agents get indents unless the query says `pretty`.
    """
    if b"pretty=" in call.target:
        return False
    by_hand = user_agent.startswith(("curl", "Wget", "Mozilla/5.0"))
    return by_hand or any(form.pretty for form in forms[:1])


def _tags(field: bytes) -> tuple[str, ...]:
    if not field:
        return ()
    return tuple(tag.strip() for tag in field.decode("latin-1").split(","))


_NOBODY = Caller(connection=0, local=("", 0), remote=("", 0))


def _line(method: str, target: bytes) -> Call:
    """Return the part of a Call that the request line decides."""
    raw_path, _, raw_query = target.partition(b"?")
    path = _decoded(raw_path)
    place = _place(path)
    if place is None:
        verb = method.lower()
        return Call(method=method, target=target, path=path, verb=verb, caller=_NOBODY)
    query = read_query(raw_query)
    verb = _verb(method, place, watches=is_true(query.get("watch")))
    call = Call(
        method=method,
        target=target,
        path=path,
        verb=verb,
        group=place.group,
        version=place.version,
        resource=place.resource,
        subresource=place.subresource,
        namespace=place.namespace,
        name=place.name,
        resource_version=query.get("resourceVersion"),
        dry_run=bool(query.get("dryRun")),
        include_object=query.get("includeObject", ""),
        pretty=is_true(query.get("pretty") or None),
        caller=_NOBODY,
    )
    if verb not in ("get", "list", "watch", "deletecollection"):
        return call
    try:
        if verb == "get":
            check_version(call.resource_version, lists=False)
            return call
        return _with_options(call, read_options(query, watches=verb == "watch"))
    except RequestError as exc:
        return msgspec.structs.replace(call, problem=exc.with_traceback(None))


def _decoded(raw_path: bytes) -> str:
    """Decode a path once; the gate has refused whatever a second time could change."""
    try:
        return unquote(raw_path.decode("ascii"), errors="strict")
    except UnicodeDecodeError as exc:
        raise RequestError(400, "BadRequest", "the path is not UTF-8") from exc


class _Place(NamedTuple):
    """What a resource path names."""

    prefix: str
    """watch or proxy where the path says so (legacy), else empty."""
    group: str
    version: str
    namespace: str
    resource: str
    name: str
    subresource: str


def _place(path: str) -> _Place | None:
    """Return what a path names, None where that is no resource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    prefix = ""
    if rest[0] in ("watch", "proxy"):
        prefix, rest = rest[0], rest[1:]
    if not rest:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACE:
        namespace, rest = rest[1], rest[2:]
    # A Namespace is an object without a namespace: RequestInfo gives it its own
    # name there, which would make two keys of one object.
    name = rest[1] if len(rest) > 1 else ""
    subresource = "" if prefix == "proxy" else "/".join(rest[2:])
    return _Place(prefix, group, version, namespace, rest[0], name, subresource)


_OF_NAMESPACE = frozenset({"status", "finalize"})


def _verb(method: str, place: _Place, *, watches: bool) -> str:
    if place.prefix:
        return place.prefix
    verb = _VERBS.get(method, method.lower())
    if place.name:
        return verb
    if verb == "get":
        return "watch" if watches else "list"
    return "deletecollection" if verb == "delete" else verb


def _with_options(call: Call, options: ListOptions) -> Call:
    chosen = msgspec.structs.asdict(options)
    if call.name:  # /watch/pods/x is a watch of pods where metadata.name=x
        selector = options.field_selector or picks_name(call.name)
        if pinned_name(selector) != call.name:
            problem = "fieldSelector metadata.name doesn't match requested name"
            raise RequestError(400, "BadRequest", problem)
        chosen |= {"name": "", "field_selector": selector}
    pinned = pinned_name(chosen["field_selector"])
    chosen["pinned_name"] = pinned if is_path_segment(pinned) else ""
    return msgspec.structs.replace(call, **chosen)
