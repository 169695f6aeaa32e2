# SPDX-License-Identifier: Apache-2.0
"""Asking for one document: headers, limits, and what the answer means."""

import asyncio
import contextlib
import gzip
import json

import pytest

from tests.unit.restmapper.kit import AGGREGATED, X, standard
from tests.unit.restmapper.virtual import run
from toono.restmapper import GroupVersion, Reply
from toono.restmapper import fetch as module
from toono.restmapper.discovery import ACCEPT_AGGREGATED, Form
from toono.restmapper.fetch import Fetcher, Page, group_path

ROOT, VERSION = Page("/apis"), Page.of_version(GroupVersion(X, "v1"))


class Answers:
    """A transport that gives answers in turn and keeps what it was sent."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    @contextlib.asynccontextmanager
    async def get(self, target, headers):
        self.sent.append((target, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer

        async def pieces():
            for start in range(0, len(body), 1000):
                yield body[start : start + 1000]

        yield Reply(status=status, headers=headers, chunks=pieces())


def ask(page, *answers, known=None, timeout=1.0):
    transport = Answers(*answers)
    fetcher = Fetcher(transport, timeout=timeout)
    return run(fetcher.read(page, known)), transport, fetcher


def document(mode="aggregated", page=ROOT):
    cluster = standard(mode).add(X, "v1", "Driver")
    accept = ACCEPT_AGGREGATED if mode == "aggregated" else ""
    status, kind, body, etag = cluster.answer(page.path, accept)
    headers = {"content-type": kind} | ({"etag": etag} if etag else {})
    return status, headers, body


def test_paths():
    assert group_path("") == "/api"
    assert Page.of_group("") == Page("/api")
    assert Page.of_group(X).path == f"/apis/{X}"
    assert Page.of_version(GroupVersion("", "v1")).path == "/api/v1"


def test_a_root_is_asked_for_in_the_aggregated_form_and_a_version_is_not():
    reading, transport, _ = ask(ROOT, document())
    assert reading.document.form is Form.AGGREGATED
    assert transport.sent[0][1]["accept"] == ACCEPT_AGGREGATED
    reading, transport, _ = ask(VERSION, document("legacy", VERSION))
    assert reading.document.form is Form.LEGACY
    assert transport.sent[0][1]["accept"] == "application/json"
    assert "if-none-match" not in transport.sent[0][1]


def test_what_is_known_is_not_read_again():
    known = ask(ROOT, document())[0].document
    reading, transport, _ = ask(ROOT, (304, {}, b""), known=known)
    assert reading.unchanged
    assert transport.sent[0][1]["if-none-match"] == known.etag
    legacy = document("legacy", VERSION)
    known = ask(VERSION, legacy)[0].document
    reading, transport, _ = ask(VERSION, legacy, known=known)
    assert reading.unchanged
    assert "if-none-match" not in transport.sent[0][1]
    status, headers, body = legacy
    for other in (
        (status, headers | {"etag": '"1"'}, body),
        (status, headers | {"content-type": "application/json; charset=utf-8"}, body),
        (status, headers, body + b"\n"),
    ):
        assert ask(VERSION, other, known=known)[0].document


def test_a_304_that_nobody_asked_for_is_a_failure():
    assert "HTTP 304" in ask(ROOT, (304, {}, b""))[0].failure


def test_a_refused_form_is_asked_for_plainly_and_then_no_more():
    reading, transport, fetcher = ask(
        ROOT, (406, {}, b""), document("legacy"), known=None
    )
    assert reading.document.form is Form.LEGACY
    assert fetcher.is_plain
    assert [sent["accept"] for _, sent in transport.sent] == [
        ACCEPT_AGGREGATED,
        "application/json",
    ]
    fetcher.offer_again()
    assert not fetcher.is_plain


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 503])
def test_which_failures_are_permanent(status):
    reading = ask(ROOT, (status, {}, b"no"))[0]
    assert reading.failure == f"/apis: HTTP {status}"
    assert reading.permanent is (status in (400, 401, 403, 404))


def test_gzip_is_undone_whatever_the_headers_say():
    status, headers, body = document()
    reading = ask(ROOT, (status, headers, gzip.compress(body)))[0]
    assert reading.document.raw == body


def test_gzip_that_ends_early_is_a_failure():
    status, headers, body = document()
    reading = ask(ROOT, (status, headers, gzip.compress(body)[:-20]))[0]
    assert "gzip ended before its end" in reading.failure


def test_large_answers_are_refused_packed_or_not(monkeypatch):
    monkeypatch.setattr(module, "MAX_DOCUMENT_BYTES", 5000)
    headers = {"content-type": AGGREGATED}
    for body in (bytes(5001), gzip.compress(bytes(100_000))):
        reading = ask(ROOT, (200, headers, body))[0]
        assert "more than 5000 bytes" in reading.failure


def test_large_documents_are_read_in_a_thread(monkeypatch):
    monkeypatch.setattr(module, "THREAD_BYTES", 10)
    calls, plain = [], asyncio.to_thread

    async def to_thread(function):
        calls.append(function)
        return await plain(function)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    assert ask(ROOT, document())[0].document
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("page", "body"),
    [
        (Page("/api"), {"kind": "APIGroupList", "groups": [{"name": X}]}),
        (Page.of_group(X), {"name": "other", "versions": [{"version": "v1"}]}),
        (VERSION, {"kind": "APIResourceList", "groupVersion": "v1"}),
        (ROOT, {"kind": "APIVersions", "versions": ["v1"]}),
    ],
)
def test_a_document_of_another_path_is_a_failure(page, body):
    headers = {"content-type": "application/json"}
    reading = ask(page, (200, headers, json.dumps(body).encode()))[0]
    assert reading.failure.startswith(page.path)


def test_the_aggregated_form_of_a_version_is_a_failure():
    status, headers, body = document()
    assert "content type" in ask(VERSION, (status, headers, body))[0].failure


def test_a_small_document_that_is_no_discovery():
    for answer, expected in (
        ((200, {}, b"{}"), b"{}"),
        ((500, {}, b"{}"), b""),
        (OSError(), b""),
    ):
        transport = Answers(answer)
        assert run(Fetcher(transport, timeout=1).plain("/version")) == expected
