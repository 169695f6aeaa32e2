# SPDX-License-Identifier: Apache-2.0
from toono.pipeline import heads


def test_hop_by_hop_fields_do_not_go_upstream() -> None:
    sent = [
        (b"Connection", b"close"),
        (b"TE", b"trailers"),
        (b"Host", b"127.0.0.1:10261"),
        (b"Content-Length", b"5"),
        (b"Accept", b"application/json"),
        (b"accept-ENCODING", b"gzip"),
    ]
    assert heads.upstream_headers(sent) == [
        (b"Accept", b"application/json"),
        (b"accept-ENCODING", b"gzip"),
        (b"Via", b"1.1 toono"),
    ]


def test_answers_keep_their_fields_as_spelled_and_say_where_they_came_from() -> None:
    answered = [
        (b"Audit-Id", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Retry-After", b"1"),
    ]
    kept = [answered[0], answered[2]]
    added = [(b"Via", b"1.1 toono"), (b"Cache-Status", b"toono; fwd=miss; stored")]
    for sent in (answered, kept):
        fields = {name.lower(): value for name, value in sent}
        found = heads.downstream_headers(sent, fields, heads.STORED)
        assert found == [*kept, *added]


def test_the_media_type_is_bare_however_its_field_is_spelled() -> None:
    field = (b"CONTENT-type", b"Application/JSON; charset=utf-8")
    assert heads.media_type([(b"Age", b"1"), field]) == "application/json"
    assert heads.media_type([(b"Age", b"1")]) == ""


def test_the_warning_is_one_text_for_one_outage() -> None:
    first, second = heads.warning(1795222800.2), heads.warning(1795222800.9)
    assert first == second
    assert first[1] == (
        b'299 toono "cut off since 2026-11-21T01:00:00Z; '
        b'answered by toono from its cache"'
    )


def test_what_is_said_to_the_hub_alone_does_not_go_upstream() -> None:
    sent = heads.upstream_headers([(b"Edge-Cache", b"true"), (b"Accept", b"*/*")])
    assert sent == [(b"Accept", b"*/*"), heads.VIA]


def test_a_stream_that_is_read_is_asked_for_without_a_coding() -> None:
    asked = [(b"Accept-Encoding", b"gzip"), (b"Accept", b"*/*")]
    assert heads.upstream_headers(asked) == [*asked, heads.VIA]
    sent = heads.upstream_headers(asked, plain=True)
    identity = (b"Accept-Encoding", b"identity")
    assert sent == [(b"Accept", b"*/*"), identity, heads.VIA]


def test_the_coding_is_found_however_its_field_is_spelled() -> None:
    field = (b"CONTENT-encoding", b"gzip")
    assert heads.coding([(b"Age", b"1"), field]) == {b"content-encoding": b"gzip"}
    assert heads.coding([(b"Age", b"1")]) == {}
