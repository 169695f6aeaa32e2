# SPDX-License-Identifier: Apache-2.0
"""How a mapper behaves, as one value."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MapperSettings:
    """How a mapper behaves; the defaults suit a node."""

    timeout: float = 10.0
    """Of a question, where the caller gives none."""
    request_timeout: float = 8.0
    """Of one request to the server."""
    poll_seconds: float = 60.0
    """Between polls, give or take a fifth."""
    watch: bool = True
    """Watch CRDs and APIServices where the credentials allow it."""
    file: Path | None = None
    """Where to keep discovery across restarts; its directory must be private."""
    identity: str = ""
    """Of the cluster (`identity_of` its CA): a file of another one is not used."""
    yurthub_file: Path | None = None
    """YurtHub's mapper file: read where `file` holds nothing, and kept written."""
