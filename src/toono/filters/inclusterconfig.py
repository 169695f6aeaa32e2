# SPDX-License-Identifier: Apache-2.0
"""inclusterconfig: kube-proxy's configuration loses its kubeconfig.

kube-proxy then takes what a pod has, its ServiceAccount and the environment that the
kubelet gave it, and so comes to the hub.
"""

from dataclasses import dataclass

from toono.filters.base import named
from toono.filters.fields import Field, Fields

DATA = Field("data", 2)
KEY = "config.conf"


@dataclass(frozen=True, slots=True)
class InClusterConfig:
    """The filter."""

    @property
    def marks(self) -> tuple[bytes, ...]:
        return (b"config.conf",)

    def __call__(self, fields: Fields, data: bytes) -> bytes | None:
        if named(fields, data) != ("kube-system", "kube-proxy"):
            return data
        before = fields.entries(data, DATA).get(KEY)
        if before is None:
            return data
        after = "\n".join(map(_commented, before.split("\n")))
        return data if after == before else fields.put_entry(data, DATA, KEY, after)


def _commented(line: str) -> str:
    """Return a line, as a comment where it is `kubeconfig:` with or without a value.

    Exactly one colon, as YurtHub has it: a path on another system keeps its line.
    """
    parts = line.strip().split(":")
    if len(parts) != 2 or parts[0] != "kubeconfig":
        return line
    indent = len(line) - len(line.lstrip())
    return f"{line[:indent]}#{line[indent:]}"
