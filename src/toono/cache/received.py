# SPDX-License-Identifier: Apache-2.0
"""What came from the cloud, looked at before anything is made of it: which question it
answers, in which form, how large it is, and whether its objects are those asked for."""

import zlib
from collections.abc import Mapping

import msgspec

from toono.cache.forms import JSON, PROTOBUF, TABLE, form_of
from toono.cache.scope import Question
from toono.codec.base import Object
from toono.errors import CodecError
from toono.kube.request import Call

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of a list that is kept; larger ones pass and are not."""
MAX_OBJECT_BYTES = 3 * 1024 * 1024
"""The API server takes no larger object (its limit on a request's body)."""
NO_DIRECTORIES = (".", "..")
NO_NAMES = ("", *NO_DIRECTORIES)


def question_of(call: Call, form: str) -> Question:
    """Return the question that `call` asks; list and watch ask the same one."""
    single = call.verb not in ("list", "watch", "deletecollection")
    return Question(
        call.component,
        call.group,
        call.version,
        call.resource,
        call.namespace,
        call.name if single else "",
        "" if single else call.label_selector,
        "" if single else call.field_selector,
        form,
    )


def expected_form(call: Call) -> str:
    """Return the form that the first clause of Accept will bring."""
    if not call.accept:
        return JSON
    first = call.accept[0]
    if asks_objects(call):
        return JSON
    media_type = PROTOBUF if first.media_type == PROTOBUF else JSON
    return form_of(media_type, first.as_kind)


def asks_objects(call: Call) -> bool:
    """Say whether a Table is asked for whose rows hold whole objects.

    `kubectl get --sort-by` asks so: it sorts by fields that no column shows.
    """
    table = bool(call.accept) and call.accept[0].as_kind == TABLE
    return table and call.include_object == "Object"


def fits(item: Object, *, namespace: str, name: str) -> bool:
    """Say whether an object is one that was asked for, and can be kept by its name."""
    return (
        item.name not in NO_NAMES
        and item.namespace not in NO_DIRECTORIES
        and "/" not in item.name
        and "/" not in item.namespace
        and "\0" not in item.name
        and "\0" not in item.namespace
        and (not namespace or item.namespace in (namespace, ""))
        and (not name or item.name == name)
        and len(item.data) <= MAX_OBJECT_BYTES
    )


def media_type_of(fields: Mapping[bytes, bytes]) -> str:
    """Return the bare media type of an answer, lower-case."""
    content_type = fields.get(b"content-type", b"").decode("latin-1")
    return content_type.partition(";")[0].strip().lower()


def compacted(body: bytes) -> bytes:
    """Return JSON that was written for people as it is written for programs.

    API servers indent what they have encoded: every byte that is no space stays.
    """
    if not body.startswith(b"{\n"):
        return body
    try:
        return msgspec.json.format(body, indent=-1) + b"\n"
    except msgspec.DecodeError as exc:
        raise CodecError("indented JSON that is none") from exc


def unpacked(
    body: bytes, fields: Mapping[bytes, bytes], *, limit: int = MAX_BODY_BYTES
) -> bytes:
    """Return the body without its content coding, bounded like one without."""
    coding = fields.get(b"content-encoding", b"").strip().lower()
    if coding in (b"", b"identity"):
        return body
    if coding != b"gzip":
        raise CodecError(f"content coding {coding!r} is not kept")
    pieces: list[bytes] = []
    rest, size = body, 0
    try:
        while rest:  # RFC 1952, 2.2: a gzip file is a series of members
            member = zlib.decompressobj(wbits=31)
            pieces.append(member.decompress(rest, limit - size + 1))
            size += len(pieces[-1])
            if size > limit:
                raise CodecError(f"body unpacks to more than {limit} bytes")
            if not member.eof:
                raise CodecError("body ends within its gzip coding")
            rest = member.unused_data
    except zlib.error as exc:
        raise CodecError("body is not gzip") from exc
    return b"".join(pieces)
