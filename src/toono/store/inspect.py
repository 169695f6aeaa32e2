# SPDX-License-Identifier: Apache-2.0
"""Rows of a database read beside a running hub: read-only, in the caller's thread."""

import sqlite3
from pathlib import Path

from toono.errors import StoreUnavailableError
from toono.store.base import Key, Scan
from toono.store.schema import APPLICATION_ID, SCAN, SCAN_TO_END, after, sound_value


def read_rows(path: Path, prefix: Key) -> Scan:
    """Return the rows below `prefix`; StoreUnavailableError where none can be read."""
    if not path.is_file():
        raise StoreUnavailableError(
            f"--disk-cache-path: there is no database at {path}: has a hub run here?"
        )
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        # One flipped bit makes a text of a blob; it must not hide all the others.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                raise StoreUnavailableError(f"{path} is no database of toono")
            end = after(prefix)
            if end is None:
                found = connection.execute(SCAN_TO_END, (prefix,)).fetchall()
            else:
                found = connection.execute(SCAN, (prefix, end)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise StoreUnavailableError(f"{path} cannot be read: {exc}") from exc
    rows: list[tuple[Key, bytes]] = []
    damaged: list[Key] = []
    for key, stored, value, crc in found:
        sound = sound_value(key, stored, value, crc)
        if sound is None:
            damaged.append(key)
        else:
            rows.append((key, sound))
    return Scan(rows, damaged)
