# SPDX-License-Identifier: Apache-2.0
"""The words of an API server that says no."""

from tests.unit.testing.apiserver.kit import CRONTABS, resource
from toono.testing.apiserver import refusals

PODS, LEASES = resource("pods"), resource("leases")
GROUP = "coordination.k8s.io"


def test_details_name_the_object_its_group_and_resource() -> None:
    assert refusals.details_of(PODS, "a") == {"name": "a", "kind": "pods"}
    assert list(refusals.details_of(LEASES, "a").items()) == [
        ("name", "a"),
        ("group", GROUP),
        ("kind", "leases"),
    ]
    assert refusals.details_of(PODS, "") == {"kind": "pods"}


def test_every_refusal_has_its_code_and_reason() -> None:
    cases = [
        (refusals.unknown_resource(), 404, "NotFound"),
        (refusals.not_allowed(), 405, "MethodNotAllowed"),
        (refusals.not_found(PODS, "a"), 404, "NotFound"),
        (refusals.exists(PODS, "a"), 409, "AlreadyExists"),
        (refusals.conflict(PODS, "a"), 409, "Conflict"),
        (refusals.unversioned(LEASES, "a"), 422, "Invalid"),
        (refusals.too_large(9, 5), 504, "Timeout"),
        (refusals.stale_token("t"), 410, "Expired"),
        (refusals.bad_request("no"), 400, "BadRequest"),
        (refusals.unsupported_patch(CRONTABS), 415, "UnsupportedMediaType"),
    ]
    for refusal, code, reason in cases:
        assert (refusal.code, refusal.reason) == (code, reason)


def test_messages_name_resources_with_their_group() -> None:
    assert refusals.not_found(LEASES, "a").message == f'leases.{GROUP} "a" not found'
    told = refusals.conflict(LEASES, "a", "why not").message
    assert told == f'Operation cannot be fulfilled on leases.{GROUP} "a": why not'
    told = refusals.precondition(LEASES, "a", field="UID", pair="x y").message
    assert told.startswith(
        f'Operation cannot be fulfilled on Lease.{GROUP} "a": the UID'
    )
    assert "(x) does not match the UID in record (y)" in told
    assert told.endswith("might have been deleted and then recreated")
    told = refusals.precondition(PODS, "a", field="ResourceVersion", pair="1 2").message
    assert told.startswith('Operation cannot be fulfilled on Pod "a": ')
    assert told.endswith("might have been modified")


def test_what_is_invalid_names_the_kind_and_the_field() -> None:
    refusal = refusals.invalid(PODS, "a", field="spec.x", why="bad", reason="R")
    assert refusal.message == 'Pod "a" is invalid: spec.x: bad'
    assert refusal.details == {
        "name": "a",
        "kind": "Pod",
        "causes": [{"reason": "R", "message": "bad", "field": "spec.x"}],
    }


def test_a_version_to_come_says_when_to_ask_again() -> None:
    refusal = refusals.too_large(9, 5)
    assert refusal.message == "Timeout: Too large resource version: 9, current: 5"
    assert (refusal.retry_after, refusal.details["retryAfterSeconds"]) == (1, 1)
    assert refusal.details["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_options_are_refused_with_every_cause() -> None:
    refusal = refusals.invalid_options(
        refusals.forbidden("no", field="a"),
        refusals.unsupported("X", "Y", ""),
        kind="PatchOptions",
    )
    assert refusal.message == (
        'PatchOptions.meta.k8s.io "" is invalid: [a: Forbidden: no, '
        'resourceVersionMatch: Unsupported value: "X": supported values: "Y", ""]'
    )
    assert [cause["field"] for cause in refusal.details["causes"]] == [
        "a",
        "resourceVersionMatch",
    ]


def test_custom_resources_turn_types_away_in_their_own_words() -> None:
    built_in = refusals.not_acceptable(PODS, "text/html", streams=False)
    assert built_in.message.startswith("406: Not Acceptable\n\nAvailable")
    assert built_in.details == {}
    custom = refusals.not_acceptable(CRONTABS, "text/html", streams=True)
    assert custom.message.startswith("only the following media types are accepted")
    assert custom.details is None
