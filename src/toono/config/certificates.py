# SPDX-License-Identifier: Apache-2.0
"""What options say of the certificates that the hub keeps itself."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from toono.certs.files import Root
from toono.certs.names import distinct
from toono.config.options import Options
from toono.errors import OptionError
from toono.wire.dummy import DummyLink

DUMMY_ADDRESS = "169.254.2.1"
"""YurtHub's, for IPv4; of an IPv6 cluster it is fd00::2:1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """Which certificates are kept, and where."""

    root: Root
    client: bool = False
    """The node's own, as a bootstrap by token began; else it is the kubelet's."""
    serving: bool = False
    """What pods are shown, as no --serving-cert-file was given."""
    bootstrap: Path | None = None
    """The kubeconfig with the token that asks for the first one."""
    pins: tuple[str, ...] = ()
    """What the cluster's CA must be where a new join token leads to it."""
    organizations: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """What pods may call, beside the address of the service kubernetes."""


def certificates_of(options: Options) -> CertificateSettings:
    """Return which certificates the hub is to keep.

    One for pods is asked for where pods can come: on this node's loopback none can,
    and a request that helps nobody only waits for an operator.
    """
    dummy = dummy_of(options)
    root = Root(Path(options.text("root-dir")))
    named = options.text("bootstrap-file")
    addresses = distinct(
        (
            dummy.address if dummy else "",
            options.text("bind-address"),
            options.text("bind-proxy-address"),
            options.text("node-ip"),
        )
    )
    return CertificateSettings(
        root=root,
        client=options.text("bootstrap-mode") == "token",
        serving=not options.text("serving-cert-file") and pods_call(options) != "",
        bootstrap=Path(named) if named else root.bootstrap,
        pins=options.words("discovery-token-ca-cert-hash"),
        organizations=options.words("hub-cert-organizations"),
        addresses=addresses,
    )


def dummy_of(options: Options) -> DummyLink | None:
    """Return the interface that pods call, None where it is not to be made.

    OptionError for an address that is none: nothing could be made of it.
    """
    if not options.flag("enable-dummy-if"):
        return None
    text = options.text("dummy-if-ip") or DUMMY_ADDRESS
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError as exc:
        raise OptionError("--dummy-if-ip", f"{text!r} is no address") from exc
    return DummyLink(options.text("dummy-if-name"), address)


def pods_call(options: Options) -> str:
    """Return the address by which pods reach the hub; empty where they cannot."""
    dummy = dummy_of(options)
    host = options.text("bind-proxy-address")
    if dummy is not None:
        return dummy.address
    return host if is_door(host) else ""


def is_door(host: str) -> bool:
    """Say whether pods can connect to an address: each has a loopback of its own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
