# SPDX-License-Identifier: Apache-2.0
"""An object as a client sends it: read as JSON values, and answered in another form.

What is sent has no version and sometimes no name, so it is no `Single`. It is decoded
whole: only the few writes that the hub answers by itself come here, one at a time.
"""

from typing import Any

import msgspec

from toono.codec import transcode
from toono.codec.json import JSONCodec
from toono.codec.json_strict import check, read
from toono.codec.protobuf import ProtobufCodec, unwrap

Values = dict[str, Any]
"""A JSON object, with kind and apiVersion."""

JSON, PROTOBUF = JSONCodec.media_type, ProtobufCodec.media_type
FORMS = (JSON, PROTOBUF)
_decode = msgspec.json.Decoder(Values).decode
_encode = msgspec.json.Encoder().encode


def read_sent(body: bytes, content_type: str) -> Values:
    """Return an object's JSON values; CodecError where it is none."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == PROTOBUF:
        kind, api_version, data = unwrap(body)
        content = transcode.to_json(data, kind=kind, api_version=api_version)
        return {"kind": kind, "apiVersion": api_version, **_decode(content)}
    return read_values(body)


def read_values(body: bytes) -> Values:
    """Return the values of a JSON object; CodecError where it is none."""
    check(body)
    return read(_decode, body)


def write_sent(values: Values, media_type: str) -> bytes:
    """Return an object in a form; CannotTranscodeError where it has none there."""
    if media_type != PROTOBUF:
        return _encode(values) + b"\n"
    rest = {key: values[key] for key in values if key not in ("kind", "apiVersion")}
    kind, api_version = str(values.get("kind")), str(values.get("apiVersion"))
    data = transcode.to_protobuf(_encode(rest), kind=kind, api_version=api_version)
    return ProtobufCodec().write_single(
        kind=kind, api_version=api_version, style="typed", data=data
    )


def text_in(values: object, *path: str) -> str:
    """Return the text at a path, "" where there is none."""
    for step in path:
        values = values.get(step) if isinstance(values, dict) else None
    return values if isinstance(values, str) else ""


def merged(values: object, patch: object) -> Any:
    """Return `values` with a merge patch in it (RFC 7396).

    Of what a recorder of events patches (numbers, texts, times, one map) a strategic
    merge makes the same.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(values) if isinstance(values, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def paths_of(patch: object, prefix: str = "") -> frozenset[str]:
    """Return what a merge patch sets, as paths: the later of two that set the same
    is worth both."""
    if not isinstance(patch, dict) or not patch:
        return frozenset({prefix})
    found = (paths_of(value, f"{prefix}/{key}") for key, value in patch.items())
    return frozenset().union(*found)
