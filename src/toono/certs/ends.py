# SPDX-License-Identifier: Apache-2.0
"""When a certificate ends: read from its file, without a library of 12 MB.

Only as much of X.509 is known as leads to notAfter (RFC 5280, 4.1). It verifies
nothing: what the file says is told to the operator, and nothing else follows.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

BEGIN = "-----BEGIN CERTIFICATE-----"
END = "-----END CERTIFICATE-----"
MAX_BYTES = 256 * 1024
SEQUENCE, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def ends_at(path: Path) -> float | None:
    """Return the wall time at which a PEM file's first certificate ends.

    None where the file cannot be read or holds none: who uses it says what is wrong.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("ascii", "replace")
        _, begun, rest = text.partition(BEGIN)
        content, ended, _ = rest.partition(END)
        if not begun or not ended:
            return None
        return _not_after(ssl.PEM_cert_to_DER_cert(begun + content + ended))
    except (OSError, ValueError, IndexError):
        return None


def _not_after(der: bytes) -> float:
    """Walk: Certificate, its first field, past what comes before the validity."""
    tag, certificate, _ = _element(der)
    _, signed, _ = _element(certificate)
    tag, _, after = _element(signed)
    if tag == VERSION:
        signed = after
    for _ in ("serial number", "signature", "issuer"):
        _, _, signed = _element(signed)
    tag, validity, _ = _element(signed)
    if tag != SEQUENCE:
        raise ValueError("no validity where it should be")
    _, _, after = _element(validity)
    tag, text, _ = _element(after)
    if tag not in (UTC_TIME, GENERALIZED_TIME):
        raise ValueError("no time where it should be")
    form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode(), form).replace(tzinfo=UTC).timestamp()


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """Return the tag, the content and the rest of what begins with a DER element."""
    tag, size, start = der[0], der[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    return tag, der[start : start + size], der[start + size :]
