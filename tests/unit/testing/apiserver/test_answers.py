# SPDX-License-Identifier: Apache-2.0
"""Answers: types, caching, line ends."""

import json

import pytest

from toono.codec.protobuf import ProtobufCodec
from toono.testing.apiserver import answers
from toono.testing.apiserver.query import Refusal

JSON = [
    (b"Content-Type", b"application/json"),
    (b"Cache-Control", b"no-cache, private"),
]


def test_a_document_ends_with_a_line_feed() -> None:
    response = answers.of_json(201, {"a": 1})
    assert (response.status, response.content) == (201, b'{"a":1}\n')
    assert response.headers == JSON
    assert answers.of_bytes(200, b"x", b"y/z").headers[0] == (b"Content-Type", b"y/z")


def test_a_refusal_goes_out_as_json_indented_or_in_protobuf() -> None:
    refusal = Refusal(404, "NotFound", "nothing here")
    plain = answers.of_refusal(refusal)
    assert plain.content == answers.of_json(404, refusal.status()).content
    pretty = answers.of_refusal(Refusal(406, "NotAcceptable", "no", pretty=True))
    assert pretty.content.startswith(b'{\n  "kind": "Status",\n')
    assert not pretty.content.endswith(b"\n")
    protobuf = answers.of_refusal(refusal, protobuf=True)
    assert ProtobufCodec().read_status(protobuf.content) == refusal.status()
    media_type = b"application/vnd.kubernetes.protobuf"
    assert protobuf.headers[0] == (b"Content-Type", media_type)


@pytest.mark.parametrize("protobuf", [True, False])
def test_a_refusal_may_say_when_to_come_again(protobuf: bool) -> None:
    refusal = Refusal(504, "Timeout", "later", retry_after=7)
    response = answers.of_refusal(refusal, protobuf=protobuf)
    assert (b"Retry-After", b"7") in response.headers
    other = answers.of_refusal(Refusal(404, "", ""), protobuf=protobuf)
    assert b"Retry-After" not in dict(other.headers)


def test_what_the_wire_turned_away_gets_a_status() -> None:
    headers, body = answers.refuse(431, "too much")
    assert headers == [answers.JSON_TYPE]
    assert (json.loads(body)["code"], json.loads(body)["message"]) == (431, "too much")


def test_health_is_told_shortly_or_by_check() -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        response = answers.health(path, ready=True, verbose=False)
        assert (response.status, response.content) == (200, b"ok")
    verbose = answers.health("/livez", ready=False, verbose=True)
    assert verbose.content == b"[+]ping ok\nlivez check passed\n"
    assert answers.health("/readyz", ready=False, verbose=False).status == 500
    assert answers.health("/healthz", ready=False, verbose=False).status == 200


def test_text_is_not_to_be_guessed_at() -> None:
    headers = dict(answers.of_text(404, b"no").headers)
    assert headers[b"X-Content-Type-Options"] == b"nosniff"
    assert headers[b"Content-Type"].startswith(b"text/plain")


def test_the_version_is_indented() -> None:
    response = answers.version()
    assert response.content.startswith(b'{\n  "major": "1",\n  "minor": "34",')
    assert json.loads(response.content)["gitVersion"] == "v1.34.0"
