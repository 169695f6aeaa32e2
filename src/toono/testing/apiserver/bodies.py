# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests: read to their end, and taken for what they claim to be."""

import json
from typing import Any

import yaml

from toono.codec.transcode import to_json
from toono.codec.wireformat import tag_of, text, walk
from toono.errors import CodecError
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.refusals import bad_request
from toono.testing.apiserver.resources import Resource
from toono.wire.messages import Body

MAGIC = b"k8s\x00"


async def body_of(body: Body) -> bytes:
    """Read a body to its end."""
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return b"".join(pieces)


def object_of(resource: Resource, body: bytes) -> JSON:
    """Return the object that a body holds; 400 where it holds none."""
    try:
        content = _plain(body)
    except ValueError as exc:
        shown = body.decode("utf-8", "replace").strip()
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f"couldn't get version/kind; json parse error: {_complaint(exc)} ({shown})"
        ) from exc
    if not isinstance(content, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            "couldn't get version/kind; json parse error: it is no object"
        )
    _check_type(resource, content)
    return content


def options_of(body: bytes) -> JSON:
    """Return DeleteOptions, empty where none were sent."""
    if not body:
        return {}
    try:
        content = _plain(body)
    except ValueError as exc:
        raise bad_request(f"error decoding: {_complaint(exc)}") from exc
    return content if isinstance(content, dict) else {}


def json_of(body: bytes) -> Any:
    """Return any JSON value; 400 where it is none."""
    try:
        return json.loads(body)
    except ValueError as exc:
        raise bad_request(f"error decoding patch: {_complaint(exc)}") from exc


def yaml_of(body: bytes) -> Any:
    """Return what YAML holds, of which JSON is a part."""
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as exc:
        raise bad_request(f"error decoding YAML: {exc}") from exc


def _plain(body: bytes) -> Any:
    """Return JSON's value, or what a protobuf body tells."""
    if not body.startswith(MAGIC):
        return json.loads(body)
    try:
        head, data = _opened(body)
        content = json.loads(to_json(data, **head))
    except CodecError as exc:
        raise bad_request(f"the protobuf object cannot be read: {exc}") from exc
    return {"kind": head["kind"], "apiVersion": head["api_version"], **content}


def _opened(body: bytes) -> tuple[dict[str, str], bytes]:
    """Take the envelope off: {1: {1 apiVersion, 2 kind}, 2: the object}."""
    parts = {tag: (a, b) for tag, a, b in walk(body, len(MAGIC), len(body))}
    types = {tag: text(body, a, b) for tag, a, b in walk(body, *parts[tag_of(1)])}
    start, end = parts.get(tag_of(2), (0, 0))
    kind, api_version = types.get(tag_of(2), ""), types.get(tag_of(1), "")
    return {"kind": kind, "api_version": api_version}, body[start:end]


def _complaint(exc: ValueError) -> str:
    """What Go says of JSON that it cannot read."""
    if isinstance(exc, json.JSONDecodeError) and exc.pos < len(exc.doc):
        what = "object key string" if "property name" in exc.msg else "value"
        character = exc.doc[exc.pos]
        return f"invalid character '{character}' looking for beginning of {what}"
    return "unexpected end of JSON input"


def _check_type(resource: Resource, content: JSON) -> None:
    """What says that it is of another type is not taken."""
    kind, version = content.get("kind"), content.get("apiVersion")
    if kind and kind != resource.kind:
        inside = resource.group.partition(".")[0] or "core"
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
            f"converting ({version}.{kind}) to ({inside}.{resource.kind}): "
            "unknown conversion"
        )
    if version and version != resource.api_version:
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
            f'no kind "{kind}" is registered for version "{version}" in scheme '
            '"pkg/runtime/scheme.go:110"'
        )
