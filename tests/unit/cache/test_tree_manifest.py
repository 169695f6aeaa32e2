# SPDX-License-Identifier: Apache-2.0
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.cache.forms import JSON
from toono.cache.scope import Question
from toono.cache.tree_manifest import (
    FileFact,
    Manifest,
    ScopeFact,
    decode,
    encode,
    is_sound,
)

CONTENT = b'{"kind":"Pod"}\n'
FACT = FileFact(zlib.crc32(CONTENT), len(CONTENT), "uid", "7", 0)
MANIFEST = Manifest(
    scopes=(
        ScopeFact(
            question=Question("kubelet", "", "v1", "pods", "", "", "", "", JSON),
            kind="Pod",
            list_kind="PodList",
            version=9,
            epoch=0,
            complete=True,
            count=1,
        ),
    ),
    files={"kubelet/pods.v1.core": {"default/a": FACT}},
)


def test_a_manifest_reads_back() -> None:
    assert decode(encode(MANIFEST)) == MANIFEST


@given(st.integers(0, len(encode(MANIFEST)) - 2), st.integers(1, 255))
def test_a_changed_byte_is_no_manifest(at, change) -> None:
    content = bytearray(encode(MANIFEST))
    content[at] ^= change
    assert decode(bytes(content)) in (None, MANIFEST)  # white space may change


@given(st.integers(0, len(encode(MANIFEST)) - 2))
def test_a_torn_manifest_is_none(end) -> None:
    assert decode(encode(MANIFEST)[:end]) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 5000, b'{"format":2}'])
def test_what_is_of_another_format_is_none(content) -> None:
    assert decode(content) is None


def test_a_newer_format_is_none() -> None:
    assert decode(encode(MANIFEST).replace(b'"format":1', b'"format":2')) is None


def test_a_file_is_sound_as_written_or_newer() -> None:
    assert is_sound(FACT, CONTENT, "7")
    assert is_sound(None, b"anything", "1")
    assert is_sound(FACT, b"another", "8")


@pytest.mark.parametrize("version", ["7", "6", "x"])
def test_a_file_that_is_not_newer_with_another_sum_is_damaged(version) -> None:
    assert not is_sound(FACT, b"another", version)
