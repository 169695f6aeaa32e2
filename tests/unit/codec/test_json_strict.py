# SPDX-License-Identifier: Apache-2.0
"""Documents that no client could decode are told from those that only look so."""

import json
from math import isinf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.json_strict import check, read
from toono.errors import CodecError


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"a":1e21,"b":-1.5e-300,"c":1.7976931348623157e308}',
        b'{"a":"1e400"}',
        b'{"a":"x: 1e400, [1e999"}',
        b'{"a":"\\": 1e400"}',
        b'{"uid":"11fd6786-1e04-4b2a-9d51-1e400cd9a1e5"}',
        b'{"image":"r/x@sha256:1e400e500"}',
        b'{"a":' + b"1" * 308 + b"}",
        b'{"a":"' + b"0" * 5000 + b'"}',
        b'{"a":": ' + b"0" * 5000 + b'"}',
        b'{"a":1e-400}',
        b'{"a":0e400}',
        '{"a":"é😀"}'.encode(),
    ],
)
def test_what_can_be_decoded_passes(body: bytes) -> None:
    check(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1e400}',
        b'{"a": 1e400}',
        b'{"a":-1E400}',
        b'{"a":1e+400}',
        b'{"a":123.45e999}',
        b'{"a":[1,1e400]}',
        b"[1e400]",
        b"1e400",
        b'{"a":' + b"1" * 310 + b"}",
        b'{"a":-' + b"9" * 5000 + b"}",
        b'{"a":"1e400","b":1e400}',
        b'{"a":1e400.5}',
        b"\xff",
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc3"}',
    ],
)
def test_what_no_client_could_decode_is_refused(body: bytes) -> None:
    with pytest.raises(CodecError):
        check(body)


NUMBERS = st.one_of(
    st.integers(-(10**320), 10**320).map(str),
    st.builds("{}e{}".format, st.integers(-999, 999), st.integers(-450, 450)),
    st.builds("{}.{}E+{}".format, st.integers(0, 99), st.integers(0, 9), st.just(400)),
)
TEXTS = st.text('1e40+-:[," \\abc', max_size=12)


@given(st.lists(st.one_of(NUMBERS, TEXTS.map(json.dumps)), max_size=6))
def test_a_document_passes_exactly_if_its_numbers_are_finite(values: list[str]) -> None:
    body = f"[{','.join(values)}]".encode()
    finite = all(
        not isinf(float(value)) for value in values if not value.startswith('"')
    )
    try:
        check(body)
    except CodecError:
        assert not finite
    else:
        assert finite


def test_what_a_decoder_cannot_read_is_a_codec_error() -> None:
    decode = msgspec.json.Decoder(dict[str, int]).decode
    assert read(decode, b'{"a":1}') == {"a": 1}
    for body in (b"{", b'{"a":"x"}', b'{"\xff":1}', b'{"a":' + b"[" * 100_000):
        with pytest.raises(CodecError, match="application/json"):
            read(decode, body)
