# SPDX-License-Identifier: Apache-2.0
"""What of an object an answer holds, as JSON values: all of it, or its metadata."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from toono.codec.partial import MetaVersion
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.resources import Resource, in_version, ordered_metadata

META = "meta.k8s.io"
PARTIAL = "PartialObjectMetadata"


class Shape(Protocol):
    """How objects of one resource are told."""

    @property
    def kind(self) -> str: ...

    @property
    def api_version(self) -> str: ...

    @property
    def resource(self) -> Resource: ...

    def one(self, content: JSON) -> JSON:
        """Return an object as GET and a watch's frame give it."""
        ...

    def bookmark(self, meta: JSON) -> JSON:
        """Return the object of a bookmark."""
        ...

    def listed(self, contents: list[JSON], meta: JSON) -> JSON:
        """Return the document of a list."""
        ...


class Whole:
    """Objects as they are."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.kind, self.api_version = resource.kind, resource.api_version

    def one(self, content: JSON) -> JSON:
        return in_version(self.resource, content)

    def bookmark(self, meta: JSON) -> JSON:
        resource = self.resource
        head: JSON = {"kind": resource.kind, "apiVersion": resource.api_version}
        if resource.custom:
            return dict(sorted(head.items())) | {"metadata": dict(sorted(meta.items()))}
        return head | {"metadata": meta} | resource.zero

    def listed(self, contents: list[JSON], meta: JSON) -> JSON:
        """Items of built-in kinds carry no type of their own; custom ones do."""
        resource = self.resource
        head = {"kind": resource.list_kind, "apiVersion": resource.api_version}
        if resource.custom:
            items = [in_version(resource, each) for each in contents]
            meta = {"continue": "", **meta}
            whole = {**head, "items": items, "metadata": dict(sorted(meta.items()))}
            return dict(sorted(whole.items()))
        items = [untyped(each) for each in contents]
        return {**head, "metadata": meta, "items": items}


@dataclass(frozen=True, slots=True)
class Metadata:
    """Objects' metadata alone (KEP-1693), in meta.k8s.io `version`."""

    resource: Resource
    version: MetaVersion
    kind: ClassVar[str] = PARTIAL

    @property
    def api_version(self) -> str:
        return f"{META}/{self.version}"

    def one(self, content: JSON) -> JSON:
        return self._typed({"metadata": ordered_metadata(content["metadata"])})

    def bookmark(self, meta: JSON) -> JSON:
        return self._typed({"metadata": meta})

    def listed(self, contents: list[JSON], meta: JSON) -> JSON:
        """An empty list has null for items, in this form alone."""
        items = [self.one(each) for each in contents]
        head = {"kind": PARTIAL + "List", "apiVersion": self.api_version}
        return {**head, "metadata": meta, "items": items or None}

    def _typed(self, content: JSON) -> JSON:
        return {"kind": PARTIAL, "apiVersion": self.api_version, **content}


def untyped(content: JSON) -> JSON:
    """Return an object without its kind and version."""
    return {k: v for k, v in content.items() if k not in ("kind", "apiVersion")}
