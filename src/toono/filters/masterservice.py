# SPDX-License-Identifier: Apache-2.0
"""masterservice: the Service default/kubernetes names the hub.

The kubelet makes KUBERNETES_SERVICE_HOST and _PORT of every new pod out of it; that is
how pods with InClusterConfig find the hub without a change.
"""

from dataclasses import dataclass

from toono.filters.base import ADDRESS_PORT, API_SERVICE, NAME, SPEC, Door, named
from toono.filters.fields import Field, Fields, change_inner

PORTS = Field("ports", 1)
PORT = Field("port", 3, ("name", "protocol", "appProtocol"))
CLUSTER_IP = Field("clusterIP", 3, ("ports", "selector"))
CLUSTER_IPS = Field("clusterIPs", 18, (*CLUSTER_IP.follows, "clusterIP"))


@dataclass(frozen=True, slots=True)
class MasterService:
    """The filter, for one door."""

    door: Door

    @property
    def marks(self) -> tuple[bytes, ...]:
        return API_SERVICE

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        if named(fields, data) != ("default", "kubernetes"):
            return data
        return change_inner(fields, data, SPEC, lambda spec: self._spec(fields, spec))

    def _spec(self, fields: Fields, spec: bytes) -> bytes:
        spec = fields.put_text(spec, CLUSTER_IP, self.door.host)
        spec = fields.put_texts(spec, CLUSTER_IPS, [self.door.host])
        ports = list(fields.each(spec, PORTS))
        for at, port in enumerate(ports):
            if fields.text(port, NAME) == ADDRESS_PORT:
                ports[at] = fields.put_number(port, PORT, self.door.port)
                return fields.put_each(spec, PORTS, ports)
        return spec
