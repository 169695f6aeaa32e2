# SPDX-License-Identifier: Apache-2.0
"""Which printer shows a kind."""

from collections.abc import Mapping

from toono.codec.printers.base import Printer
from toono.codec.printers.fallback import FALLBACK
from toono.codec.printers.pods import PODS

PRINTERS: Mapping[tuple[str, str], Printer] = {
    ("", "Pod"): PODS,
}


def printer_of(kind: str, api_version: str) -> Printer:
    """Return the printer of a built-in kind; Name and Created At where it has none."""
    group = api_version.rpartition("/")[0]
    return PRINTERS.get((group, kind), FALLBACK)
