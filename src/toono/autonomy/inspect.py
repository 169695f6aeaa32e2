# SPDX-License-Identifier: Apache-2.0
"""What waits for the link, for people: read from the database, with or without a hub."""

from collections.abc import Iterator
from pathlib import Path

from toono.autonomy.spooled import PREFIX, Write, decode, serial_of
from toono.errors import CodecError
from toono.store.inspect import read_rows


def waiting(path: Path) -> Iterator[tuple[int, Write]]:
    """Yield every write in the database at `path` that can be read, in order."""
    for key, value in read_rows(path, PREFIX).rows:
        serial = serial_of(key)
        try:
            write = decode(value)
        except CodecError:
            continue
        if serial is not None:
            yield serial, write
