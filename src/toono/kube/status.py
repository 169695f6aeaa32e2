# SPDX-License-Identifier: Apache-2.0
"""v1 Status: what the API server answers instead of an object, word for word.

Key order is the API server's (kind, apiVersion, metadata, status, message, reason,
details, code). A 503 never names a time to retry: client-go would sleep and retry ten
times before its caller hears anything.
"""

from collections.abc import Mapping

from toono import errors

CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You must start a new list without the continue parameter."
)
NOT_ACCEPTABLE = (
    "only the following media types are accepted: application/json, "
    "application/yaml, application/vnd.kubernetes.protobuf"
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
        "reason": reason,
    }
    if details:
        status["details"] = dict(details)
    status["code"] = code
    return status


def qualified(group: str, resource: str) -> str:
    """Return how messages name a resource: deployments.apps, pods."""
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> dict[str, object]:
    """Return the answer for a name that is not there."""
    message = f'{qualified(group, resource)} "{name}" not found'
    return failure(404, "NotFound", message, _details(group, resource, name))


def already_exists(group: str, resource: str, name: str) -> dict[str, object]:
    """Return the answer for a create of a name that is there."""
    message = f'{qualified(group, resource)} "{name}" already exists'
    return failure(409, "AlreadyExists", message, _details(group, resource, name))


def expired(message: str) -> dict[str, object]:
    """Return the answer for a version or continue token that is too old."""
    return failure(410, "Expired", message)


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


def unavailable(message: str) -> dict[str, object]:
    """Return the answer for what nobody here can answer now."""
    return failure(503, "ServiceUnavailable", message)


def too_many_requests(message: str, seconds: int) -> dict[str, object]:
    """Return the answer for a client that asks too much at once."""
    return failure(429, "TooManyRequests", message, {"retryAfterSeconds": seconds})


def refuse(status: Mapping[str, object]) -> errors.RequestError:
    """Return the error that becomes `status`."""
    code, details = status["code"], status.get("details")
    assert isinstance(code, int)
    return errors.RequestError(
        code,
        str(status["reason"]),
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
        case errors.StoreError():
            return unavailable(f"the cache cannot be read: {exc}")
        case _:
            return failure(500, "InternalError", f"Internal error occurred: {exc}")


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


def _details(group: str, resource: str, name: str) -> dict[str, object]:
    details: dict[str, object] = {"name": name}
    if group:
        details["group"] = group
    details["kind"] = resource
    return details
