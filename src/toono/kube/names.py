# SPDX-License-Identifier: Apache-2.0
"""Names and versions of Kubernetes: how they compare and how they become file names.

Knows no request and no payload. Which kinds are built in stands in `kube.kinds`.
"""

import re
from typing import NamedTuple


class GroupResource(NamedTuple):
    """A resource whatever its version: what API servers name in messages."""

    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


class GroupVersionResource(NamedTuple):
    """A resource at one version: what a path names."""

    group: str
    version: str
    resource: str

    @property
    def api_version(self) -> str:
        """As objects carry it: v1, apps/v1."""
        return f"{self.group}/{self.version}" if self.group else self.version


_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


def parse_version(text: str) -> int | None:
    """Return a resourceVersion as a number, None where it is not one.

    Plain decimals without leading zero, at most 19 digits (KEP-5504); int() alone
    would take "+1", "1_0" and Arabic digits.
    """
    return int(text) if _VERSION.match(text) else None


def newer(one: str, other: str) -> bool:
    """Say whether resourceVersion `one` is newer than `other`.

    Never true where either is no number: who cannot compare must not advance.
    """
    left, right = parse_version(one), parse_version(other)
    return left is not None and right is not None and left > right


def quoted(text: str) -> str:
    """Return `text` as Go's %q writes it: the API server's messages hold that."""
    return '"' + "".join(_GO_ESCAPES.get(char) or _go_char(char) for char in text) + '"'


_GO_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def _go_char(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_path_segment(name: str) -> bool:
    """Say whether `name` can stand in a path, by the API server's own rule."""
    return name not in ("", ".", "..") and "/" not in name and "%" not in name
