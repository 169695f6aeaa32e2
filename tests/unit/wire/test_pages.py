# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.wire.pages import is_from_page, is_loopback


def fields(**given: str) -> dict[bytes, bytes]:
    found = {"host": "127.0.0.1:10261"} | given
    return {k.replace("_", "-").encode(): v.encode() for k, v in found.items()}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "localhost:10261"},
        {"host": "[::1]:10261"},
        {"host": "hub"},
        {"host": "node.localhost:1"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin"},
        # Python's websocket-client names as Origin where it calls.
        {"origin": "http://127.0.0.1:10261"},
        {"origin": "https://localhost", "host": "localhost"},
    ],
)
def test_what_programs_send_is_no_page_s(given: dict[str, str]) -> None:
    assert not is_from_page(fields(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:10261"},
        {"origin": "http://127.0.0.1:10262"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "evil.example:10261"},
        {"host": "evil.example", "origin": "http://evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "evil.example."},
        {"host": "1.2.3.4x.example"},
    ],
)
def test_what_a_page_may_have_sent_is(given: dict[str, str]) -> None:
    assert is_from_page(fields(**given))


def test_only_this_machine_calls_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.2", "::1")))
    assert not any(map(is_loopback, ("169.254.2.1", "10.0.0.1", "fd00::2:1", "")))
