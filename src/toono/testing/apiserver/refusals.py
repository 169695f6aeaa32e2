# SPDX-License-Identifier: Apache-2.0
"""The Status answers of an API server, with its own words, and nothing but those."""

from typing import NamedTuple

from toono.testing.apiserver.query import JSON, Refusal
from toono.testing.apiserver.resources import Resource

REPRESENTATIONS = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
)
STREAMS = (
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/cbor-seq",
)
TOO_OLD_TO_GO_ON = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue "
    "token in this response to retrieve the remainder of the results. Continuing with "
    "the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may "
    "show up in the list."
)


def details_of(resource: Resource, name: str) -> JSON:
    """Return what a Status tells of the object it is about."""
    details: JSON = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return details | {"kind": resource.plural}


def unknown_resource() -> Refusal:
    """What a resource gets that is not served in a group that is."""
    message = "the server could not find the requested resource"
    return Refusal(404, "NotFound", message, {})


def not_allowed() -> Refusal:
    """What a verb gets that a resource does not have."""
    message = "the server does not allow this method on the requested resource"
    return Refusal(405, "MethodNotAllowed", message, {})


def not_found(resource: Resource, name: str) -> Refusal:
    """What the name of no object gets."""
    message = f'{resource.qualified} "{name}" not found'
    return Refusal(404, "NotFound", message, details_of(resource, name))


def exists(resource: Resource, name: str) -> Refusal:
    """What a create gets for a name that is taken."""
    message = f'{resource.qualified} "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, details_of(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> Refusal:
    """What a write gets that was made on an older version, or for another object."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return Refusal(409, "Conflict", message, details_of(resource, name))


def precondition(resource: Resource, name: str, *, field: str, pair: str) -> Refusal:
    """What a delete gets whose precondition does not hold; it names the kind."""
    end = "deleted and then recreated" if field == "UID" else "modified"
    wanted, _, found = pair.partition(" ")
    why = (
        f"the {field} in the precondition ({wanted}) does not match the {field} in "
        f"record ({found}). The object might have been {end}"
    )
    message = f"Operation cannot be fulfilled on {resource.kind}"
    message += (
        f'.{resource.group} "{name}": {why}' if resource.group else f' "{name}": {why}'
    )
    details = details_of(resource, name) | {"kind": resource.kind}
    return Refusal(409, "Conflict", message, details)


def invalid(
    resource: Resource, name: str, *, field: str, why: str, reason: str
) -> Refusal:
    """What an object gets that breaks a rule of its kind."""
    message = f'{resource.kind} "{name}" is invalid: {field}: {why}'
    cause = {"reason": reason, "message": why, "field": field}
    details = details_of(resource, name) | {"kind": resource.kind, "causes": [cause]}
    return Refusal(422, "Invalid", message, details)


def unversioned(resource: Resource, name: str) -> Refusal:
    """What a blind update gets of a resource that allows none."""
    why = "Invalid value: 0: must be specified for an update"
    field = "metadata.resourceVersion"
    message = f'{resource.qualified} "{name}" is invalid: {field}: {why}'
    cause = {"reason": "FieldValueInvalid", "message": why, "field": field}
    return Refusal(
        422, "Invalid", message, details_of(resource, name) | {"causes": [cause]}
    )


class Cause(NamedTuple):
    """One thing that is wrong with options."""

    reason: str
    text: str
    field: str = "resourceVersionMatch"


def forbidden(why: str, *, field: str = "resourceVersionMatch") -> Cause:
    """An option that may not be there."""
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def unsupported(value: str, *values: str) -> Cause:
    """A resourceVersionMatch that is not one of `values`."""
    listed = ", ".join(f'"{each}"' for each in values)
    text = f'Unsupported value: "{value}": supported values: {listed}'
    return Cause("FieldValueNotSupported", text)


def invalid_options(*causes: Cause, kind: str = "ListOptions") -> Refusal:
    """What options get that do not go together."""
    told = [f"{each.field}: {each.text}" for each in causes]
    what = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    details = {
        "group": "meta.k8s.io",
        "kind": kind,
        "causes": [
            {"reason": each.reason, "message": each.text, "field": each.field}
            for each in causes
        ],
    }
    message = f'{kind}.meta.k8s.io "" is invalid: {what}'
    return Refusal(422, "Invalid", message, details)


def too_large(asked: int, current: int) -> Refusal:
    """What a version gets that is still to come (504, Retry-After 1)."""
    cause = {
        "reason": "ResourceVersionTooLarge",
        "message": "Too large resource version",
    }
    return Refusal(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {"causes": [cause], "retryAfterSeconds": 1},
        retry_after=1,
    )


def stale_token(fresh: str) -> Refusal:
    """What a continue token gets whose version is compacted: 410 with a fresh token."""
    return Refusal(410, "Expired", TOO_OLD_TO_GO_ON, metadata={"continue": fresh})


def bad_request(message: str) -> Refusal:
    """What cannot be read."""
    return Refusal(400, "BadRequest", message)


def has_route(accept: str, *, streams: bool) -> bool:
    """Say whether an Accept leads to a built-in kind: by a type, or by `*/*` alone."""
    asked = {part.partition(";")[0].strip() for part in accept.split(",")}
    plain = {each.partition(";")[0] for each in _offered(streams=streams)}
    return not asked.isdisjoint(plain | {"*/*"})


def not_acceptable(resource: Resource, accept: str, *, streams: bool) -> Refusal:
    """What an Accept gets of which nothing is served; it comes indented.

    Paths of built-in kinds turn unknown types away before they look at parameters.
    """
    if not resource.custom and not has_route(accept, streams=streams):
        listed = ", ".join(_offered(streams=streams))
        message = f"406: Not Acceptable\n\nAvailable representations: {listed}"
        return Refusal(406, "NotAcceptable", message, {}, pretty=True)
    message = "only the following media types are accepted: "
    return Refusal(
        406, "NotAcceptable", message + ", ".join(REPRESENTATIONS), pretty=True
    )


def _offered(*, streams: bool) -> tuple[str, ...]:
    return REPRESENTATIONS + STREAMS if streams else REPRESENTATIONS


def unsupported_patch(resource: Resource) -> Refusal:
    """What a patch of an unknown type gets."""
    if not resource.custom:
        return Refusal(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    message = (
        "the body of the request was in an unknown format - accepted media types "
        "include: application/json-patch+json, application/merge-patch+json, "
        "application/apply-patch+yaml"
    )
    return Refusal(415, "UnsupportedMediaType", message)
