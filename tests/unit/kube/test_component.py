# SPDX-License-Identifier: Apache-2.0
"""A User-Agent names one component, and can reach no other and no other directory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.kube.component import MAX_COMPONENT, component_of


@pytest.mark.parametrize(
    ("user_agent", "component"),
    [
        ("kubelet/v1.34.0 (linux/amd64) kubernetes/f28b4c9", "kubelet"),
        ("Kubelet", "kubelet"),
        ("kube-proxy/v1.34.0", "kube-proxy"),
        ("Go-http-client/1.1", "go-http-client"),
        ("Mozilla (X11)", "mozilla"),
        ("my_agent.v2/1", "my_agent.v2"),
        ("", ""),
        ("/v1", ""),
        (" kubelet", ""),
        ("kubelet/../kube-proxy", "kubelet"),
        ("..", "%2E."),
        (".", "%2E"),
        ("../../etc/passwd", "%2E."),
        ("_internal/1", "%5Finternal"),
        ("tmp_kubelet/1", "%74mp_kubelet"),
        ("ku\0be", "ku%00be"),
        ("a%2fb", "a%252fb"),
        ("a:b*?", "a%3Ab%2A%3F"),
        ("a\tb", "a%09b"),
        ("\xc3\xa9", "%C3%A9"),
    ],
)
def test_the_product_is_made_safe(user_agent: str, component: str) -> None:
    assert component_of(user_agent) == component


def test_the_kelvin_sign_is_no_k() -> None:
    assert "\u212a".lower() == "k"
    assert component_of("\u212aubelet/1") == "%E2%84%AAubelet"
    on_the_wire = "\u212aubelet/1".encode().decode("latin-1")
    assert component_of(on_the_wire) == "%E2%84%AAubelet"


def test_letters_beyond_ascii_keep_their_case() -> None:
    assert component_of("\xc9") == "%C9"
    assert component_of("\xe9") == "%E9"
    assert component_of("\u0130") != component_of("i")


def test_a_very_long_product_ends_in_a_hash() -> None:
    one, other = component_of("a" * 65536), component_of("a" * 65535)
    assert len(one) == len(other) == MAX_COMPONENT
    assert one != other
    assert component_of("a" * MAX_COMPONENT) == "a" * MAX_COMPONENT


WIRE_TEXT = st.text(st.characters(max_codepoint=255), max_size=20)
"""What the wire hands over: bytes as latin-1."""


def product(user_agent: str) -> bytes:
    text = user_agent.partition("/")[0].partition(" ")[0]
    return text.encode("latin-1").lower()  # bytes.lower is ASCII only


@given(WIRE_TEXT, WIRE_TEXT)
def test_two_products_make_one_component_only_by_case(one: str, other: str) -> None:
    same = component_of(one) == component_of(other)
    assert same == (product(one) == product(other))


@given(st.text(max_size=200))
def test_a_component_is_always_safe(user_agent: str) -> None:
    component = component_of(user_agent)
    assert component.isascii()
    assert len(component) <= MAX_COMPONENT
    assert not component.startswith(("_", "tmp_"))
    assert component not in (".", "..")
    assert not set(component) & set("/\\ \0:*")
