# SPDX-License-Identifier: Apache-2.0
"""PartialObjectMetadata: an object's metadata cut out, and put into its own answers.

What is cut is itself a stored form (`{"metadata":...}`, or field 1 alone in protobuf),
so rows of metadata-only scopes and rows derived from full objects are the same bytes.
To go from JSON to protobuf or back, transcode that form as the built-in kind that it
is; nothing here decodes more than the metadata of a custom resource, whose keys the
API server puts in another order.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from toono.codec.base import Codec, Style
from toono.codec.json import JSONCodec
from toono.codec.json_strict import read
from toono.codec.page import Page, page_json, page_protobuf
from toono.codec.protobuf import ProtobufCodec
from toono.codec.wireformat import (
    encode_bytes,
    encode_head,
    tag_of,
    walk,
)
from toono.errors import CodecError

MetaVersion = Literal["v1", "v1beta1"]
KIND = "PartialObjectMetadata"
LIST_KIND = "PartialObjectMetadataList"

_JSON, _PROTOBUF = JSONCodec(), ProtobufCodec()
_CODECS: Mapping[str, Codec] = {
    _JSON.media_type: _JSON,
    _PROTOBUF.media_type: _PROTOBUF,
}


def api_version_of(version: MetaVersion) -> str:
    """Return the apiVersion that answers in this version carry."""
    return f"meta.k8s.io/{version}"


def cut_metadata(data: bytes, *, media_type: str, style: Style = "typed") -> bytes:
    """Return the stored form of the PartialObjectMetadata of a stored object.

    CodecError where it has none.
    """
    if media_type == _PROTOBUF.media_type:
        return encode_bytes(1, _field(data))
    return b'{"metadata":%b}' % json_metadata(data, style=style)


def json_metadata(data: bytes, *, style: Style) -> bytes:
    """Return metadata as a typed answer has it, from a stored object in JSON."""
    raw = bytes(read(_decode_object, data).metadata)
    if style == "typed":
        if not raw.startswith(b"{"):
            raise CodecError("metadata that is no object")
        return raw
    meta = read(_decode_meta, raw)
    for name in _OMITTED_EMPTY:
        if (value := getattr(meta, name)) is not UNSET and bytes(value) in _EMPTY:
            setattr(meta, name, UNSET)
    meta.owner_references = meta.owner_references or UNSET
    meta.managed_fields = meta.managed_fields or UNSET
    return msgspec.json.encode(meta)


def write_partial(data: bytes, *, media_type: str, version: MetaVersion) -> bytes:
    """Return the answer to a GET for metadata that was cut."""
    return _CODECS[media_type].write_single(
        kind=KIND, api_version=api_version_of(version), style="typed", data=data
    )


def join_partial_list(
    items: Iterable[bytes], page: Page, *, media_type: str, version: MetaVersion
) -> list[bytes]:
    """Return pieces that join to the answer to a LIST, from metadata that was cut."""
    api_version = api_version_of(version)
    if media_type == _PROTOBUF.media_type:
        content = [encode_bytes(1, page_protobuf(page))]
        for item in items:
            content += (encode_head(2, len(item)), item)
        return [
            _PROTOBUF.write_single(
                kind=LIST_KIND,
                api_version=api_version,
                style="typed",
                data=b"".join(content),
            )
        ]
    of_item = f'{{"kind":"{KIND}","apiVersion":"{api_version}",'.encode()
    head = f'{{"kind":"{LIST_KIND}","apiVersion":"{api_version}","metadata":'.encode()
    body = b",".join(of_item + item[1:] for item in items)
    if not body:  # Go's nil slice, to which items would have been appended
        return [head, page_json(page), b',"items":null}\n']
    return [head, page_json(page), b',"items":[', body, b"]}\n"]


def write_partial_event(
    data: bytes, *, event_type: str, media_type: str, version: MetaVersion
) -> bytes:
    """Return the watch frame of an event for metadata that was cut."""
    return _CODECS[media_type].write_event(
        event_type=event_type,
        kind=KIND,
        api_version=api_version_of(version),
        style="typed",
        data=data,
    )


def write_partial_bookmark(
    resource_version: str,
    *,
    initial_events_end: bool,
    media_type: str,
    version: MetaVersion,
) -> bytes:
    """Return the watch frame of a bookmark."""
    return _CODECS[media_type].write_bookmark(
        kind=KIND,
        api_version=api_version_of(version),
        style="typed",
        resource_version=resource_version,
        initial_events_end=initial_events_end,
    )


def _field(data: bytes) -> bytes:
    """Return the content of field 1, which every object's metadata is."""
    found = [data[a:b] for tag, a, b in walk(data, 0, len(data)) if tag == tag_of(1)]
    if len(found) != 1:
        raise CodecError(f"an object with {len(found)} metadata")
    return found[0]


_EMPTY = frozenset({b"null", b'""', b"{}", b"[]", b"0"})
_OMITTED_EMPTY = (
    "name",
    "generate_name",
    "namespace",
    "self_link",
    "uid",
    "resource_version",
    "generation",
    "creation_timestamp",
    "labels",
    "annotations",
    "finalizers",
)


class _Owner(msgspec.Struct, rename="camel"):
    """In the order of the API server's own types; so are those below."""

    api_version: Raw | UnsetType = UNSET
    kind: Raw | UnsetType = UNSET
    name: Raw | UnsetType = UNSET
    uid: Raw | UnsetType = UNSET
    controller: Raw | UnsetType = UNSET
    block_owner_deletion: Raw | UnsetType = UNSET


class _ManagedFields(msgspec.Struct, rename="camel"):
    manager: Raw | UnsetType = UNSET
    operation: Raw | UnsetType = UNSET
    api_version: Raw | UnsetType = UNSET
    time: Raw | UnsetType = UNSET
    fields_type: Raw | UnsetType = UNSET
    fields_v1: Raw | UnsetType = msgspec.field(default=UNSET, name="fieldsV1")
    subresource: Raw | UnsetType = UNSET


class _Meta(msgspec.Struct, rename="camel"):
    name: Raw | UnsetType = UNSET
    generate_name: Raw | UnsetType = UNSET
    namespace: Raw | UnsetType = UNSET
    self_link: Raw | UnsetType = UNSET
    uid: Raw | UnsetType = UNSET
    resource_version: Raw | UnsetType = UNSET
    generation: Raw | UnsetType = UNSET
    creation_timestamp: Raw | UnsetType = UNSET
    deletion_timestamp: Raw | UnsetType = UNSET
    deletion_grace_period_seconds: Raw | UnsetType = UNSET
    labels: Raw | UnsetType = UNSET
    annotations: Raw | UnsetType = UNSET
    owner_references: list[_Owner] | UnsetType | None = UNSET
    finalizers: Raw | UnsetType = UNSET
    managed_fields: list[_ManagedFields] | UnsetType | None = UNSET


class _Object(msgspec.Struct):
    metadata: Raw


_decode_object = msgspec.json.Decoder(_Object).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
