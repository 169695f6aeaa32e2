# SPDX-License-Identifier: Apache-2.0
"""Options of the pool → one value; nothing of the pool itself is loaded for that."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from toono.config.options import Options
from toono.errors import OptionError
from toono.wire.tls import ClientFiles

FOLDER = "yurtcoordinator"
"""Below --root-dir, with the names that YurtHub v1.5 gives its files."""
_CA = "yurt-coordinator-ca.crt"
_CLIENT = "yurt-coordinator-yurthub-client"
_LEASES = "node-lease-proxy-client"
DEFAULT_RESOURCES = (
    ("", "v1", "services"),
    ("discovery.k8s.io", "v1", "endpointslices"),
)
"""(group, version, resource), as YurtHub's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How a hub takes part in a pool; nothing of `toono.pool` is loaded without it."""

    endpoints: tuple[tuple[str, int], ...]
    tls: ClientFiles | None
    """None speaks plain HTTP to etcd."""
    prefix: str = "/registry"
    elect: bool = True
    lease: float = 15.0
    renew: float = 5.0
    retry: float = 2.0
    resources: tuple[tuple[str, str, str], ...] = DEFAULT_RESOURCES
    """(group, version, resource) of what the leader writes for all."""
    lease_files: ClientFiles | None = None
    """A certificate that may renew other nodes' Leases; None: the node's own."""


def pool_of(options: Options, *, cloud_ca: Path) -> PoolSettings | None:
    """Return how to take part in a pool, None where there is none."""
    if not options.flag("enable-coordinator"):
        return None
    addresses = options.words("coordinator-storage-addr")
    if not addresses:
        raise OptionError(
            "--coordinator-storage-addr",
            "names no member of the pool's etcd",
            "write it as https://10.0.0.5:12379, or leave --enable-coordinator out",
        )
    found = [_endpoint(one) for one in addresses]
    secure = {scheme for scheme, _ in found}
    if len(secure) > 1:
        raise OptionError(
            "--coordinator-storage-addr", "names members with TLS and without"
        )
    folder = Path(options.text("root-dir")) / FOLDER
    lease = options.number("leader-elect-lease-duration")
    deadline = options.number("leader-elect-renew-deadline")
    if not 0 < deadline < lease:
        raise OptionError(
            "--leader-elect-renew-deadline",
            "must be shorter than --leader-elect-lease-duration",
        )
    return PoolSettings(
        endpoints=tuple(address for _, address in found),
        tls=_tls(options, folder) if secure == {"https"} else None,
        prefix=options.text("coordinator-storage-prefix"),
        elect=options.flag("leader-elect"),
        lease=lease,
        renew=min(deadline / 2, lease / 3),
        retry=options.number("leader-elect-retry-period"),
        resources=_resources(options.words("pool-scope-resources")),
        lease_files=_lease_files(folder, cloud_ca),
    )


def _endpoint(text: str) -> tuple[str, tuple[str, int]]:
    """Return (scheme, (host, port)) of one member."""
    problem = ""
    try:
        url = urlsplit(text if "//" in text else f"https://{text}")
        port = url.port or 2379
    except ValueError as exc:
        problem = str(exc)
    else:
        if url.scheme in ("http", "https") and url.hostname and url.path in ("", "/"):
            return url.scheme, (url.hostname, port)
        problem = "is no member of etcd"
    raise OptionError(
        "--coordinator-storage-addr",
        f"{text!r}: {problem}",
        "write it as https://10.0.0.5:12379",
    )


def _tls(options: Options, folder: Path) -> ClientFiles:
    given = {
        "ca": options.text("coordinator-ca-file"),
        "cert": options.text("coordinator-cert-file"),
        "key": options.text("coordinator-key-file"),
    }
    certificate = Path(given["cert"] or folder / f"{_CLIENT}.crt")
    key = given["key"] or (given["cert"] or folder / f"{_CLIENT}.key")
    return ClientFiles(
        ca=Path(given["ca"] or folder / _CA), certificate=certificate, key=Path(key)
    )


def _lease_files(folder: Path, cloud_ca: Path) -> ClientFiles | None:
    """Return YurtHub's certificate for Leases of other nodes, where there is one."""
    certificate = folder / f"{_LEASES}.crt"
    if not certificate.is_file():
        return None
    key = folder / f"{_LEASES}.key"
    return ClientFiles(ca=cloud_ca, certificate=certificate, key=key)


def _resources(added: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """Return what a pool shares: the defaults, and what an option adds."""
    found = dict.fromkeys(DEFAULT_RESOURCES)
    for text in added:
        parts = text.strip().split("/")
        if len(parts) != 3 or not all(parts[1:]) or text != text.lower():
            raise OptionError(
                "--pool-scope-resources",
                f"{text!r} is no resource",
                "write it as Group/Version/Resource: apps/v1/deployments, /v1/endpoints",
            )
        found[parts[0], parts[1], parts[2]] = None
    return tuple(found)
