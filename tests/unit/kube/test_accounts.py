# SPDX-License-Identifier: Apache-2.0
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.kube.accounts import account_named, claimed_account

USER = "system:serviceaccount:kube-system:cilium"


@pytest.mark.parametrize("text", ["kube-system/cilium", " kube-system:cilium ", USER])
def test_an_account_is_written_in_three_ways(text) -> None:
    assert account_named(text) == USER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cilium",
        "a/b/c",
        "a/",
        "/b",
        "A/b",
        "a/../b",
        "a/b c",
        "a/*",
        "a/b\nc",
        "é/b",
    ],
)
def test_what_is_no_account_is_none(text) -> None:
    assert account_named(text) == ""


def token(claims: bytes) -> bytes:
    body = base64.urlsafe_b64encode(claims).rstrip(b"=")
    return b"e30." + body + b".c2ln"


def test_a_token_says_whose_it_is() -> None:
    assert claimed_account(token(f'{{"sub":"{USER}","x":1}}'.encode())) == USER


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"opaque",
        b"a.b",
        b"a.!!.c",
        token(b"no json"),
        token(b'{"sub":1}'),
        token(b'{"sub":"alice"}'),
        token(b"\xff"),
        token(f'{{"sub":"{USER}{"a" * 20000}"}}'.encode()),
    ],
)
def test_other_tokens_are_nobodys(given) -> None:
    assert claimed_account(given) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_an_account_or_none(content) -> None:
    found = claimed_account(content)
    assert found == "" or found.startswith("system:serviceaccount:")
