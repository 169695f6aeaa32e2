# SPDX-License-Identifier: Apache-2.0
"""A plain answer, read in one look: 200, short, framed in the usual way, all there.

It is what an API server gives to nearly every GET. Whatever is not just so is no error
here: `response` reads it, with all that HTTP allows.
"""

import re

MAX_CONTENT_BYTES = 64 * 1024
MAX_RAW_BYTES = MAX_CONTENT_BYTES + 16 * 1024
"""Of head, content and the framing of its chunks."""
MAX_CHUNKS = 64

# Of possessive groups Python 3.11 before its fifth patch matches too much (python/cpython
# 106052): here each byte has one place alone, so that giving back costs little.
_WORD = rb"[^\x00-\x20\x7f]++"
_WORDS = _WORD + rb"(?:[ \t]+" + _WORD + rb")*"
_FIELD = (
    rb"(?![CcKkTtUuPpHh](?i:onnection|eep-alive|ransfer-encoding|e|railer|pgrade|"
    rb"ontent-length|roxy-[a-z-]*|ttp2-settings):)"
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++: " + _WORDS + rb"\r\n"
)
"""A field that goes from end to end: not of this hop, and no framing."""
_HEAD = re.compile(
    rb"(HTTP/1\.1 200 " + _WORDS + rb"\r\n(?:" + _FIELD + rb")*)"
    rb"(?:Content-Length: ([0-9]{1,6})|Transfer-Encoding: chunked)\r\n"
    rb"((?:" + _FIELD + rb")*)\r\n"
)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,6})\r\n")
_BEGUN_CHUNK = re.compile(rb"[0-9A-Fa-f]{0,6}\r?\Z")
_BEGIN = b"HTTP/1.1 200 "
_BEGUN_HEAD = re.compile(
    rb"(?:HTTP/1\.1 200 " + _WORDS + rb"\r\n(?:" + _FIELD + rb"|"
    rb"Content-Length: [0-9]{1,6}\r\n|Transfer-Encoding: chunked\r\n)*)?"
    rb"[^\x00-\x08\x0a-\x1f\x7f]*+\r?\Z"
)
_DATE = b"\r\nDate: "


Plain = tuple[bytes, bytes]
"""(status line and fields as they came, without framing, each with its line end;
content)"""


class NotPlainError(Exception):
    """These bytes begin another kind of answer."""


def read_plain(raw: bytes) -> Plain | None:
    """Return the answer that `raw` is, None while more of it is to come.

    Raises NotPlainError for anything but one plain answer, however it goes on.
    """
    head = _HEAD.match(raw)
    if head is None:
        if b"\r\n\r\n" in raw or len(raw) > MAX_RAW_BYTES or not _may_begin(raw):
            raise NotPlainError
        return None
    before, length, after = head.groups()
    lines = before + after if after else before
    if _DATE not in lines:
        raise NotPlainError
    start = head.end()
    if length is None:
        content = _unchunked(raw, start)
        return None if content is None else (lines, content)
    end = start + int(length)
    if len(raw) > end or end - start > MAX_CONTENT_BYTES:
        raise NotPlainError
    if len(raw) < end:
        return None
    return (lines, raw[start:])


def fields_of(lines: bytes) -> dict[bytes, bytes]:
    """Return the fields of a plain answer's head, by lower-case name."""
    fields: dict[bytes, bytes] = {}
    for line in lines.split(b"\r\n")[1:-1]:
        name, _, value = line.partition(b": ")
        lower = name.lower()
        fields[lower] = fields[lower] + b", " + value if lower in fields else value
    return fields


def _may_begin(raw: bytes) -> bool:
    """Say whether more bytes may make a plain head of these: else none are waited for.

    A server that has said all that it will says nothing more for ever.
    """
    begins = raw[: len(_BEGIN)]
    return _BEGIN.startswith(begins) and _BEGUN_HEAD.match(raw) is not None


def _unchunked(raw: bytes, at: int) -> bytes | None:
    """Return what chunks hold (RFC 9112, 7.1), None while the last is to come."""
    chunks: list[bytes] = []
    if len(raw) > MAX_RAW_BYTES:
        raise NotPlainError
    while chunk := _CHUNK.match(raw, at):
        size = int(chunk[1], 16)
        at = chunk.end()
        ends = raw[at + size : at + size + 2]
        if not b"\r\n".startswith(ends) or len(chunks) > MAX_CHUNKS:
            raise NotPlainError  # a trailer, where the size is 0
        if len(ends) < 2:
            return None
        if size == 0:
            if len(raw) != at + 2:
                raise NotPlainError
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.append(raw[at : at + size])
        at += size + 2
    if _BEGUN_CHUNK.match(raw, at) is None:
        raise NotPlainError  # what comes after would be waited for in vain
    return None
