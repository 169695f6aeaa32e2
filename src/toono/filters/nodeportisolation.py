# SPDX-License-Identifier: Apache-2.0
"""nodeportisolation: a node port is opened in the pools that its Service names.

The annotation is a comma list of pools: `-name` leaves one out, `*` means all the
others, and of a name that stands there twice the first counts.
"""

from dataclasses import dataclass

from toono.filters.base import identity
from toono.filters.discardcloudservice import service_type
from toono.filters.fields import Fields

LISTEN = "nodeport.openyurt.io/listen"
TYPES = ("NodePort", "LoadBalancer")
EVERY_POOL = "*"


@dataclass(frozen=True, slots=True)
class NodePortIsolation:
    """The filter, for a node of one pool; "" is a node of none, which sees all."""

    pool: str

    @property
    def marks(self) -> tuple[bytes, ...]:
        return (LISTEN.encode(),)

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        listen = identity(fields, data).annotations.get(LISTEN)
        if (
            not self.pool
            or listen is None
            or service_type(fields, data) not in TYPES
            or listens(listen, self.pool)
        ):
            return data
        return None


def listens(listen: str, pool: str) -> bool:
    """Say whether the annotation's value opens the port in a pool.

    A value that names nobody at all says nothing: the Service stays.
    """
    chosen: dict[str, bool] = {}
    for word in map(str.strip, listen.split(",")):
        name = word.removeprefix("-").strip()
        if name:
            chosen.setdefault(name, not word.startswith("-"))
    if not chosen:
        return True
    return chosen.get(pool, chosen.get(EVERY_POOL, False))
