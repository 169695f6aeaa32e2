# SPDX-License-Identifier: Apache-2.0
"""Any built-in object from protobuf to JSON and back, in its stored form (`base`).

What comes out is what the API server itself (Kubernetes 1.34) answers when it is asked
for the same object in the other form, byte for byte: both formats are views of one Go
struct, and this module keeps to what encoding/json and gogo protobuf do with it. So
what a Go struct cannot tell apart becomes one: an empty list and null, a field left
out and one that is zero, the order of keys.

What has no place in the other format never gets lost: an object with a field that
the schema does not know (from a newer API server, or of a type or in an order that no
API server writes) is refused as a whole with CannotTranscodeError. The caller keeps
it in the form it has, where unknown fields survive since nobody decodes it, and
answers 406 or 503 to those who ask for another form.

Raw JSON in an object (managedFields, ControllerRevisions, defaults in schemas) keeps
its text but for white space and the escapes of <, > and &.

Lists and watch events are taken apart and joined by the codecs, object by object.
"""

import msgspec

from toono.codec import transcode_forms as forms
from toono.codec.json_strict import check
from toono.codec.json_strict import read as strictly
from toono.codec.schema import message_of
from toono.codec.transcode_read import read
from toono.codec.transcode_write import write
from toono.errors import CannotTranscodeError, CodecError


def can_transcode(*, kind: str, api_version: str) -> bool:
    """Say whether objects of a kind have both forms; custom resources have not."""
    return _find(kind, api_version) is not None


def to_json(data: bytes, *, kind: str, api_version: str) -> bytes:
    """Return the stored JSON form of a stored protobuf form.

    CannotTranscodeError where it would lose something or is no such object.
    """
    message = _message(kind, api_version)
    try:
        return _encode(read(message, data, 0, len(data), 0))
    except CodecError as exc:
        raise CannotTranscodeError(kind, api_version, str(exc)) from exc


def to_protobuf(data: bytes, *, kind: str, api_version: str) -> bytes:
    """Return the stored protobuf form of a stored JSON form.

    CannotTranscodeError where it would lose something or is no such object.
    """
    message = _message(kind, api_version)
    try:
        check(data)
        return write(message, strictly(forms.decoder_of(message).decode, data), 0)
    except CodecError as exc:
        raise CannotTranscodeError(kind, api_version, str(exc)) from exc


_JSON_ONLY = frozenset({"meta.v1.Table"})
"""The schema has the kind; Kubernetes has no protobuf for it."""
_META_V1, _META_V1BETA1 = "meta.k8s.io/v1", "meta.k8s.io/v1beta1"
"""Both versions of metadata-only objects are one Go type."""
# Go escapes these in strings, in raw JSON too; nowhere else can they stand.
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
_encoder = msgspec.json.Encoder(order="deterministic")  # maps by sorted keys


def _find(kind: str, api_version: str) -> str | None:
    """Return the message of a kind, None where it has one form only."""
    if api_version == _META_V1BETA1:
        api_version = _META_V1
    message = message_of(kind, api_version)
    return None if message in _JSON_ONLY else message


def _message(kind: str, api_version: str) -> str:
    message = _find(kind, api_version)
    if message is None:
        raise CannotTranscodeError(kind, api_version, "the kind has one form only")
    return message


def _encode(value: msgspec.Struct) -> bytes:
    encoded = _encoder.encode(value)
    for plain, escaped in _ESCAPES:
        if plain[:1] in encoded:  # one byte is found six times as fast as three
            encoded = encoded.replace(plain, escaped)
    return encoded
