# SPDX-License-Identifier: Apache-2.0
"""Which names a certificate carries: whose it is, and what it is shown for.

Pods call what their environment and the service `default/kubernetes` tell them, and
look for exactly that in the certificate. Knows neither files nor the cloud.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

NODE_PREFIX = "system:node:"
NODES = "system:nodes"
HUBS = "openyurt:yurthub"
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A certificate as it is to be asked for."""

    signer: str
    usage: str
    """client auth or server auth."""
    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def usages(self) -> tuple[str, ...]:
        """What YurtHub asks for, by which approvers know these requests."""
        return ("key encipherment", "digital signature", self.usage)


def client_wanted(node: str, more: Iterable[str] = ()) -> Wanted:
    """Return the certificate by which the hub is the node."""
    organizations = tuple(dict.fromkeys((HUBS, NODES, *more)))
    return Wanted(
        signer=CLIENT_SIGNER,
        usage="client auth",
        common_name=NODE_PREFIX + node,
        organizations=organizations,
    )


def serving_wanted(node: str, addresses: Iterable[str]) -> Wanted:
    """Return the certificate that pods are shown.

    The signer takes no other organization, and no address twice is asked for.
    """
    return Wanted(
        signer=SERVING_SIGNER,
        usage="server auth",
        common_name=NODE_PREFIX + node,
        organizations=(NODES,),
        dns=SERVICE_NAMES,
        addresses=distinct(addresses),
    )


def distinct(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses that something can be connected to, each once, in order."""
    found = []
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if not address.is_unspecified:
            found.append(str(address))
    return tuple(dict.fromkeys(found))
