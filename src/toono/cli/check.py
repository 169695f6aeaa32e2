# SPDX-License-Identifier: Apache-2.0
"""`toono check`: in plain words, what is missing for a hub on this machine."""

import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from toono.cache.tree_layout import OWN
from toono.cache.tree_manifest import NAME
from toono.cli.options import Grouped, options_of, with_flags
from toono.config.node import Identity, identify, server_in
from toono.config.options import Options
from toono.errors import ToonoError
from toono.runtime.clock import SystemClock
from toono.wire.sockets import why_not_bound
from toono.wire.tls import make_context

CONNECT_SECONDS = 3.0
DAY_SECONDS = 86400.0
SOON_DAYS = 14
KUBELET_TO_HUB = Path("/etc/toono/kubelet.conf")
"""What `toono node-setup` has the kubelet use."""


class Finding(NamedTuple):
    """One thing looked at: good, worth knowing, or in the way."""

    level: str
    """ok, note or missing"""
    text: str


EPILOG = """\b
Examples:
  toono check
  toono check --server-addr=https://10.0.0.1:6443 --disk-cache-path=/var/lib/toono
"""


@click.command(cls=Grouped, epilog=EPILOG)
@with_flags
def command(**given: Any) -> None:
    """Look at servers, certificates, the cache directory and ports; change nothing.

    Exit 0: a hub can run here. Exit 1: something is missing, and what to do is said.
    """
    options = options_of(given)
    findings = list(look(options))
    marks = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}
    for finding in findings:
        click.echo(f"{marks[finding.level]}  {finding.text}")
    if any(finding.level == "missing" for finding in findings):
        sys.exit(1)


def look(options: Options, *, kubeconfig: Path = KUBELET_TO_HUB) -> Iterator[Finding]:
    """Yield what is found."""
    try:
        identity = identify(options)
    except ToonoError as exc:
        yield Finding("missing", str(exc))
    else:
        yield Finding("ok", f"this node is {identity.node_name}")
        if identity.files.certificate is not None:
            yield _lasts(identity.files.certificate, now=SystemClock().wall())
        yield from _servers(identity)
    yield from _directory(Path(options.text("disk-cache-path")))
    address = options.text("bind-proxy-address")
    yield _port("--proxy-port", address, int(options.number("proxy-port")))
    status = options.text("bind-address")
    yield _port("--serve-port", status, int(options.number("serve-port")))
    yield _kubelet(kubeconfig, options)
    for line in options.unheeded:
        yield Finding("note", line)


def _lasts(certificate: Path, *, now: float) -> Finding:
    """Say how long the node's client certificate holds. `identify` has loaded it."""
    from cryptography import x509  # 12 MB

    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    end = found.not_valid_after_utc
    days = int((end.timestamp() - now) // DAY_SECONDS)
    until = f"{end:%Y-%m-%d %H:%M} UTC"
    if end.timestamp() <= now:
        return Finding(
            "missing",
            f"{certificate} ended at {until}: the API server will answer 401;"
            " the node must join again",
        )
    text = f"{certificate} holds until {until}, {days} days"
    if days < SOON_DAYS:
        return Finding("note", text + ": the kubelet renews it while the link is up")
    return Finding("ok", text)


def _kubelet(kubeconfig: Path, options: Options) -> Finding:
    """Say whether the kubeconfig that node-setup makes leads to this hub."""
    address = options.text("bind-proxy-address")
    here = f"http://{address}:{int(options.number('proxy-port'))}"
    try:
        server = server_in(kubeconfig)
    except FileNotFoundError:
        return Finding(
            "note",
            f"there is no {kubeconfig}: `toono node-setup --print` says how the"
            " kubelet comes to the hub",
        )
    except (OSError, ValueError) as exc:
        return Finding("note", f"{kubeconfig} names no server: {exc}")
    if server.rstrip("/") != here:
        return Finding("missing", f"{kubeconfig} leads to {server}, the hub is {here}")
    return Finding("ok", f"{kubeconfig} leads to the hub")


def _servers(identity: Identity) -> Iterator[Finding]:
    context = make_context(identity.files)
    for host, port in identity.servers:
        name = f"{host}:{port}"
        try:
            with (
                socket.create_connection((host, port), CONNECT_SECONDS) as raw,
                context.wrap_socket(raw, server_hostname=host),
            ):
                yield Finding("ok", f"{name} answers and its certificate is good")
        except ssl.SSLError as exc:
            yield Finding("missing", f"{name} shows a bad certificate: {exc.reason}")
        except OSError as exc:
            why = exc.strerror or exc
            yield Finding(
                "note", f"{name} cannot be reached ({why}): the hub starts cut off"
            )


def _directory(path: Path) -> Iterator[Finding]:
    nearest = path
    while not nearest.exists():
        nearest = nearest.parent
    if os.access(nearest, os.W_OK | os.X_OK):
        yield Finding("ok", f"--disk-cache-path: {path} can be written")
    else:
        yield Finding(
            "missing",
            f"--disk-cache-path: {path} cannot be written by this user: what is"
            " remembered would be lost at a restart",
        )
    if path.is_dir() and not path.joinpath(*OWN, NAME).exists():
        known = [one.name for one in path.iterdir() if one.name != "_internal"]
        if known:
            yield Finding(
                "note", f"{path} holds a cache that YurtHub wrote: {known[:3]}"
            )


def _port(option: str, host: str, port: int) -> Finding:
    listen: Callable[..., socket.socket] = socket.create_server
    try:
        listen((host, port)).close()
    except OSError as exc:
        return Finding(
            "missing",
            f"{option}: {host}:{port} cannot be listened on: {why_not_bound(exc)}",
        )
    return Finding("ok", f"{option}: {host}:{port} is free")
