# SPDX-License-Identifier: Apache-2.0
"""v1 Status: what the API server answers instead of an object, word for word.

Key order is the API server's (kind, apiVersion, metadata, status, message, reason,
details, code). A 503 never names a time to retry: client-go would sleep and retry ten
times before its caller hears anything.
"""

import json
from collections.abc import Mapping

from toono import errors
from toono.kube.names import GroupResource, quoted

CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You must start a new list without the continue parameter."
)
NOT_ACCEPTABLE = (
    "only the following media types are accepted: application/json, "
    "application/yaml, application/vnd.kubernetes.protobuf"
)
MODIFIED = (
    "the object has been modified; please apply your changes to the latest version "
    "and try again"
)


def failure(
    code: int, reason: str, message: str, details: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Return a Status of status Failure in its JSON form."""
    status: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = {
            key: value
            for key, value in details.items()
            if code != 503 or key != "retryAfterSeconds"
        }
    status["code"] = code
    return status


def qualified(group: str, resource: str) -> str:
    """Return how messages name a resource: deployments.apps, pods."""
    return str(GroupResource(group, resource))


def bad_request(message: str) -> dict[str, object]:
    """Return the answer for a request that has no meaning."""
    return failure(400, "BadRequest", message)


def unauthorized() -> dict[str, object]:
    """Return the answer for credentials that are not valid."""
    return failure(401, "Unauthorized", "Unauthorized")


def forbidden(
    group: str, resource: str, name: str, *, user: str, verb: str, namespace: str
) -> dict[str, object]:
    """Return the answer for a caller that lacks the right."""
    where = f"in the namespace {quoted(namespace)}" if namespace else ""
    named = f" {quoted(name)}" if name else ""
    message = (
        f"{qualified(group, resource)}{named} is forbidden: User {quoted(user)} cannot "
        f"{verb} resource {quoted(resource)} in API group {quoted(group)} "
        f"{where or 'at the cluster scope'}"
    )
    return failure(403, "Forbidden", message, _details(group, resource, name))


def not_found(group: str, resource: str, name: str) -> dict[str, object]:
    """Return the answer for a name that is not there."""
    message = f"{qualified(group, resource)} {quoted(name)} not found"
    return failure(404, "NotFound", message, _details(group, resource, name))


def method_not_allowed() -> dict[str, object]:
    """Return the answer for a verb that a resource does not know."""
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, {})


def not_acceptable() -> dict[str, object]:
    """Return the answer for a client that takes none of our forms."""
    return failure(406, "NotAcceptable", NOT_ACCEPTABLE)


def already_exists(group: str, resource: str, name: str) -> dict[str, object]:
    """Return the answer for a create of a name that is there."""
    message = f"{qualified(group, resource)} {quoted(name)} already exists"
    return failure(409, "AlreadyExists", message, _details(group, resource, name))


def conflict(group: str, resource: str, name: str) -> dict[str, object]:
    """Return the answer for a write to a version that is not the latest."""
    message = (
        f"Operation cannot be fulfilled on {qualified(group, resource)} "
        f"{quoted(name)}: {MODIFIED}"
    )
    return failure(409, "Conflict", message, _details(group, resource, name))


def expired(message: str) -> dict[str, object]:
    """Return the answer for a version or continue token that is too old."""
    return failure(410, "Expired", message)


def entity_too_large(limit: int) -> dict[str, object]:
    """Return the answer for a request whose body is longer than `limit` bytes."""
    message = f"Request entity too large: limit is {limit}"
    return failure(413, "RequestEntityTooLarge", message)


def invalid_options(causes: list[dict[str, str]]) -> dict[str, object]:
    """Return the answer for list options that contradict each other.

    A cause has reason, message and field, as in details.causes.
    """
    problems = [f"{cause['field']}: {cause['message']}" for cause in causes]
    told = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    return failure(
        422,
        "Invalid",
        f'ListOptions.meta.k8s.io "" is invalid: {told}',
        {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes},
    )


def too_many_requests(message: str, seconds: int) -> dict[str, object]:
    """Return the answer for a client that asks too much at once."""
    return failure(429, "TooManyRequests", message, {"retryAfterSeconds": seconds})


def internal(message: str) -> dict[str, object]:
    """Return the answer for a fault of our own."""
    told = f"Internal error occurred: {message}"
    return failure(500, "InternalError", told, {"causes": [{"message": message}]})


def unavailable(message: str) -> dict[str, object]:
    """Return the answer for what nobody here can answer now."""
    return failure(503, "ServiceUnavailable", message)


def too_large_resource_version(asked: int, current: int) -> dict[str, object]:
    """Return the answer for a version that is not reached yet; try again in 1 s."""
    return failure(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {
            "causes": [
                {
                    "reason": "ResourceVersionTooLarge",
                    "message": "Too large resource version",
                }
            ],
            "retryAfterSeconds": 1,
        },
    )


def refuse(status: Mapping[str, object]) -> errors.RequestError:
    """Return the error that becomes `status`."""
    code, details = status["code"], status.get("details")
    assert isinstance(code, int)
    return errors.RequestError(
        code,
        str(status.get("reason", "")),
        str(status["message"]),
        details if isinstance(details, Mapping) else None,
    )


def refused(code: int, message: str) -> dict[str, object]:
    """Return the answer to a request that is refused before it is understood."""
    return failure(code, _REASONS.get(code, "BadRequest"), message)


def of_error(exc: errors.ToonoError) -> dict[str, object]:
    """Return the Status of any error of ours: the one table from error to code."""
    match exc:
        case errors.RequestError():
            return failure(exc.code, exc.reason, exc.message, exc.details)
        case errors.RejectedRequestError():
            return refused(exc.status, exc.message)
        case errors.UnreachableError():
            return unavailable(f"cut off: {exc}")
        case errors.UpstreamLimitError():
            return unavailable(str(exc))
        case errors.WireTimeoutError():
            return failure(504, "Timeout", str(exc))
        case errors.UpstreamError() | errors.WireError():
            return failure(502, "BadGateway", f"the API server broke off: {exc}")
        case errors.StoreError() | errors.CodecError():
            return unavailable(f"the cache cannot be read: {exc}")
        case _:
            return internal(str(exc))


_REASONS = {
    400: "BadRequest",
    408: "Timeout",
    413: "RequestEntityTooLarge",
    414: "RequestURITooLong",
    417: "ExpectationFailed",
    429: "TooManyRequests",
    431: "RequestHeaderFieldsTooLarge",
    503: "ServiceUnavailable",
}


def to_json(status: Mapping[str, object]) -> bytes:
    """Return a Status as the API server writes it: compact, one line, HTML escaped.

    What no UTF-8 can hold (a lone surrogate) becomes "?": an answer must go out.
    """
    text = json.dumps(status, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_HTML).encode("utf-8", "replace") + b"\n"


_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
"""encoding/json escapes these by default, so that no browser takes them for HTML."""


def _details(group: str, resource: str, name: str) -> dict[str, object]:
    details: dict[str, object] = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = resource
    return details
