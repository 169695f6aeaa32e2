# SPDX-License-Identifier: Apache-2.0
"""`toono run`: serve this node until told to stop."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click

from toono import __version__
from toono.app import Hub, HubSettings
from toono.autonomy.spool import SpoolSettings
from toono.autonomy.writes import WriteTable
from toono.cli.options import Grouped, options_of, with_flags
from toono.config.certificates import certificates_of, dummy_of
from toono.config.filter_options import (
    door_shut,
    filters_off,
    shared_of,
    surroundings_of,
)
from toono.config.join import join
from toono.config.node import KUBELET_CERTIFICATE, Identity, identify
from toono.config.options import Options, interception_of
from toono.config.pool import pool_of
from toono.config.rights import rights_of
from toono.runtime.clock import SystemClock
from toono.runtime.cores import leave_no_core
from toono.runtime.descriptors import raise_limit
from toono.runtime.memory import give_back_large_blocks
from toono.runtime.telemetry import configure
from toono.upstream.health import HealthSettings
from toono.wire.tls import ServerFiles

SWITCH_SECONDS = 0.0005
"""The interpreter's own 5 ms are all that a batch has until it must be committed."""

EPILOG = """\b
Examples:
  toono run
  toono run --server-addr=https://10.0.0.1:6443,https://10.0.0.2:6443
  toono run --cache-agents=cilium-agent,node-exporter
"""


@click.command(cls=Grouped, epilog=EPILOG)
@with_flags
@click.version_option(
    __version__, message="toono %(version)s", help="say which toono this is, and end"
)
def command(**given: Any) -> None:
    """Serve this node: pass requests on, remember answers, answer while cut off.

    On a node that has joined a cluster nothing need be said: the server, the CA, the
    certificate and the node's name come from the kubelet's files.
    """
    options = options_of(given)
    configure(options.text("log-format"), options.text("log-level"))
    for line in options.unheeded:
        click.echo(line, err=True)
    settings = settings_of(options)
    leave_no_core()
    raise_limit()
    sys.setswitchinterval(SWITCH_SECONDS)
    give_back_large_blocks()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings))
    else:
        uvloop.run(serve(settings))


def identity_of(options: Options) -> Identity:
    """Return how this node reaches its cloud; OptionError for what is missing.

    A first join by token waits for the cloud: before it there is nothing to serve.
    """
    if options.text("bootstrap-mode") == "token":
        return asyncio.run(join(options, clock=SystemClock()))
    return identify(options)


def settings_of(options: Options) -> HubSettings:
    """Return what the hub needs to know; OptionError for what is missing."""
    identity = identity_of(options)
    address = options.text("bind-proxy-address")
    return HubSettings(
        servers=identity.servers,
        tls=identity.files,
        node_name=identity.node_name,
        cache_path=Path(options.text("disk-cache-path")),
        keeps=options.text("working-mode") != "cloud",
        listen=((address, int(options.number("proxy-port"))),),
        listen_tls=((address, int(options.number("proxy-secure-port"))),),
        dummy=dummy_of(options),
        certificates=certificates_of(options),
        kubelet_pki=KUBELET_CERTIFICATE.parent,
        serving=serving_of(options, ca=identity.files.ca),
        node_uids=frozenset(int(uid) for uid in options.words("node-uids")),
        rights=rights_of(options),
        status_listen=(options.text("bind-address"), int(options.number("serve-port"))),
        agents=options.words("cache-agents"),
        namespace=options.text("namespace"),
        lb_mode=options.text("lb-mode"),
        surroundings=surroundings_of(options),
        filters_off=filters_off(options),
        door_shut=door_shut(options),
        shared=shared_of(options),
        correct_addresses=options.flag("correct-endpoints"),
        lease_interception=interception_of(options),
        gc_seconds=60.0 * options.number("gc-frequency"),
        kubelet_grace=options.number("kubelet-health-grace-period"),
        least_watch=options.number("min-request-timeout"),
        yurthub_metrics=options.flag("yurthub-metrics"),
        pool=pool_of(options, cloud_ca=identity.files.ca),
        writes=WriteTable(
            events=options.text("events-while-offline"),
            statuses=options.text("status-while-offline"),
        ),
        spool=SpoolSettings(
            max_writes=int(options.number("spool-max-writes")),
            max_bytes=int(options.number("spool-max-mebibytes")) * 1024 * 1024,
        ),
        review_lifetime=options.number("review-lifetime"),
        health=HealthSettings(
            up_after=int(options.number("heartbeat-healthy-threshold")),
            interval=options.number("heartbeat-interval-seconds"),
            probe_timeout=options.number("heartbeat-timeout-seconds"),
        ),
    )


def serving_of(options: Options, *, ca: Path) -> ServerFiles | None:
    """Return what pods are shown: what is given, or else what the hub asks for.

    Client certificates are believed if the cluster's CA signed them: the node's own
    is the only one that lends anything.
    """
    certificate = options.text("serving-cert-file")
    if not certificate:
        kept = certificates_of(options)
        if not kept.serving:
            return None
        file = kept.root.current("yurthub-server")
        return ServerFiles(certificate=file, key=file, client_ca=ca)
    key = options.text("serving-key-file") or certificate
    return ServerFiles(certificate=Path(certificate), key=Path(key), client_ca=ca)


async def serve(settings: HubSettings) -> None:
    """Run a hub until SIGTERM or SIGINT, and drain it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Hub(settings) as hub:
        for host, port in hub.addresses:
            click.echo(f"serving on http://{host}:{port}", err=True)
        for host, port in hub.tls_addresses:
            click.echo(f"serving pods on https://{host}:{port}", err=True)
        await stop.wait()
