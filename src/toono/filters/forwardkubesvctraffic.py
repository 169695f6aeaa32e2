# SPDX-License-Identifier: Apache-2.0
"""forwardkubesvctraffic: the EndpointSlice default/kubernetes has one endpoint, the hub.

What kube-proxy makes of the cluster IP of default/kubernetes then leads to the hub, so
pods that keep that address are served too.
"""

from dataclasses import dataclass
from ipaddress import ip_address

from toono.filters.base import ADDRESS_PORT, API_SERVICE, NAME, Door, named
from toono.filters.fields import Field, Fields

ADDRESS_TYPE = Field("addressType", 4)
ENDPOINTS = Field("endpoints", 2, ("metadata", "addressType"))
PORTS = Field("ports", 3)
PORT = Field("port", 3, ("name", "protocol"))
ADDRESSES = Field("addresses", 1)
CONDITIONS = Field("conditions", 2, ("addresses",))
READY = Field("ready", 1)


@dataclass(frozen=True, slots=True)
class ForwardKubeSvcTraffic:
    """The filter, for one door."""

    door: Door

    @property
    def marks(self) -> tuple[bytes, ...]:
        return API_SERVICE

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        if (
            named(fields, data) != ("default", "kubernetes")
            or fields.text(data, ADDRESS_TYPE) != self._family
        ):
            return data
        ports = list(fields.each(data, PORTS))
        for at, port in enumerate(ports):
            if fields.text(port, NAME) == ADDRESS_PORT:
                ports[at] = fields.put_number(port, PORT, self.door.port)
        data = fields.put_each(data, PORTS, ports) if ports else data
        return fields.put_each(data, ENDPOINTS, [self._endpoint(fields)])

    @property
    def _family(self) -> str:
        return f"IPv{ip_address(self.door.host).version}"

    def _endpoint(self, fields: Fields) -> bytes:
        ready = fields.put_flag(fields.empty, READY, value=True)
        endpoint = fields.put_texts(fields.empty, ADDRESSES, [self.door.host])
        return fields.put_inner(endpoint, CONDITIONS, ready)
