# SPDX-License-Identifier: Apache-2.0
"""The rules of lists are tested where they are used; here: where one is read."""

import gzip
import threading

import pytest

from tests.unit.cache.kit import JSON_FIELDS, Cache, pod, pod_list, run, table
from toono.cache import listed
from toono.cache.listed import THREAD_BYTES, expected_of, read_list
from toono.codec.registry import for_media_type
from toono.errors import CodecError

CODEC = for_media_type("application/json")
SMALL = pod_list(20, pod("a", 5))
LARGE = pod_list(20, pod("a", 5, note="x" * THREAD_BYTES))


@pytest.mark.parametrize(
    ("body", "coding", "beside"),
    [
        (SMALL, b"", False),
        (LARGE, b"", True),
        (gzip.compress(SMALL), b"gzip", True),
        (gzip.compress(LARGE), b"gzip", True),
    ],
)
def test_what_takes_long_is_read_in_a_thread(
    body, coding, beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        threads = []
        compacted = listed.compacted

        def note(text: bytes) -> bytes:
            threads.append(threading.current_thread() is not threading.main_thread())
            return compacted(text)

        monkeypatch.setattr(listed, "compacted", note)
        fields = JSON_FIELDS | ({b"content-encoding": coding} if coding else {})
        parts, columns = await read_list(CODEC, body, fields, objects=False)
        assert [item.name for item in parts.items] == ["a"]
        assert columns is None
        assert threads == [beside]

    run(scenario)


def test_a_table_brings_its_columns() -> None:
    async def scenario() -> None:
        parts, columns = await read_list(
            CODEC, table(20, "a"), JSON_FIELDS, objects=False
        )
        assert [item.name for item in parts.items] == ["a"]
        assert columns is not None

    run(scenario)


@pytest.mark.parametrize("body", [b"nonsense", SMALL])
def test_what_cannot_be_read_is_told(body: bytes) -> None:
    async def scenario() -> None:
        fields = JSON_FIELDS | {b"content-encoding": b"gzip"}
        with pytest.raises(CodecError):
            await read_list(CODEC, body, fields, objects=False)

    run(scenario)


def test_what_is_expected_is_what_is_there_and_of_all_the_worst_is_said() -> None:
    async def scenario() -> None:
        cache = Cache()
        await cache.take("/api/v1/pods", pod_list(20, pod("b", 5), pod("a", 6)))
        (scope,) = cache.scopes.all()
        row = scope.rows["default", "a"]
        found = expected_of(scope)
        assert [(one.name, one.resource_version) for one in found] == [
            ("b", "5"),
            ("a", "6"),
        ]
        assert found[1].data is row.data is not None
        assert all(one.deleting for one in found)
        row.data = None  # its bytes are only in the store
        assert [one.name for one in expected_of(scope)] == ["b"]
        assert expected_of(None) == []

    run(scenario)
