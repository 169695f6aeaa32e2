# SPDX-License-Identifier: Apache-2.0
"""Discovery answered out of what is known, for a proxy whose upstream is cut off.

The upstream's own bytes and ETag where the client asks for the form that was kept, so
that conditional requests go on working; else the other form, made from the snapshot.
What is not known is not answered: whether a group exists is the servers' to say.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from toono.restmapper import forms
from toono.restmapper.discovery import AGGREGATED_KIND
from toono.restmapper.fetch import Page
from toono.restmapper.ledger import Ledger
from toono.restmapper.snapshot import Snapshot
from toono.restmapper.values import CORE, ROOTS, GroupVersion, root_of

JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"


class Offer(NamedTuple):
    """What a client can read, and what it has."""

    accept: str = ""
    if_none_match: str = ""


class Served(NamedTuple):
    """An answer to GET; for HEAD send it without its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Form(NamedTuple):
    """One representation of a document."""

    media_type: str
    aggregated: str = ""
    """The version of apidiscovery.k8s.io, "" for the legacy form."""

    @property
    def content_type(self) -> str:
        if not self.aggregated:
            return self.media_type
        parameters = f"g=apidiscovery.k8s.io;v={self.aggregated};as={AGGREGATED_KIND}"
        return f"{self.media_type};{parameters}"


def serve(ledger: Ledger, version: bytes, target: str, offer: Offer) -> Served | None:
    """Answer a path of discovery; None for other paths and for what is not known."""
    path = target.partition("?")[0].rstrip("/")
    if path == "/version":
        return _sized(version, JSON) if version else None
    parts = path.split("/")[1:]
    if path in ROOTS:
        return _root(ledger, path, offer)
    if len(parts) == 2 and parts[0] == "api":
        return _version(ledger.snapshot, GroupVersion(CORE, parts[1]), offer)
    if len(parts) == 2 and parts[0] == "apis":
        return _group(ledger.snapshot, parts[1], offer)
    if len(parts) == 3 and parts[0] == "apis":
        return _version(ledger.snapshot, GroupVersion(parts[1], parts[2]), offer)
    return None


def _root(ledger: Ledger, root: str, offer: Offer) -> Served | None:
    groups = [name for name in ledger.snapshot.groups if root_of(name) == root]
    if not groups:
        return None
    form = choose(offer.accept, aggregated=True)
    if form is None:
        return _not_acceptable()
    etag, body = _kept(ledger, root, form)
    if not body:
        body = _made(ledger.snapshot, root, groups, form)
        if form.aggregated:
            etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    headers = {"content-type": form.content_type, "vary": "Accept"}
    if etag:
        headers |= {"etag": etag, "cache-control": "public"}
    if etag and offer.if_none_match == etag:
        return Served(304, headers, b"")
    return Served(200, headers, body)


def _kept(ledger: Ledger, root: str, form: Form) -> tuple[str, bytes]:
    """The upstream's document, if it has the form and tells all that is known."""
    state = ledger.page(Page(root))
    document = state.document
    told = Form(form.media_type, form.aggregated).content_type
    if document is None or document.media_type.replace(" ", "") != told:
        return "", b""
    incomplete = state.skewed or any(
        version.problem for group in document.groups for version in group.versions
    )
    if incomplete or ledger.pending(root):
        return "", b""
    return document.etag, document.raw


def _made(snapshot: Snapshot, root: str, groups: list[str], form: Form) -> bytes:
    if form.aggregated:
        told = forms.aggregated(snapshot, groups, form.aggregated)
    elif root == ROOTS[0]:
        told = forms.core_versions(snapshot)
    else:
        told = forms.group_list(snapshot, groups)
    return _encoded(told, form)


def _group(snapshot: Snapshot, group: str, offer: Offer) -> Served | None:
    if group not in snapshot.groups:
        return None
    return _legacy(offer, lambda: forms.group(snapshot, group))


def _version(snapshot: Snapshot, gv: GroupVersion, offer: Offer) -> Served | None:
    record = snapshot.records.get(gv)
    if record is None or not (record.resources or not record.error):
        return None
    return _legacy(offer, lambda: forms.resource_list(record))


def _legacy(offer: Offer, make: Callable[[], forms.Told]) -> Served:
    form = choose(offer.accept, aggregated=False)
    if form is None:
        return _not_acceptable()
    return _sized(_encoded(make(), form), form.content_type)


def _encoded(told: forms.Told, form: Form) -> bytes:
    if form.media_type == PROTOBUF:
        return told.protobuf()
    return msgspec.json.encode(told.json) + b"\n"


def _sized(body: bytes, content_type: str) -> Served:
    headers = {"content-type": content_type, "cache-control": "no-cache, private"}
    return Served(200, headers, body)


def _not_acceptable() -> Served:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"only the following media types are accepted: {JSON}, {PROTOBUF}",
        "reason": "NotAcceptable",
        "code": 406,
    }
    return Served(406, {"content-type": JSON}, msgspec.json.encode(status))


def choose(accept: str, *, aggregated: bool) -> Form | None:
    """The first clause of an Accept header that can be answered; None if none can.

    As kube-apiserver: clauses count in their order, whatever their q; parameters
    that are not known are ignored, and an unknown `as` makes a clause unusable.
    """
    for clause in accept.split(",") if accept.strip() else ["*/*"]:
        media_type, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        if media_type in ("*/*", "application/*"):
            media_type = JSON
        if media_type not in (JSON, PROTOBUF):
            continue
        kind = parameters.get("as", "")
        if not kind:
            return Form(media_type)
        known = parameters.get("g") == "apidiscovery.k8s.io" and kind == AGGREGATED_KIND
        version = parameters.get("v", "")
        if aggregated and known and version in ("v2", "v2beta1"):
            return Form(media_type, version)
    return None
