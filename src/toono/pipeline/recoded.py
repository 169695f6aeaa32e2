# SPDX-License-Identifier: Apache-2.0
"""What writes an answer, and the forms that are written by way of JSON: YAML and CBOR.

Both are for whole objects alone, and nothing is ever kept in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from toono.codec import cbor
from toono.codec.page import Page
from toono.codec.yaml import to_yaml

YAML = "application/yaml"
RECODED = (YAML, cbor.MEDIA_TYPE)


class Rendering(Protocol):
    """Writes rows of one scope as one client asked for them."""

    @property
    def content_type(self) -> str: ...

    @property
    def watch_content_type(self) -> str: ...

    def single(self, item: bytes, version: str) -> bytes:
        """Return the answer to a GET for an object at `version`."""
        ...

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        """Return pieces that join to the answer to a LIST."""
        ...

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        """Return the frames of a watch that tell what is there.

        `versions` are the items' own: a client that is cut off among them goes on
        from the last one it heard, and must hear the others again.
        """
        ...

    def bookmark(self, version: str, *, end: bool) -> bytes:
        """Return the frame of a bookmark; `end` closes a burst."""
        ...


def recoded(json: Rendering, media_type: str) -> Rendering:
    """Return what writes in a media type what `json` writes in its own."""
    if media_type == YAML:
        return InYAML(json)
    return InCBOR(json) if media_type == cbor.MEDIA_TYPE else json


def streams(media_type: str, verb: str) -> bool:
    """Say whether a verb may be answered in one of these: no watch is in YAML."""
    return verb != "watch" or media_type != YAML


@dataclass(slots=True)
class InYAML:
    """Whole objects as YAML, by way of JSON. Watches have no such form."""

    json: Rendering
    content_type: str = YAML

    @property
    def watch_content_type(self) -> str:
        return self.json.watch_content_type

    def single(self, item: bytes, version: str) -> bytes:
        return to_yaml(self.json.single(item, version))

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        return [to_yaml(b"".join(self.json.listed(items, page)))]

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        return self.json.added(items, versions)

    def bookmark(self, version: str, *, end: bool) -> bytes:
        return self.json.bookmark(version, end=end)


@dataclass(slots=True)
class InCBOR:
    """Whole objects as CBOR, by way of JSON; its watches are sequences."""

    json: Rendering
    content_type: str = cbor.MEDIA_TYPE
    watch_content_type: str = cbor.WATCH_MEDIA_TYPE

    def single(self, item: bytes, version: str) -> bytes:
        return cbor.from_json(self.json.single(item, version))

    def listed(self, items: Sequence[bytes], page: Page) -> list[bytes]:
        return [cbor.from_json(b"".join(self.json.listed(items, page)))]

    def added(self, items: Sequence[bytes], versions: Sequence[str]) -> list[bytes]:
        return [cbor.frame_from_json(one) for one in self.json.added(items, versions)]

    def bookmark(self, version: str, *, end: bool) -> bytes:
        return cbor.frame_from_json(self.json.bookmark(version, end=end))
