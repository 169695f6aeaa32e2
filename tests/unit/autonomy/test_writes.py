# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.autonomy.writes import Policy, WriteTable, media_type_of, policy_of
from toono.kube.request import Call, Caller, parse

NODE = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
STRATEGIC = "application/strategic-merge-patch+json"
SPOOLING = WriteTable(statuses="spool")
EVENTS = "/api/v1/namespaces/a/events"
NEWER = "/apis/events.k8s.io/v1/namespaces/a/events"
POD = "/api/v1/namespaces/a/pods/p/status"
TOKEN = "/api/v1/namespaces/a/serviceaccounts/s/token"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"


def call(method: str, target: str, content_type: str = STRATEGIC) -> Call:
    fields = {b"content-type": content_type.encode()}
    return parse(method, target.encode(), fields, NODE)


@pytest.mark.parametrize(
    ("method", "target", "policy"),
    [
        ("POST", EVENTS, Policy.EVENT),
        ("POST", NEWER, Policy.EVENT),
        ("PATCH", EVENTS + "/e", Policy.EVENT),
        ("PATCH", NEWER + "/e", Policy.EVENT),
        ("PUT", EVENTS + "/e", Policy.REFUSE),
        ("DELETE", EVENTS + "/e", Policy.REFUSE),
        ("POST", EVENTS + "/e", Policy.REFUSE),
        ("POST", EVENTS + "/e/status", Policy.REFUSE),
        ("POST", "/api/v1/events", Policy.REFUSE),
        ("POST", EVENTS + "?dryRun=All", Policy.REFUSE),
        ("POST", "/apis/x.example.com/v1/namespaces/a/events", Policy.REFUSE),
        ("PATCH", POD, Policy.STATUS),
        ("PATCH", "/api/v1/nodes/n/status", Policy.STATUS),
        ("PUT", POD, Policy.REFUSE),
        ("PATCH", "/api/v1/namespaces/a/pods/p", Policy.REFUSE),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d/status", Policy.REFUSE),
        ("POST", TOKEN, Policy.TOKEN),
        ("POST", TOKEN + "?dryRun=All", Policy.REFUSE),
        ("POST", "/api/v1/namespaces/a/serviceaccounts", Policy.REFUSE),
        ("GET", TOKEN, Policy.REFUSE),
        ("POST", ACCESS, Policy.REVIEW),
        ("POST", REVIEW, Policy.REVIEW),
        ("POST", ACCESS.replace("subject", "selfsubject"), Policy.REFUSE),
        ("POST", "/version", Policy.REFUSE),
        ("POST", "/api/v1/namespaces/a/pods", Policy.REFUSE),
    ],
)
def test_what_becomes_of_a_write(method: str, target: str, policy: Policy) -> None:
    assert policy_of(call(method, target), SPOOLING) is policy


def test_a_patch_of_another_kind_is_refused() -> None:
    for kind in ("application/json-patch+json", "application/apply-patch+yaml", ""):
        assert policy_of(call("PATCH", POD, kind), SPOOLING) is Policy.REFUSE
        event = call("PATCH", EVENTS + "/e", kind)
        assert policy_of(event, SPOOLING) is Policy.REFUSE
    merge = call("PATCH", POD, "Application/merge-patch+json; charset=utf-8")
    assert policy_of(merge, SPOOLING) is Policy.STATUS
    assert media_type_of(merge) == "application/merge-patch+json"


def test_what_was_turned_off_is_refused() -> None:
    off = WriteTable(events="503", reviews=False)
    assert policy_of(call("POST", EVENTS), off) is Policy.REFUSE
    assert policy_of(call("PATCH", POD), WriteTable()) is Policy.REFUSE
    assert policy_of(call("POST", ACCESS), off) is Policy.REFUSE
    assert policy_of(call("POST", TOKEN), off) is Policy.TOKEN
