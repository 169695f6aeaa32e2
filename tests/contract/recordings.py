# SPDX-License-Identifier: Apache-2.0
"""The recorded conversations with a real API server, as values.

They lie in `tests/data/wire`; without them there is no yardstick,
so their absence fails the tests that need them.
"""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

WIRE = Path(__file__).parents[1] / "data" / "wire"
JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"


class Recording(NamedTuple):
    """One request and its answer, chunks joined and gzip undone."""

    name: str
    method: str
    target: bytes
    fields: dict[bytes, bytes]
    request_body: bytes
    status: int
    media_type: str
    """Of the answer, without parameters."""
    body: bytes


@cache
def recordings() -> tuple[Recording, ...]:
    """Return all recorded exchanges, in their order."""
    index = json.loads((WIRE / "exchanges" / "index.json").read_text())
    return tuple(_read(entry["name"]) for entry in index)


def recording(name: str) -> Recording:
    """Return the exchange of one name."""
    return next(one for one in recordings() if one.name == name)


@cache
def connections() -> tuple[Recording, ...]:
    """Return the exchanges of the kubelet's and kubectl's whole connections.

    A watch that was still open when the recording ended has what came until then.
    """
    paths = sorted((*WIRE.glob("kubectl/*.request"), *WIRE.glob("kubelet/*/*.request")))
    return tuple(one for path in paths for one in _connection(path))


def _connection(path: Path) -> Iterator[Recording]:
    asked, answered = path.read_bytes(), path.with_suffix(".response").read_bytes()
    name = f"{path.parent.name}-{path.stem}"
    number = 0
    while answered:
        line, fields, body, asked = _message(asked, reply=False)
        method, target, _ = line.split(b" ", 2)
        answer, answer_fields, answer_body, answered = _message(answered, reply=True)
        yield Recording(
            f"{name}-{number}",
            method.decode(),
            target,
            fields,
            body,
            int(answer.split(b" ")[1]),
            _media_type(answer_fields),
            answer_body,
        )
        number += 1


def _read(name: str) -> Recording:
    path = WIRE / "exchanges" / name
    line, fields, body, _ = _message(
        path.with_suffix(".request").read_bytes(), reply=False
    )
    method, target, _ = line.split(b" ", 2)
    answer, answer_fields, answer_body, _ = _message(
        path.with_suffix(".response").read_bytes(), reply=True
    )
    return Recording(
        name,
        method.decode(),
        target,
        fields,
        body,
        int(answer.split(b" ")[1]),
        _media_type(answer_fields),
        answer_body,
    )


def _media_type(fields: dict[bytes, bytes]) -> str:
    content_type = fields.get(b"content-type", b"").decode()
    return content_type.partition(";")[0].strip()


Message = tuple[bytes, dict[bytes, bytes], bytes, bytes]
"""Line, fields, body with its codings undone, and what follows the message."""


def _message(text: bytes, *, reply: bool) -> Message:
    head, _, rest = text.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = (field.partition(b":") for field in lines)
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if fields.get(b"transfer-encoding") == b"chunked":
        body, rest = _unchunked(rest)
    else:
        size = int(fields.get(b"content-length", b"0"))
        if reply and line.split(b" ")[1] == b"304":
            size = 0
        body, rest = rest[:size], rest[size:]
    if fields.get(b"content-encoding") == b"gzip":
        body = gzip.decompress(body)
    return line, fields, body, rest


def _unchunked(rest: bytes) -> tuple[bytes, bytes]:
    """Return the body and what follows it; all there is where it has no end."""
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            return b"".join(pieces), rest.removeprefix(b"\r\n")
        pieces.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return b"".join(pieces), rest
