# SPDX-License-Identifier: Apache-2.0
"""discardcloudservice: services of the cloud alone are not for this node's kube-proxy."""

from dataclasses import dataclass

from toono.filters.base import SPEC, identity
from toono.filters.fields import Field, Fields

TYPE = Field("type", 4)
DISCARD = "svc.openyurt.io/discard"
TUNNEL = ("kube-system", "x-tunnel-server-internal-svc")


@dataclass(frozen=True, slots=True)
class DiscardCloudService:
    """The filter."""

    @property
    def marks(self) -> tuple[bytes, ...]:
        return (DISCARD.encode(), TUNNEL[1].encode())

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        who = identity(fields, data)
        if (who.namespace, who.name) == TUNNEL:
            return None
        if who.annotations.get(DISCARD) != "true":
            return data
        return None if service_type(fields, data) == "LoadBalancer" else data


def service_type(fields: Fields, data: bytes) -> str:
    """Return the type of a Service."""
    return fields.text(fields.inner(data, SPEC) or fields.empty, TYPE)
