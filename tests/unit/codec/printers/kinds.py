# SPDX-License-Identifier: Apache-2.0
"""A row by the names of its columns."""

from toono.codec.printers.ages import parse_time
from toono.codec.printers.registry import PRINTERS

CREATED = "2026-11-21T00:46:06Z"
NOW = parse_time("2026-11-21T01:00:00Z")


def cells(kind: str, obj, *, group: str = "", **meta):
    """Return what the columns of an object show; its name is a, its age 13m."""
    printer = PRINTERS[group, kind]
    metadata = {"name": "a", "creationTimestamp": CREATED, **meta}
    found = printer.cells({"metadata": metadata, **obj}, NOW)
    names = [one.name for one in printer.columns]
    shown = dict(zip(names, found, strict=True))
    assert shown.pop("Name").startswith("a")
    assert shown.pop("Age", "13m") == "13m"
    return shown
