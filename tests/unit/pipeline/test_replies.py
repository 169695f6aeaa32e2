# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.unit.cache.kit import CALLER
from toono.codec.sent import JSON, PROTOBUF, read_sent
from toono.errors import CodecError
from toono.identity.rights import Judgement, Verdict
from toono.kube.request import parse
from toono.pipeline import heads
from toono.pipeline.replies import cut_off, not_allowed, reply, unreadable

EVENT = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "a"}}
CUSTOM = {"kind": "Thing", "apiVersion": "x.example.com/v1", "metadata": {"name": "a"}}


def call(accept: str):
    fields = {b"accept": accept.encode()}
    return parse("POST", b"/api/v1/namespaces/a/events", fields, CALLER)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (f"{PROTOBUF}, */*", PROTOBUF),
        ("application/json", JSON),
        ("text/html", JSON),
        ("", JSON),
    ],
)
def test_an_object_is_told_in_the_clients_form(accept: str, form: str) -> None:
    told = reply(call(accept), 201, EVENT, heads.SPOOLED)
    assert told.status == 201
    assert (b"Content-Type", form.encode()) in told.headers
    assert heads.SPOOLED in told.headers
    assert heads.VIA in told.headers
    assert isinstance(told.content, bytes)
    assert read_sent(told.content, form)["metadata"]["name"] == "a"


def test_what_has_one_form_is_told_in_that() -> None:
    told = reply(call(PROTOBUF), 200, CUSTOM, heads.HIT)
    assert (b"Content-Type", JSON.encode()) in told.headers


def test_refusals_say_why() -> None:
    assert (cut_off("no").code, cut_off("no").message) == (503, "cut off: no")
    assert unreadable(CodecError("cut")).code == 400
    codes = {
        Verdict.UNAUTHENTICATED: 401,
        Verdict.FORBIDDEN: 403,
        Verdict.UNKNOWN: 503,
    }
    for verdict, code in codes.items():
        assert not_allowed(call(""), Judgement(verdict, "jane", "why")).code == code
