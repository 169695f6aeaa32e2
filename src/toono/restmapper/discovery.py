# SPDX-License-Identifier: Apache-2.0
"""Discovery documents into values: aggregated (KEP-3352) and legacy.

One bad group, version or resource costs that one and no more; what cannot be read at
all raises BadDocumentError. Nothing here asks for a document or remembers one.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import msgspec

from toono.restmapper.errors import BadDocumentError
from toono.restmapper.values import (
    CORE,
    APIResource,
    GroupVersion,
    GroupVersionKind,
    Scope,
    Subresource,
    guess_plural,
)

AGGREGATED_KIND = "APIGroupDiscoveryList"
_OFFER = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
PLAIN = "application/json"
ACCEPT_AGGREGATED = f"{_OFFER.format('v2')},{_OFFER.format('v2beta1')},{PLAIN}"
"""v2beta1 has the same form and is all that servers 1.26 to 1.29 offer."""


class Form(Enum):
    """The form of a document."""

    AGGREGATED = "aggregated"
    LEGACY = "legacy"


class VersionDocument(msgspec.Struct, frozen=True):
    """One version of a group as a document tells it."""

    version: str
    resources: tuple[APIResource, ...] | None
    """None where the document only names the version, or could not be read."""
    problem: str = ""
    """Why the server, or we, cannot tell the resources."""


class GroupDocument(msgspec.Struct, frozen=True):
    """One group as a document tells it, the preferred version first."""

    name: str
    versions: tuple[VersionDocument, ...]


class Document(msgspec.Struct, frozen=True):
    """A document that was read: groups, or the resources of one group-version."""

    form: Form
    fingerprint: str
    etag: str
    groups: tuple[GroupDocument, ...] = ()
    media_type: str = PLAIN
    raw: bytes = b""


def fingerprint(etag: str, body: bytes) -> str:
    """What tells two documents of a path apart: the ETag, or a digest of the bytes."""
    return etag or hashlib.blake2b(body, digest_size=16).hexdigest()


def form_of(content_type: str) -> Form:
    """The form that a content type names; raises BadDocumentError for a foreign one.

    A server that cannot do the aggregated form answers plain JSON, and only the
    parameters g, v and as tell: the bare media type is the same (client-go checks
    them alike).
    """
    media_type, *rest = (part.strip() for part in content_type.split(";"))
    parameters = dict(part.partition("=")[::2] for part in rest)
    if media_type.lower() != PLAIN:
        raise BadDocumentError(f"content type is {content_type or 'missing'!r}")
    told = parameters.get("as"), parameters.get("g"), parameters.get("v")
    if told[0] is None:
        return Form.LEGACY
    kind, group, version = told
    ours = (kind, group) == (AGGREGATED_KIND, "apidiscovery.k8s.io")
    if ours and version in ("v2", "v2beta1"):
        return Form.AGGREGATED
    raise BadDocumentError(f"content type is {content_type!r}")


# -- the aggregated form ----------------------------------------------------------


class _Kind(msgspec.Struct):
    group: str = ""
    version: str = ""
    kind: str = ""


class _Sub(msgspec.Struct, rename="camel"):
    subresource: str
    response_kind: _Kind | None = None
    verbs: tuple[str, ...] | None = ()


class _Resource(msgspec.Struct, rename="camel"):
    resource: str
    response_kind: _Kind | None = None
    scope: str = ""
    singular_resource: str = ""
    verbs: tuple[str, ...] | None = ()
    short_names: tuple[str, ...] | None = ()
    categories: tuple[str, ...] | None = ()
    subresources: list[_Sub] | None = None


class _Version(msgspec.Struct):
    version: str
    resources: list[_Resource] | None = None
    freshness: str = "Current"


class _Name(msgspec.Struct):
    name: str = ""


class _Group(msgspec.Struct):
    versions: list[_Version]
    metadata: _Name = msgspec.field(default_factory=_Name)


class _LooseVersion(msgspec.Struct):
    version: str
    resources: list[msgspec.Raw] | None = None
    freshness: str = "Current"


class _LooseGroup(msgspec.Struct):
    versions: list[_LooseVersion]
    metadata: _Name = msgspec.field(default_factory=_Name)


class _Envelope(msgspec.Struct):
    kind: str = ""
    items: list[msgspec.Raw] | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_group = msgspec.json.Decoder(_Group)
_loose = msgspec.json.Decoder(_LooseGroup)
_resource = msgspec.json.Decoder(_Resource)
_SCOPES = {"Namespaced": Scope.NAMESPACED, "Cluster": Scope.CLUSTER}


class AggregatedReader:
    """Reads aggregated documents; groups whose bytes are as before are not read again.

    One reader serves one path: it remembers the groups of the newest document only.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Mapping[bytes, GroupDocument] = {}

    def read(self, body: bytes) -> tuple[GroupDocument, ...]:
        """The groups in order; raises BadDocumentError where there is no list."""
        try:
            envelope = _envelope.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise BadDocumentError(f"no aggregated document: {exc}") from exc
        if envelope.kind != AGGREGATED_KIND or not envelope.items:
            raise BadDocumentError(f"no groups in a {envelope.kind or 'nameless'} list")
        known: dict[bytes, GroupDocument] = {}
        for item in envelope.items:
            content = bytes(item)
            group = self._known.get(content) or _read_group(content)
            if group is not None:
                known[content] = group
        if not known:
            raise BadDocumentError("no group that can be read")
        self._known = known
        return tuple(known.values())


def _read_group(content: bytes) -> GroupDocument | None:
    try:
        group = _group.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        return _read_loose(content, str(exc))
    name = group.metadata.name
    versions = [
        _version(GroupVersion(name, each.version), each.resources, each.freshness)
        for each in group.versions
        if each.version
    ]
    return GroupDocument(name, tuple(versions))


def _read_loose(content: bytes, problem: str) -> GroupDocument | None:
    """What can be had of a group in which something is not as it should be."""
    try:
        group = _loose.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    name = group.metadata.name
    versions = []
    for each in group.versions:
        gv = GroupVersion(name, each.version)
        try:
            resources = [_resource.decode(raw) for raw in each.resources or ()]
        except (msgspec.DecodeError, UnicodeDecodeError):
            versions.append(VersionDocument(each.version, None, problem))
            continue
        versions.append(_version(gv, resources, each.freshness))
    return GroupDocument(name, tuple(versions))


def _version(
    gv: GroupVersion, resources: Sequence[_Resource] | None, freshness: str
) -> VersionDocument:
    if freshness == "Stale":
        return VersionDocument(
            gv.version, None, "the server says that what it knows is stale"
        )
    return VersionDocument(
        gv.version, tuple(_api_resource(gv, each) for each in resources or ())
    )


def _api_resource(gv: GroupVersion, told: _Resource) -> APIResource:
    kind = _kind(gv, told.response_kind)
    return APIResource(
        told.resource,
        told.singular_resource or guess_plural(kind.kind)[1] or told.resource,
        kind,
        _SCOPES.get(told.scope, Scope.UNKNOWN),
        told.verbs or (),
        told.short_names or (),
        told.categories or (),
        tuple(
            Subresource(
                each.subresource, _kind(gv, each.response_kind), each.verbs or ()
            )
            for each in told.subresources
        )
        if told.subresources
        else (),
    )


def _kind(gv: GroupVersion, told: _Kind | None) -> GroupVersionKind:
    """A blank group and version mean the enclosing group-version."""
    if told is None:
        return GroupVersionKind(gv.group, gv.version, "")
    if not told.group and not told.version:
        return GroupVersionKind(gv.group, gv.version, told.kind)
    return GroupVersionKind(told.group, told.version, told.kind)


# -- the legacy form --------------------------------------------------------------


class _GroupVersionEntry(msgspec.Struct, rename="camel"):
    group_version: str = ""
    version: str = ""


class _LegacyGroup(msgspec.Struct, rename="camel"):
    name: str = ""
    kind: str = ""
    versions: list[_GroupVersionEntry] | None = None
    preferred_version: _GroupVersionEntry | None = None


class _LegacyGroups(msgspec.Struct):
    kind: str = ""
    groups: list[msgspec.Raw] | None = None
    versions: list[str] | None = None


class _LegacyResource(msgspec.Struct, rename="camel"):
    name: str
    kind: str = ""
    singular_name: str = ""
    namespaced: bool = False
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] | None = ()
    short_names: tuple[str, ...] | None = ()
    categories: tuple[str, ...] | None = ()


class _LegacyResources(msgspec.Struct, rename="camel"):
    kind: str = ""
    group_version: str = ""
    resources: list[msgspec.Raw] | None = None


_legacy_groups = msgspec.json.Decoder(_LegacyGroups)
_legacy_group = msgspec.json.Decoder(_LegacyGroup)
_legacy_resources = msgspec.json.Decoder(_LegacyResources)
_legacy_resource = msgspec.json.Decoder(_LegacyResource)


def read_legacy_groups(body: bytes) -> tuple[GroupDocument, ...]:
    """The groups of an APIGroupList, or the core group of an APIVersions."""
    try:
        told = _legacy_groups.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadDocumentError(f"no list of groups: {exc}") from exc
    if told.kind == "APIVersions" and told.versions:
        versions = [VersionDocument(each, None) for each in told.versions if each]
        return (GroupDocument(CORE, tuple(versions)),)
    if told.kind != "APIGroupList" or not told.groups:
        raise BadDocumentError(f"no groups in a {told.kind or 'nameless'} document")
    groups = []
    for raw in told.groups:
        try:
            groups.append(read_legacy_group(bytes(raw)))
        except BadDocumentError:
            continue
    if not groups:
        raise BadDocumentError("no group that can be read")
    return tuple(groups)


def read_legacy_group(body: bytes) -> GroupDocument:
    """The group of an APIGroup, its preferred version first."""
    try:
        told = _legacy_group.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadDocumentError(f"no group: {exc}") from exc
    names = [each.version for each in told.versions or () if each.version]
    if not told.name or not names or told.kind not in ("", "APIGroup"):
        raise BadDocumentError(f"a group {told.name!r} without versions")
    preferred = told.preferred_version.version if told.preferred_version else ""
    names.sort(key=lambda version: version != preferred)
    return GroupDocument(
        told.name, tuple(VersionDocument(version, None) for version in names)
    )


def read_legacy_resources(gv: GroupVersion, body: bytes) -> tuple[APIResource, ...]:
    """The resources of an APIResourceList; raises where it is no such list."""
    try:
        told = _legacy_resources.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadDocumentError(f"no list of resources: {exc}") from exc
    if told.kind != "APIResourceList" or told.group_version not in ("", str(gv)):
        raise BadDocumentError(f"a {told.kind} of {told.group_version!r}, not of {gv}")
    rows = []
    for raw in told.resources or ():
        try:
            rows.append(_legacy_resource.decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return tuple(_with_subresources(gv, rows))


def _with_subresources(
    gv: GroupVersion, rows: Sequence[_LegacyResource]
) -> Iterable[APIResource]:
    """Rows "pods/status" become subresources of "pods", served or not."""
    below: dict[str, list[Subresource]] = {}
    for row in rows:
        parent, slash, name = row.name.partition("/")
        if slash:
            kind = _kind(gv, _Kind(row.group, row.version, row.kind))
            below.setdefault(parent, []).append(
                Subresource(name, kind, row.verbs or ())
            )
    for row in rows:
        if "/" not in row.name:
            yield _legacy_api_resource(gv, row, below.pop(row.name, ()))
    for parent, subresources in below.items():
        nothing = GroupVersionKind(gv.group, gv.version, "")
        yield APIResource(
            parent, parent, nothing, Scope.UNKNOWN, subresources=tuple(subresources)
        )


def _legacy_api_resource(
    gv: GroupVersion, row: _LegacyResource, subresources: Iterable[Subresource]
) -> APIResource:
    return APIResource(
        row.name,
        row.singular_name or guess_plural(row.kind)[1] or row.name,
        _kind(gv, _Kind(row.group, row.version, row.kind)),
        Scope.NAMESPACED if row.namespaced else Scope.CLUSTER,
        row.verbs or (),
        row.short_names or (),
        row.categories or (),
        tuple(subresources),
    )
