# SPDX-License-Identifier: Apache-2.0
"""In which form an answer is given: whole objects, or their metadata alone.

Every form is JSON here. A clause of Accept that asks for another media type, or for a
form that this server does not make, is passed over for the next one, as the API server
does; where none is left the answer is 406.
"""

from dataclasses import dataclass
from typing import Protocol

from toono.testing.apiserver.query import JSON, Refusal
from toono.testing.apiserver.refusals import not_acceptable
from toono.testing.apiserver.resources import Resource, in_version, ordered_metadata
from toono.testing.apiserver.storage import encode

META = "meta.k8s.io"
PARTIAL = "PartialObjectMetadata"


class Form(Protocol):
    """How objects of one resource are written."""

    def one(self, content: JSON) -> JSON:
        """Return an object as GET and a watch's frame give it."""
        ...

    def bookmark(self, meta: JSON) -> JSON:
        """Return the object of a bookmark."""
        ...

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        """Return the document of a list."""
        ...


class Whole:
    """Objects as they are."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def one(self, content: JSON) -> JSON:
        return in_version(self._resource, content)

    def bookmark(self, meta: JSON) -> JSON:
        resource = self._resource
        head: JSON = {"kind": resource.kind, "apiVersion": resource.api_version}
        if resource.custom:
            return dict(sorted(head.items())) | {"metadata": dict(sorted(meta.items()))}
        return head | {"metadata": meta} | resource.zero

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        """Items of built-in kinds carry no type of their own; custom ones do."""
        resource = self._resource
        head = {"kind": resource.list_kind, "apiVersion": resource.api_version}
        if resource.custom:
            items = [in_version(resource, each) for each in contents]
            meta = {"continue": "", **meta}
            whole = {**head, "items": items, "metadata": dict(sorted(meta.items()))}
            return encode(dict(sorted(whole.items()))) + b"\n"
        items = [_untyped(each) for each in contents]
        return encode({**head, "metadata": meta, "items": items}) + b"\n"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Objects' metadata alone (KEP-1693), in meta.k8s.io `version`."""

    resource: Resource
    version: str

    def one(self, content: JSON) -> JSON:
        return self._typed({"metadata": ordered_metadata(content["metadata"])})

    def bookmark(self, meta: JSON) -> JSON:
        return self._typed({"metadata": meta})

    def listed(self, contents: list[JSON], meta: JSON) -> bytes:
        items = [self.one(each) for each in contents]
        head = {"kind": PARTIAL + "List", "apiVersion": f"{META}/{self.version}"}
        return encode({**head, "metadata": meta, "items": items}) + b"\n"

    def _typed(self, content: JSON) -> JSON:
        return {"kind": PARTIAL, "apiVersion": f"{META}/{self.version}", **content}


def form_of(
    resource: Resource, accept: str, *, is_list: bool = False, is_watch: bool = False
) -> Form:
    """Return the form that an Accept asks for; raises 406 where there is none.

    `is_list` and `is_watch` say what is asked for; else it is one object.
    """
    for clause in _clauses(accept or "*/*"):
        kind = clause.get("as", "")
        if clause["type"] not in ("*/*", "application/*", "application/json"):
            continue
        if not kind:
            return Whole(resource)
        known = clause.get("g") == META and clause.get("v") in ("v1", "v1beta1")
        if known and kind in (PARTIAL, PARTIAL + "List"):
            return _metadata(resource, kind, clause["v"], is_list=is_list)
    raise not_acceptable(resource, accept, streams=is_list or is_watch)


def _metadata(
    resource: Resource, kind: str, version: str, *, is_list: bool
) -> Metadata:
    if is_list and kind == PARTIAL:
        what = f"the requested object is a list ({resource.list_kind})"
        raise Refusal(406, "NotAcceptable", f"you requested {PARTIAL}, but {what}")
    if not is_list and kind != PARTIAL:
        what = f"the requested object is not a list ({resource.kind})"
        raise Refusal(406, "NotAcceptable", f"you requested {kind}, but {what}")
    return Metadata(resource, version)


def _clauses(accept: str) -> list[dict[str, str]]:
    """Return the clauses, the most wanted first, equals in their order."""
    found = []
    for text in accept.split(","):
        media_type, *parameters = (part.strip() for part in text.split(";"))
        clause = {"type": media_type}
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            clause[name.strip()] = value.strip()
        found.append(clause)
    return sorted(found, key=lambda clause: -_quality(clause.get("q", "1")))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def _untyped(content: JSON) -> JSON:
    return {k: v for k, v in content.items() if k not in ("kind", "apiVersion")}
