# SPDX-License-Identifier: Apache-2.0
"""What a list answer tells of itself: its version, and where the next page begins.

Knows nothing of what is listed. Key order is the API server's; what is empty is left
out of typed JSON, while custom resources' lists always have `continue`.
"""

from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from toono.codec.wireformat import encode_number, encode_text


class Page(NamedTuple):
    """What the metadata of a list answer tells of it as a whole."""

    resource_version: str
    continue_token: str = ""
    remaining: int | None = None
    """remainingItemCount; None where it is not told."""


def page_json(page: Page) -> bytes:
    """Return a list's metadata as typed answers have it: what is empty is left out."""
    return msgspec.json.encode(
        _ListMeta(
            page.resource_version or UNSET,
            page.continue_token or UNSET,
            UNSET if page.remaining is None else page.remaining,
        )
    )


def page_json_sorted(page: Page) -> bytes:
    """Return a list's metadata as lists of custom resources have it."""
    told: dict[str, str | int] = {"continue": page.continue_token}
    if page.remaining is not None:
        told["remainingItemCount"] = page.remaining
    return msgspec.json.encode(told | {"resourceVersion": page.resource_version})


def page_protobuf(page: Page) -> bytes:
    """Return the message ListMeta; its first field, selfLink, is always empty."""
    meta = encode_text(1, "") + encode_text(2, page.resource_version)
    meta += encode_text(3, page.continue_token)
    return meta if page.remaining is None else meta + encode_number(4, page.remaining)


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str | UnsetType
    continue_: str | UnsetType = msgspec.field(name="continue")
    remaining_item_count: int | UnsetType
