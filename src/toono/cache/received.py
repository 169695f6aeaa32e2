# SPDX-License-Identifier: Apache-2.0
"""What came from the cloud, looked at before anything is made of it: which question it
answers, in which form, how large it is, and whether its objects are those asked for."""

from collections.abc import Mapping, Sequence

import msgspec

from toono.cache.forms import JSON, PROTOBUF, TABLE, form_of
from toono.cache.scope import Question
from toono.codec.base import Object
from toono.errors import CodecError
from toono.kube.request import Call

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


def all_fit(items: Sequence[Object], namespace: str) -> bool:
    """Say whether a list's objects are what was asked for, each there once."""
    names = {(item.namespace, item.name) for item in items}
    return len(names) == len(items) and all(
        fits(item, namespace=namespace, name="") for item in items
    )


def is_last(verb: str, item: Object) -> bool:
    """Say whether the answer to a write tells the last of an object.

    Some kinds (pods, services) answer a DELETE with what is gone at that very version,
    never marked, or due. So does the update that takes the last finalizer.
    """
    return item.ended or (verb == "delete" and not item.deleting)


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
