# SPDX-License-Identifier: Apache-2.0
"""Service accounts by name, as tokens bear them and as people write them.

What a token says of itself is not checked here: nothing may be allowed by it.
"""

import base64
import binascii
import re
from functools import lru_cache

import msgspec

PREFIX = "system:serviceaccount:"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_WRITTEN = re.compile(
    rf"(?:{PREFIX})?({_LABEL})[:/]({_LABEL}(?:\.{_LABEL})*)\Z", re.ASCII
)
_MAX_TOKEN_BYTES = 16 * 1024


class _Claims(msgspec.Struct):
    sub: str = ""


_claims = msgspec.json.Decoder(_Claims).decode


def account_named(text: str) -> str:
    """Return the user that NAMESPACE/NAME means; "" where it is no service account."""
    match = _WRITTEN.match(text.strip())
    return f"{PREFIX}{match[1]}:{match[2]}" if match else ""


@lru_cache(maxsize=256)
def claimed_account(token: bytes) -> str:
    """Return the service account that a token says is its owner, "" where none."""
    parts = token.split(b".")
    if len(parts) != 3 or len(token) > _MAX_TOKEN_BYTES:
        return ""
    padded = parts[1] + b"=" * (-len(parts[1]) % 4)
    try:
        user = _claims(base64.b64decode(padded, altchars=b"-_", validate=True)).sub
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return user if user.startswith(PREFIX) else ""
