# SPDX-License-Identifier: Apache-2.0
"""serviceenvupdater: containers that name the API server by environment get the hub.

One pure function of the pod and the door. The kubelet restarts a container whose
specification differs by one byte from what it runs, so list, watch, GET and the answer
to a patch, JSON and protobuf, online and offline must agree; none may have an
implementation of its own. Only entries that are there are set, and only those of
`containers`, as YurtHub does it.
"""

from dataclasses import dataclass

from toono.filters.base import NAME, SPEC, Door
from toono.filters.fields import Field, Fields, change_each, change_inner

CONTAINERS = Field("containers", 2)
ENV = Field("env", 7)
VALUE = Field("value", 2, ("name",))
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


@dataclass(frozen=True, slots=True)
class ServiceEnvUpdater:
    """The filter, for one door."""

    door: Door

    @property
    def marks(self) -> tuple[bytes, ...]:
        return (b"KUBERNETES_SERVICE_",)

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        values = {HOST: self.door.host, PORT: str(self.door.port)}

        def entry(one: bytes) -> bytes:
            wanted = values.get(fields.text(one, NAME))
            if wanted is None or fields.text(one, VALUE) == wanted:
                return one
            return fields.put_text(one, VALUE, wanted)

        def container(one: bytes) -> bytes:
            return change_each(fields, one, ENV, entry)

        def spec(one: bytes) -> bytes:
            return change_each(fields, one, CONTAINERS, container)

        return change_inner(fields, data, SPEC, spec)
