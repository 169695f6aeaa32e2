# SPDX-License-Identifier: Apache-2.0
"""Status answers are the API server's word for word; each error of ours has its own."""

import json

import pytest
from tests.contract.recordings import recording

from toono import errors
from toono.kube import status

RECORDED = {
    "get-pod-404": status.not_found("", "pods", "nope"),
    "delete-configmap-404": status.not_found("", "configmaps", "made"),
    "method-not-allowed": status.method_not_allowed(),
    "create-configmap-exists": status.already_exists("", "configmaps", "made"),
    "update-configmap-conflict": status.conflict("", "configmaps", "made"),
    "update-lease-conflict": status.conflict("coordination.k8s.io", "leases", "edge-1"),
    "list-pods-rv-future": status.too_large_resource_version(99999999, 240),
    "list-pods-unauthorized": status.unauthorized(),
    "list-pods-anonymous": status.forbidden(
        "", "pods", "", user="system:anonymous", verb="list", namespace=""
    ),
    "list-pods-bad-field": status.bad_request("field label not supported: spec.color"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_answer_is_the_recorded_one(name: str) -> None:
    one = recording(name)
    assert status.to_json(RECORDED[name]) == one.body
    assert RECORDED[name]["code"] == one.status


def test_a_forbidden_object_is_named_with_its_namespace() -> None:
    found = status.forbidden(
        "apps", "deployments", "d", user="u", verb="get", namespace="shop"
    )
    assert found["message"] == (
        'deployments.apps "d" is forbidden: User "u" cannot get resource '
        '"deployments" in API group "apps" in the namespace "shop"'
    )
    assert found["details"] == {"name": "d", "group": "apps", "kind": "deployments"}


def test_the_other_answers_have_code_and_reason() -> None:
    found = [
        status.expired(status.CONTINUE_EXPIRED),
        status.entity_too_large(3145728),
        status.not_acceptable(),
        status.too_many_requests("wait", 2),
        status.internal("broken"),
        status.unavailable("cut off"),
    ]
    assert [(one["code"], one["reason"]) for one in found] == [
        (410, "Expired"),
        (413, "RequestEntityTooLarge"),
        (406, "NotAcceptable"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ]
    assert found[1]["message"] == "Request entity too large: limit is 3145728"
    assert found[3]["details"] == {"retryAfterSeconds": 2}
    assert found[4]["message"] == "Internal error occurred: broken"


def test_503_never_names_a_time_to_retry() -> None:
    details = {"name": "x", "retryAfterSeconds": 1}
    found = status.failure(503, "ServiceUnavailable", "cut off", details)
    assert found["details"] == {"name": "x"}
    kept = status.failure(504, "Timeout", "late", details)
    assert kept["details"] == details


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.RequestError(422, "Invalid", "no"), 422, "Invalid"),
        (errors.RequestError(500, "", "no"), 500, None),
        (errors.RejectedRequestError(431, "big"), 431, "RequestHeaderFieldsTooLarge"),
        (errors.RejectedRequestError(499, "odd"), 499, "BadRequest"),
        (errors.UnreachableError("down"), 503, "ServiceUnavailable"),
        (errors.UpstreamLimitError("busy"), 503, "ServiceUnavailable"),
        (errors.WireTimeoutError("slow"), 504, "Timeout"),
        (errors.BodyCutError("cut"), 502, "BadGateway"),
        (errors.UpstreamError("gone"), 502, "BadGateway"),
        (errors.StoreFullError("full"), 503, "ServiceUnavailable"),
        (errors.CodecError("what"), 503, "ServiceUnavailable"),
        (errors.OptionError("--x", "bad"), 500, "InternalError"),
    ],
)
def test_every_error_has_one_answer(
    error: errors.ToonoError, code: int, reason: str | None
) -> None:
    found = status.of_error(error)
    assert (found["code"], found.get("reason")) == (code, reason)
    assert found["status"] == "Failure"


def test_an_error_keeps_its_details() -> None:
    original = status.not_found("apps", "deployments", "d")
    assert status.of_error(status.refuse(original)) == original
    plain = status.bad_request("no")
    assert status.of_error(status.refuse(plain)) == plain
    bare = status.failure(500, "", "no")
    assert status.of_error(status.refuse(bare)) == bare


def test_a_refusal_before_understanding_has_the_reason_of_its_code() -> None:
    assert status.refused(413, "long")["reason"] == "RequestEntityTooLarge"
    assert status.refused(418, "tea")["reason"] == "BadRequest"


def test_several_causes_are_told_in_brackets() -> None:
    causes = [
        {"reason": "A", "message": "no", "field": "x"},
        {"reason": "B", "message": "nor", "field": "y"},
    ]
    found = status.invalid_options(causes)
    assert found["message"] == (
        'ListOptions.meta.k8s.io "" is invalid: [x: no, y: nor]'
    )


def test_json_is_written_as_go_does() -> None:
    text = 'a<b>&c\u2028\u2029 "\u00e9" \n'
    body = status.to_json(status.bad_request(text))
    assert b"a\\u003cb\\u003e\\u0026c\\u2028\\u2029" in body
    assert "\u00e9".encode() in body
    assert body.endswith(b'"code":400}\n')
    assert json.loads(body)["message"] == text


def test_what_no_utf8_holds_still_goes_out() -> None:
    assert b'"a?b"' in status.to_json(status.bad_request("a\udcffb"))
