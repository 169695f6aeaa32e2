# SPDX-License-Identifier: Apache-2.0
"""How rows lie in the database: tables, checksums, the order of keys.

An integer key and a page of 8 KiB make a change of 4 KiB cost one page of write-ahead
log: with the key in the b-tree of the values, or pages of 4 KiB, it costs two to four.
"""

import zlib

from toono.store.base import Key
from toono.store.disk import Connection

PAGE_SIZE = 8192
APPLICATION_ID = 0x746F6F6E
"""`toon`, in the header of the file: tells our database from a stranger's."""
SCHEMA_VERSION = 1

PUT = (
    "INSERT INTO rows(key, value, crc) VALUES(?, ?, ?) "
    "ON CONFLICT(key) DO UPDATE SET value = excluded.value, crc = excluded.crc"
)
DELETE = "DELETE FROM rows WHERE key = ?"
DROP = "DELETE FROM rows WHERE key >= ? AND key < ?"
DROP_TO_END = "DELETE FROM rows WHERE key >= ?"

# `i` only reads the index and `r` only the table: each tells what the other lost.
GET = (
    "SELECT r.key, r.value, r.crc FROM rows i LEFT JOIN rows r ON r.id = i.id "
    "WHERE i.key = ?"
)
_SCAN = (
    "SELECT i.key, r.key, r.value, r.crc FROM rows i LEFT JOIN rows r ON r.id = i.id "
    "WHERE i.key >= ? {} ORDER BY i.key"
)
SCAN = _SCAN.format("AND i.key < ?")
SCAN_TO_END = _SCAN.format("")

_TABLES = (
    # A damaged row leaves its bytes in the quarantine and a row without a value in
    # its place: its absence would look like an object that was deleted.
    "CREATE TABLE rows("
    "id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB, crc INTEGER)",
    "CREATE TABLE quarantine("
    "id INTEGER PRIMARY KEY, key BLOB, value BLOB, crc INTEGER)",
)


def create(connection: Connection) -> None:
    """Make the tables in an empty database."""
    connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def checksum(key: Key, value: bytes) -> int:
    """Return the checksum of a row. It covers where the key ends, too."""
    return zlib.crc32(value, zlib.crc32(key, len(key)))


def sound_value(key: Key, found: object, value: object, crc: object) -> bytes | None:
    """Return the value of a row found under `key` if it is what was written."""
    if found != key or not isinstance(value, bytes) or crc != checksum(key, value):
        return None
    return value


def after(prefix: Key) -> Key | None:
    """Return the first key behind all that start with `prefix`; None if none is."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
