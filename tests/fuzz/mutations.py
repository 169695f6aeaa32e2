# SPDX-License-Identifier: Apache-2.0
"""Bytes of recorded answers, hurt in the ways that links, disks and people hurt them."""

from collections.abc import Sequence

from hypothesis import strategies as st

SPLICES = (
    b"", b"\0", b"\xff", b"\x80", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\n",
    b"null", b"1e400", b"NaN", b"\\ud800", b'"kind":"Status",', b'"name":"evil",',
    b'"resourceVersion":"-1",', b'"metadata":{},', b"k8s\0", b"\x0a\x00", b"\x12\x04evil",
    b"\x0a\x04evil", b"\x32\x0299", b"\xff\xff\xff\xff\x0f",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, bodies: Sequence[bytes]) -> bytes:
    """Return one of `bodies` with up to three spots cut, doubled, moved or replaced."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 60)))
        spot, kind = body[start:end], draw(st.integers(0, 4))
        if kind == 0:
            fresh = draw(st.sampled_from(SPLICES))
        elif kind == 1:
            fresh = spot + draw(st.sampled_from(SPLICES))
        elif kind == 2:
            fresh = spot + spot
        elif kind == 3:
            at = draw(st.integers(0, len(body)))
            fresh = body[at : at + 40]
        else:
            fresh = draw(st.binary(max_size=4))
        body = body[:start] + fresh + body[end:]
    return body
