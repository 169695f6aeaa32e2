# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests: read to their end, and taken for what they claim to be."""

import json
from typing import Any

import yaml

from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.refusals import bad_request
from toono.testing.apiserver.resources import Resource
from toono.wire.messages import Body


async def body_of(body: Body) -> bytes:
    """Read a body to its end."""
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return b"".join(pieces)


def object_of(resource: Resource, body: bytes) -> JSON:
    """Return the object that a body holds; 400 where it holds none."""
    try:
        content = json.loads(body)
    except ValueError as exc:
        text = body.decode("utf-8", "replace").strip()
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f"couldn't get version/kind; json parse error: {_complaint(exc)} ({text})"
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
    content = json_of(body) if body else {}
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
