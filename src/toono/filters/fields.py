# SPDX-License-Identifier: Apache-2.0
"""Single fields of one message read and replaced, in JSON and in protobuf alike.

A filter is written once over these operations, so that both forms of an object change
in the same way. Whatever is not named stays byte for byte, what is unknown too. No
schema is read: each filter names the few fields it touches, by name and number. What
is no such message raises CodecError; a filter's caller then leaves the object alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Raw

from toono.codec.json_strict import read
from toono.codec.wireformat import (
    encode_bytes,
    encode_number,
    encode_text,
    tag_of,
    text,
    walk,
)
from toono.errors import CodecError


class Field(NamedTuple):
    """One field, under the names that it has in both forms."""

    name: str
    number: int
    follows: tuple[str, ...] = ()
    """The fields that stand before it in JSON, where it may have to be put in."""
    optional: bool = False
    """Of a list: JSON leaves it out when it is empty."""


class Fields(Protocol):
    """What can be done with the bytes of one message."""

    empty: bytes
    """A message without any field."""

    def text(self, data: bytes, field: Field) -> str:
        """Return a string, "" where it is unset."""
        ...

    def texts(self, data: bytes, field: Field) -> Sequence[str]:
        """Return a list of strings."""
        ...

    def inner(self, data: bytes, field: Field) -> bytes | None:
        """Return a message within, None where it is unset."""
        ...

    def each(self, data: bytes, field: Field) -> Sequence[bytes]:
        """Return the messages of a repeated field."""
        ...

    def entries(self, data: bytes, field: Field) -> Mapping[str, str]:
        """Return a map from strings to strings."""
        ...

    def put_text(self, data: bytes, field: Field, value: str) -> bytes:
        """Return the message with a string set."""
        ...

    def put_texts(self, data: bytes, field: Field, values: Sequence[str]) -> bytes:
        """Return the message with a list of strings set."""
        ...

    def put_number(self, data: bytes, field: Field, value: int) -> bytes:
        """Return the message with an integer set."""
        ...

    def put_flag(self, data: bytes, field: Field, *, value: bool) -> bytes:
        """Return the message with a boolean set."""
        ...

    def put_inner(self, data: bytes, field: Field, value: bytes) -> bytes:
        """Return the message with a message within it set."""
        ...

    def put_each(self, data: bytes, field: Field, values: Sequence[bytes]) -> bytes:
        """Return the message with a list of messages set."""
        ...

    def put_entry(self, data: bytes, field: Field, key: str, value: str) -> bytes:
        """Return the message with a key of its map set; new ones go in by order."""
        ...


def change_inner(
    fields: Fields, data: bytes, field: Field, change: Callable[[bytes], bytes]
) -> bytes:
    """Return the message with one within it changed; the same where nothing is."""
    found = fields.inner(data, field)
    if found is None:
        return data
    changed = change(found)
    return data if changed is found else fields.put_inner(data, field, changed)


def change_each(
    fields: Fields,
    data: bytes,
    field: Field,
    change: Callable[[bytes], bytes | None],
) -> bytes:
    """Return the message with those in a list changed, without those that are None."""
    before = fields.each(data, field)
    after = [one for one in map(change, before) if one is not None]
    if len(after) == len(before) and all(map(_is, before, after)):
        return data
    return fields.put_each(data, field, after)


def _is(one: object, other: object) -> bool:
    return one is other


_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str | None).decode
_decode_texts = msgspec.json.Decoder(list[str] | None).decode
_decode_list = msgspec.json.Decoder(list[Raw] | None).decode
_decode_map = msgspec.json.Decoder(dict[str, str] | None).decode
_encode = msgspec.json.encode
_NULL = b"null"
# Go's encoder escapes these in strings; nowhere else in JSON can they stand.
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


class JSONFields:
    """Objects of JSON: members keep their order and their bytes."""

    empty = b"{}"

    def text(self, data: bytes, field: Field) -> str:
        return read(_decode_text, self._raw(data, field)) or ""

    def texts(self, data: bytes, field: Field) -> Sequence[str]:
        return read(_decode_texts, self._raw(data, field)) or ()

    def inner(self, data: bytes, field: Field) -> bytes | None:
        found = self._raw(data, field)
        return None if found == _NULL else found

    def each(self, data: bytes, field: Field) -> Sequence[bytes]:
        return [bytes(one) for one in read(_decode_list, self._raw(data, field)) or ()]

    def entries(self, data: bytes, field: Field) -> Mapping[str, str]:
        return read(_decode_map, self._raw(data, field)) or {}

    def put_text(self, data: bytes, field: Field, value: str) -> bytes:
        return self.put_inner(data, field, _string(value))

    def put_texts(self, data: bytes, field: Field, values: Sequence[str]) -> bytes:
        return self.put_each(data, field, list(map(_string, values)))

    def put_number(self, data: bytes, field: Field, value: int) -> bytes:
        return self.put_inner(data, field, b"%d" % value)

    def put_flag(self, data: bytes, field: Field, *, value: bool) -> bytes:
        return self.put_inner(data, field, b"true" if value else b"false")

    def put_inner(self, data: bytes, field: Field, value: bytes) -> bytes:
        members = dict(_members(data))
        if field.name in members:
            members[field.name] = Raw(value)
            return _object(members)
        before = [at for at, name in enumerate(members, 1) if name in field.follows]
        listed = list(members.items())
        listed.insert(max(before, default=0), (field.name, Raw(value)))
        return _object(dict(listed))

    def put_each(self, data: bytes, field: Field, values: Sequence[bytes]) -> bytes:
        if not values and field.optional:
            members = dict(_members(data))
            members.pop(field.name, None)
            return _object(members)
        return self.put_inner(data, field, b"[%b]" % b",".join(values))

    def put_entry(self, data: bytes, field: Field, key: str, value: str) -> bytes:
        raw = self._raw(data, field)
        entries = {} if raw == _NULL else dict(_members(raw))
        is_new = key not in entries
        entries[key] = Raw(_string(value))
        if is_new:
            entries = dict(sorted(entries.items()))
        return self.put_inner(data, field, _object(entries))

    def _raw(self, data: bytes, field: Field) -> bytes:
        found = _members(data).get(field.name)
        return _NULL if found is None else bytes(found)


def _members(data: bytes) -> Mapping[str, Raw]:
    return read(_decode, data)


def _object(members: Mapping[str, Raw]) -> bytes:
    pairs = (b"%b:%b" % (_string(name), bytes(raw)) for name, raw in members.items())
    return b"{%b}" % b",".join(pairs)


def _string(value: str) -> bytes:
    try:
        encoded = _encode(value)
    except UnicodeEncodeError as exc:
        raise CodecError("a string that no UTF-8 can hold") from exc
    for plain, escaped in _ESCAPES:
        encoded = encoded.replace(plain, escaped)
    return encoded


_KEY, _VALUE = Field("key", 1), Field("value", 2)


class ProtobufFields:
    """Messages of protobuf: fields keep their order and their bytes.

    Strings and messages are both length-delimited; of a field that must stand once
    and stands there twice nobody here guesses which one counts.
    """

    empty = b""

    def text(self, data: bytes, field: Field) -> str:
        found = self._one(data, field)
        return "" if found is None else text(data, *found)

    def texts(self, data: bytes, field: Field) -> Sequence[str]:
        return [text(one, 0, len(one)) for one in self.each(data, field)]

    def inner(self, data: bytes, field: Field) -> bytes | None:
        found = self._one(data, field)
        return None if found is None else data[slice(*found)]

    def each(self, data: bytes, field: Field) -> Sequence[bytes]:
        wanted = tag_of(field.number)
        return [data[a:b] for tag, a, b in walk(data, 0, len(data)) if tag == wanted]

    def entries(self, data: bytes, field: Field) -> Mapping[str, str]:
        return {
            self.text(one, _KEY): self.text(one, _VALUE)
            for one in self.each(data, field)
        }

    def put_text(self, data: bytes, field: Field, value: str) -> bytes:
        return _replaced(data, field, [encode_text(field.number, value)])

    def put_texts(self, data: bytes, field: Field, values: Sequence[str]) -> bytes:
        return _replaced(data, field, [encode_text(field.number, v) for v in values])

    def put_number(self, data: bytes, field: Field, value: int) -> bytes:
        return _replaced(data, field, [encode_number(field.number, value)])

    def put_flag(self, data: bytes, field: Field, *, value: bool) -> bytes:
        return self.put_number(data, field, int(value))

    def put_inner(self, data: bytes, field: Field, value: bytes) -> bytes:
        return _replaced(data, field, [encode_bytes(field.number, value)])

    def put_each(self, data: bytes, field: Field, values: Sequence[bytes]) -> bytes:
        return _replaced(data, field, [encode_bytes(field.number, v) for v in values])

    def put_entry(self, data: bytes, field: Field, key: str, value: str) -> bytes:
        entries = {self.text(one, _KEY): one for one in self.each(data, field)}
        if key in entries:
            entries[key] = self.put_text(entries[key], _VALUE, value)
        else:
            entries[key] = encode_text(1, key) + encode_text(2, value)
            entries = dict(sorted(entries.items()))
        return self.put_each(data, field, list(entries.values()))

    def _one(self, data: bytes, field: Field) -> tuple[int, int] | None:
        found = None
        for tag, a, b in walk(data, 0, len(data)):
            if tag == tag_of(field.number):
                if found is not None:
                    raise CodecError(
                        f"protobuf field {field.number} stands there twice"
                    )
                found = (a, b)
        return found


def _replaced(data: bytes, field: Field, encoded: Iterable[bytes]) -> bytes:
    """Return the message with all there is of a field replaced.

    What is new stands where the old was, else where Kubernetes writes it: in the
    order of the numbers.
    """
    kept: list[tuple[int, bytes]] = []
    first: int | None = None
    at = 0
    for tag, _, end in walk(data, 0, len(data)):
        if tag >> 3 != field.number:
            kept.append((tag >> 3, data[at:end]))
        elif first is None:
            first = len(kept)
        at = end
    if first is None:
        first = sum(number < field.number for number, _ in kept)
    pieces = [piece for _, piece in kept]
    return b"".join([*pieces[:first], *encoded, *pieces[first:]])


FORMS: Mapping[str, Fields] = {
    "application/json": JSONFields(),
    "application/vnd.kubernetes.protobuf": ProtobufFields(),
}
