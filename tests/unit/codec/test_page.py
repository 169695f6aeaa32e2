# SPDX-License-Identifier: Apache-2.0
"""What a list tells of itself, in each form."""

import pytest

from toono.codec.page import Page, page_json, page_json_sorted, page_protobuf

LAST = Page("9")
FIRST = Page("9", "abc", 2)


@pytest.mark.parametrize(
    ("page", "typed", "custom"),
    [
        (LAST, b'{"resourceVersion":"9"}', b'{"continue":"","resourceVersion":"9"}'),
        (
            FIRST,
            b'{"resourceVersion":"9","continue":"abc","remainingItemCount":2}',
            b'{"continue":"abc","remainingItemCount":2,"resourceVersion":"9"}',
        ),
        (
            Page("9", "abc", 0),
            b'{"resourceVersion":"9","continue":"abc","remainingItemCount":0}',
            b'{"continue":"abc","remainingItemCount":0,"resourceVersion":"9"}',
        ),
        (Page(""), b"{}", b'{"continue":"","resourceVersion":""}'),
    ],
)
def test_json_leaves_out_what_is_empty_and_custom_lists_keep_continue(
    page, typed, custom
) -> None:
    assert page_json(page) == typed
    assert page_json_sorted(page) == custom


def test_protobuf_always_has_three_texts_and_the_count_where_it_is_told() -> None:
    assert page_protobuf(LAST) == b"\x0a\x00\x12\x019\x1a\x00"
    assert page_protobuf(FIRST) == b"\x0a\x00\x12\x019\x1a\x03abc\x20\x02"
