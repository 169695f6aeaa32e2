# SPDX-License-Identifier: Apache-2.0
"""Names and versions of Kubernetes: how they compare and how they become file names."""

import re

_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


def parse_version(text: str) -> int | None:
    """Return a resourceVersion as a number, None where it is not one.

    Plain decimals without leading zero, at most 19 digits (KEP-5504); int() alone
    would take "+1", "1_0" and Arabic digits.
    """
    return int(text) if _VERSION.match(text) else None
