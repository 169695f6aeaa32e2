# SPDX-License-Identifier: Apache-2.0
"""A User-Agent → the component that it names, as a key and a directory of the cache.

Whoever may choose a User-Agent chooses this text: it must not reach another
component's directory, nor leave the cache's (`..`), nor fill the memory.
"""

from functools import lru_cache
from hashlib import blake2b

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
"""ASCII only: str.lower would make the Kelvin sign a k, and with it a kubelet."""
MAX_COMPONENT = 128
_DIGEST_HEX = 16
_MAX_CACHED_CHARS = 256


def component_of(user_agent: str) -> str:
    """Return the product of a User-Agent, lower case and safe as a file name.

    The product ends at the first "/" or space; none makes "". Any byte outside
    a-z 0-9 . _ - is written %XX, and so is what could be taken for a special name
    (".", "..", a leading "_" or "tmp_"); a very long one ends in a hash. Two products
    that differ in more than ASCII case make two components.
    """
    if len(user_agent) <= _MAX_CACHED_CHARS:
        return _cached(user_agent)
    return _component(user_agent)


def _component(user_agent: str) -> str:
    product = user_agent.partition("/")[0].partition(" ")[0].translate(_LOWER)
    safe = product
    if not _SAFE.issuperset(product):
        safe = "".join(map(_escaped, product))
    if safe in (".", "..") or safe.startswith(("_", "tmp_")):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe) <= MAX_COMPONENT:
        return safe
    digest = blake2b(safe.encode(), digest_size=_DIGEST_HEX // 2).hexdigest()
    # "%-" cannot come from an escape, so no short name looks like a long one.
    return f"{safe[: MAX_COMPONENT - _DIGEST_HEX - 2]}%-{digest}"


def _escaped(char: str) -> str:
    if char in _SAFE:
        return char
    # The wire hands bytes over as latin-1: one char of it is one byte.
    coding = "latin-1" if char <= "\xff" else "utf-8"
    return "".join(f"%{byte:02X}" for byte in char.encode(coding, "surrogatepass"))


_cached = lru_cache(maxsize=1024)(_component)
