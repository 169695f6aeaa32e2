# SPDX-License-Identifier: Apache-2.0
"""Answers as an API server writes them: types, caching, line ends."""

import json

from toono.testing.apiserver.encodings import CODEC
from toono.testing.apiserver.query import JSON, Refusal
from toono.testing.apiserver.storage import encode
from toono.wire.messages import Headers, Response

JSON_TYPE = (b"Content-Type", b"application/json")
PRIVATE = (b"Cache-Control", b"no-cache, private")
NO_SNIFF = (b"X-Content-Type-Options", b"nosniff")
FORBIDDEN = 403
VERSION: JSON = {
    "major": "1",
    "minor": "34",
    "emulationMajor": "1",
    "emulationMinor": "34",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "33",
    "gitVersion": "v1.34.0",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}


def of_bytes(code: int, content: bytes, media_type: bytes = JSON_TYPE[1]) -> Response:
    """Answer with a document that is there as bytes."""
    headers = [(b"Content-Type", media_type), PRIVATE]
    return Response(status=code, headers=headers, content=content)


def of_json(code: int, content: JSON) -> Response:
    """Answer with a JSON document; API objects end with a line feed."""
    return of_bytes(code, encode(content) + b"\n")


def of_status(code: int, status: JSON, *, protobuf: bool) -> Response:
    """Answer with a Status that is no refusal, in JSON or protobuf."""
    if not protobuf:
        return of_json(code, status)
    return of_bytes(code, CODEC.write_status(status), CODEC.media_type.encode())


def of_refusal(refusal: Refusal, *, protobuf: bool = False) -> Response:
    """Answer with a Status, in JSON or protobuf."""
    if refusal.pretty and not protobuf:
        text = json.dumps(refusal.status(), indent=2, ensure_ascii=False)
        response = of_bytes(refusal.code, text.encode())
    else:
        response = of_status(refusal.code, refusal.status(), protobuf=protobuf)
    if refusal.code == FORBIDDEN:  # with user names in it, for a browser to render
        response.headers.append(NO_SNIFF)
    if refusal.retry_after:
        response.headers.append((b"Retry-After", b"%d" % refusal.retry_after))
    return response


def refuse(code: int, message: str) -> tuple[Headers, bytes]:
    """Answer what the wire turned away, as `wire.server` wants it."""
    refusal = Refusal(code, "BadRequest", message)
    return [JSON_TYPE], encode(refusal.status()) + b"\n"


def of_text(code: int, content: bytes) -> Response:
    """Answer in plain text."""
    plain = (b"Content-Type", b"text/plain; charset=utf-8")
    headers = [PRIVATE, plain, NO_SNIFF]
    return Response(status=code, headers=headers, content=content)


def health(path: str, *, ready: bool, verbose: bool) -> Response:
    """Answer healthz, livez and readyz."""
    name = path.strip("/")
    if path == "/readyz" and not ready:
        return of_text(500, b"[-]ping failed\nreadyz check failed\n")
    if verbose:
        return of_text(200, f"[+]ping ok\n{name} check passed\n".encode())
    return of_text(200, b"ok")


def version() -> Response:
    """Answer /version, indented and without a line feed."""
    return of_bytes(200, json.dumps(VERSION, indent=2).encode())
