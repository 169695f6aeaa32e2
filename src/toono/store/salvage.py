# SPDX-License-Identifier: Apache-2.0
"""What can still be read of a damaged database goes into a new one.

A row that is not sound goes to the quarantine, and a row without a value takes its
place, as for each key that only the index still knows: they must read as damaged, not
as absent. What neither table nor index shows is lost; the caller learns that there is
such damage, not what it hit.
"""

from collections.abc import Iterable, Iterator

from toono.store.disk import Connection, Value
from toono.store.faults import DISK_ERRORS, Fault, classify
from toono.store.schema import sound_value

# Not through the index: rows that it lost are wanted, too.
_NUMBERS = "SELECT id FROM rows NOT INDEXED WHERE id > ? ORDER BY id"
_ROW = "SELECT key, value, crc FROM rows NOT INDEXED WHERE id = ?"
_FIRST = -(2**63)


def salvage(source: Connection, target: Connection) -> None:
    """Copy all that is readable of `source` into `target`, a new database."""
    for key, value, crc in _rows(source):
        if not isinstance(key, bytes):
            continue
        if sound_value(key, key, value, crc) is not None:
            # Two rows of one key, where the index is damaged: the later one is newer.
            target.execute(
                "INSERT OR REPLACE INTO rows(key, value, crc) VALUES(?, ?, ?)",
                (key, value, crc),
            )
            continue
        target.execute(
            "INSERT INTO quarantine(key, value, crc) VALUES(?, ?, ?)",
            (key, _bytes_of(value), _bytes_of(crc)),
        )
        target.execute("INSERT OR IGNORE INTO rows(key) VALUES(?)", (key,))
    for (key,) in _readable(source, "SELECT key FROM rows ORDER BY key", ()):
        if isinstance(key, bytes):
            target.execute("INSERT OR IGNORE INTO rows(key) VALUES(?)", (key,))


def _bytes_of(value: Value) -> Value:
    """Return what a flipped bit made a text as its bytes: they may be no UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value


def _rows(source: Connection) -> Iterator[tuple[Value, ...]]:
    """Rows from the front and, behind a page that cannot be read, from the back."""
    numbers = [number for (number,) in _readable(source, _NUMBERS, (_FIRST,))]
    last = numbers[-1] if numbers else _FIRST
    behind = _readable(source, f"{_NUMBERS} DESC", (last,))
    numbers += reversed([number for (number,) in behind])
    for number in numbers:
        yield from _readable(source, _ROW, (number,))


def _readable(
    source: Connection, sql: str, parameters: tuple[Value, ...]
) -> Iterable[tuple[Value, ...]]:
    """Rows of a statement up to the first that cannot be read."""
    try:
        cursor = source.execute(sql, parameters)
        while (row := cursor.fetchone()) is not None:
            yield row
    except DISK_ERRORS as exc:
        if classify(exc) is not Fault.DAMAGE:
            raise
