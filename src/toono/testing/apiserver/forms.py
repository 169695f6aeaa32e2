# SPDX-License-Identifier: Apache-2.0
"""In which form an answer is given: whole objects or their metadata alone, in JSON, CBOR
or protobuf.

A clause of Accept that asks for a media type or a form that this server does not make
is passed over for the next one, as the API server does; where none is left the answer
is 406.
"""

from toono.codec import cbor
from toono.codec.partial import MetaVersion
from toono.testing.apiserver.encodings import (
    CBOREncoding,
    Encoding,
    JSONEncoding,
    ProtobufEncoding,
)
from toono.testing.apiserver.query import Refusal
from toono.testing.apiserver.refusals import has_route, not_acceptable
from toono.testing.apiserver.resources import Resource
from toono.testing.apiserver.shapes import META, PARTIAL, Metadata, Shape, Whole
from toono.testing.apiserver.tables import TableEncoding

JSON_TYPES = frozenset({"*/*", "application/*", "application/json"})
META_VERSIONS: dict[str, MetaVersion] = {"v1": "v1", "v1beta1": "v1beta1"}
PROTOBUF = "application/vnd.kubernetes.protobuf"


def form_of(
    resource: Resource,
    accept: str,
    *,
    is_list: bool = False,
    is_watch: bool = False,
    include: str = "",
    now: float = 0.0,
) -> Encoding:
    """Return how an Accept wants its answer written; raises 406 where in no way.

    `is_list` and `is_watch` say what is asked for; else it is one object. Of a Table,
    `include` is its includeObject and `now` the time that ages are counted to.
    """
    streams = is_list or is_watch
    if not resource.custom and not has_route(accept or "*/*", streams=streams):
        raise not_acceptable(resource, accept, streams=streams)
    for clause in clauses(accept or "*/*"):
        encoding = _encoding(resource, clause["type"])
        if encoding is None:
            continue
        kind = clause.get("as", "")
        if not kind:
            return encoding(Whole(resource))
        version = META_VERSIONS.get(clause.get("v", ""))
        is_table = kind == "Table" and clause.get("g") == META
        if is_table and version and encoding is JSONEncoding:
            return TableEncoding(resource, version, include=include, now=now)
        known = clause.get("g") == META and kind in (PARTIAL, PARTIAL + "List")
        if known and version:
            return encoding(_metadata(resource, kind, version, is_list=is_list))
    raise not_acceptable(resource, accept, streams=streams)


def wants_protobuf(accept: str) -> bool:
    """Say whether a Status goes out in protobuf: it is what is wanted most."""
    for clause in clauses(accept):
        if clause["type"] == PROTOBUF:
            return True
        if clause["type"] in JSON_TYPES:
            return False
    return False


def _encoding(
    resource: Resource, media_type: str
) -> type[JSONEncoding] | type[CBOREncoding] | type[ProtobufEncoding] | None:
    if media_type in JSON_TYPES:
        return JSONEncoding
    if media_type == cbor.MEDIA_TYPE:
        return CBOREncoding
    if media_type == PROTOBUF and not resource.custom:
        return ProtobufEncoding
    return None


def _metadata(
    resource: Resource, kind: str, version: MetaVersion, *, is_list: bool
) -> Shape:
    if is_list and kind == PARTIAL:
        what = f"the requested object is a list ({_go_type(resource)}List)"
        raise _not_of_form(f"you requested {PARTIAL}, but {what}")
    if not is_list and kind != PARTIAL:
        what = f"the requested object is not a list ({_go_type(resource)})"
        raise _not_of_form(f"you requested {kind}, but {what}")
    return Metadata(resource, version)


def _not_of_form(message: str) -> Refusal:
    return Refusal(406, "NotAcceptable", message, pretty=True)


def _go_type(resource: Resource) -> str:
    """Of the objects within the API server."""
    if resource.custom:
        return "*unstructured.Unstructured"
    return f"*{resource.group.partition('.')[0] or 'core'}.{resource.kind}"


def clauses(accept: str) -> list[dict[str, str]]:
    """Return the clauses of an Accept, the most wanted first, equals in their order."""
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
