# SPDX-License-Identifier: Apache-2.0
"""A list in JSON, taken apart while it comes: what is left to do at its end is little.

An item that is known, byte for byte, is not read again: most of a list is as it was. Any
other is found by what stands between two items where an API server writes, and believed
once it decodes by itself: cut anywhere else it would not. What stands around the items
is read at the end as a list of the last one alone, by the same code that reads a list
at once. Whatever is not written so is gathered, and read so as a whole.
"""

import re
from collections.abc import Callable

from toono.codec.base import ListParts, Object
from toono.codec.expected import Expected
from toono.errors import CodecError

HEAD_BYTES = 4096
"""A list's head is no longer: a token to continue has some hundred bytes."""
MAX_NESTED = 16
"""How often within one item may stand what looks like the end of one."""
_TYPED = re.compile(
    rb'\{"kind":"([A-Za-z0-9]{1,63}?)List","apiVersion":"([a-z0-9./-]{1,317})",'
    rb'"metadata":\{"resourceVersion":"[0-9]{1,19}"[^{}\[\]\\]*\},"items":\['
    rb'(?=(\{(?:"kind":"\1","apiVersion":"\2",)?)"metadata":\{)'
)
"""An item names its kind where the list is of metadata alone."""
_UNSTRUCTURED = re.compile(
    rb'\{()"apiVersion":"([a-z0-9./-]{1,317})","items":\[(?=\{"apiVersion":"\2",)'
)
_TAIL = re.compile(rb'\],"kind":"[A-Za-z0-9]{1,63}","metadata":\{[^{}\[\]\\]*\}\}\s*\Z')
_TAIL_BEGINS = b'],"kind":"'


class JSONListReader:
    """Fed with the pieces of a list's body; its parts are those of the whole body.

    `split` reads a list at once, `take` an item of one, with the list's apiVersion. Both
    raise CodecError for what is none.
    """

    def __init__(
        self,
        split: Callable[[bytes], ListParts],
        take: Callable[[bytes, str], Object],
        expected: Expected,
    ) -> None:
        self._split, self._take, self._expected = split, take, expected
        self._begun = False
        self._head = b""
        self._typed = False
        self._api_version = ""
        self._lead = b""
        """With what items begin that is not kept of them."""
        self._between = b""
        self._objects: list[Object] = []
        self._rest: list[bytes] = []
        self._last = b""

    @property
    def left(self) -> int:
        """Bytes that will be read at the end."""
        return sum(map(len, self._rest))

    @property
    def recognised(self) -> int:
        """How many of those expected were there, by their uid."""
        return self._expected.seen

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self._rest.append(piece)
        if not self._begun:
            self._begin()
        elif self._between:
            if self._between in self._last + piece:
                self._cut()
            self._last = piece[1 - len(self._between) :]

    def _begin(self) -> None:
        text = b"".join(self._rest)
        typed, other = _TYPED.match(text), _UNSTRUCTURED.match(text)
        found = typed or other
        if found is None:
            self._begun = len(text) >= HEAD_BYTES
            return
        self._begun, self._head, self._typed = True, found[0], typed is not None
        self._api_version = found[2].decode()
        if typed:
            self._lead = typed[3]
            self._between = b"}," + self._lead + b'"metadata":{'
        else:
            self._lead = b"{"
            self._between = b'},{"apiVersion":"%b",' % found[2]
        self._rest = [text[found.end() :]]
        self._cut()
        self._last = text[1 - len(self._between) :]

    def _cut(self) -> None:
        """Take the items that are whole out of the rest."""
        text, at = b"".join(self._rest), 0
        expected, begin = self._expected, self._between[2:]
        try:
            while len(text) - at >= len(begin):
                if not text.startswith(begin, at):
                    raise CodecError("items that do not begin alike")
                one = expected.next
                after = -1 if one is None else self._after(one, text, at)
                if one is not None and after >= 0:
                    expected.step()
                else:
                    one, after = self._read(text, at)
                    if one is None:
                        break
                    expected.passed_by(one)
                self._objects.append(one)
                at = after
        except CodecError:
            self._give_up(text[at:])
        else:
            self._rest = [text[at:]]

    def _after(self, one: Object, text: bytes, at: int) -> int:
        """Return where the next item begins, behind a known one; -1 where it is none."""
        end = at + len(self._lead) + len(one.data) - 1
        if not text.startswith(b",{", end):
            return -1
        data = one.data if len(self._lead) == 1 else self._lead + one.data[1:]
        return end + 1 if text.startswith(data, at) else -1

    def _read(self, text: bytes, at: int) -> tuple[Object | None, int]:
        """Return the item at `at` and where the next begins; (None, -1) if it goes on."""
        end = at
        for _ in range(MAX_NESTED):
            end = text.find(self._between, end) + 1
            if not end:
                return None, -1
            try:
                return self._take(text[at:end], self._api_version), end + 1
            except CodecError:  # it ends later, or is none
                continue
        raise CodecError("an item of many that look like items")

    def _give_up(self, rest: bytes) -> None:
        """Put together again what was taken apart: it is read as a whole."""
        taken = b"".join(self._lead + one.data[1:] + b"," for one in self._objects)
        self._rest = [self._head + taken + rest]
        self._head, self._between, self._objects = b"", b"", []

    def finish(self) -> ListParts:
        """Return the list's parts; CodecError where it is none."""
        rest = b"".join(self._rest)
        end = self._end_of_items(rest) if self._head else -1
        try:
            if end >= 0:
                self._take(rest[:end], self._api_version)  # one item, and no more
                parts = self._split(self._head + rest)
                return parts._replace(items=[*self._objects, *parts.items])
        except CodecError:
            pass
        if self._head:
            self._give_up(rest)
        return self._split(b"".join(self._rest))

    def _end_of_items(self, rest: bytes) -> int:
        """Return where the last item ends; -1 where no API server's list ends so."""
        if self._typed:
            end = len(rest.rstrip(b" \t\r\n")) - 2
            return end if rest.startswith(b"]}", end) else -1
        end = rest.rfind(_TAIL_BEGINS)
        return end if end >= 0 and _TAIL.match(rest, end) else -1
