# SPDX-License-Identifier: Apache-2.0
"""The objects that a list is expected to hold, in the order it is expected to have.

Most of a list is as it was the last time. What is found byte for byte where it is
expected need not be read.
"""

from collections.abc import Sequence

from toono.codec.base import Object


class Expected:
    """A place in what was known before; `next` is what most likely comes next.

    `seen` counts what was there again, as it was or changed.
    """

    __slots__ = ("_at", "_objects", "_places", "next", "seen")

    def __init__(self, objects: Sequence[Object] = ()) -> None:
        self._objects = objects
        self._at = self.seen = 0
        self._places: dict[tuple[str, str], int] | None = None
        self.next: Object | None = objects[0] if objects else None

    def step(self) -> None:
        """Go on: `next` was there."""
        self.seen += 1
        self._go(self._at + 1)

    def passed_by(self, other: Object) -> None:
        """Go on behind `other`, which was there instead, if it was known at all."""
        if self._places is None:
            self._places = {
                (one.namespace, one.name): at for at, one in enumerate(self._objects)
            }
        place = self._places.get((other.namespace, other.name))
        if place is not None:
            self.seen += self._objects[place].uid == other.uid
            self._go(place + 1)

    def _go(self, at: int) -> None:
        self._at = at
        self.next = self._objects[at] if at < len(self._objects) else None
