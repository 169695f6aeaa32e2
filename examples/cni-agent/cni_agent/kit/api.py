# SPDX-License-Identifier: Apache-2.0
"""What the kit asks of a client of the API: bytes in and out, and two ways to fail."""

from collections.abc import Iterator, Mapping
from typing import Protocol

MERGE_PATCH = "application/merge-patch+json"


class RefusedError(Exception):
    """The API has answered, and it is no."""

    def __init__(self, code: int, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.retry_after = code, retry_after


class UnreachableError(Exception):
    """Nobody has answered, or not to the end."""


class API(Protocol):
    """A client of the API. It keeps to its limits, and knows who it is."""

    def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """Return the body of a 200."""
        ...

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the lines of a stream until it ends."""
        ...

    def patch(self, path: str, content: bytes, media_type: str) -> bytes:
        """Change an object; return it as it is now."""
        ...
