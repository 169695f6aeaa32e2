# SPDX-License-Identifier: Apache-2.0
"""How a node joins by token: what is read, what is asked for, before the hub starts.

Afterwards `pki/ca.crt` and `bootstrap-hub.conf` are there, and later starts, cut off or
not, need neither token nor cloud. The certificate itself is the running hub's to get.
"""

import logging
from pathlib import Path

from toono.certs.discovery import JoinToken, check_pins, discover
from toono.certs.files import (
    Bootstrap,
    Root,
    read_bootstrap,
    write_bootstrap,
    write_whole,
)
from toono.config.node import Identity, node_name_of
from toono.config.options import Options, parse_server
from toono.errors import CertificateError, OptionError, UpstreamError
from toono.runtime.clock import Clock
from toono.wire.tls import ClientFiles

log = logging.getLogger(__name__)

TRIES, PAUSE_SECONDS = 24, 5.0
"""YurtHub's two minutes; a service manager then starts anew."""


async def join(options: Options, *, clock: Clock) -> Identity:
    """Return how this node reaches its cloud; OptionError for what is missing."""
    root = Root(Path(options.text("root-dir")))
    servers = tuple(parse_server(one) for one in options.words("server-addr"))
    name = _node_name(options, root)
    try:
        found = _known(options, root)
        if found is not None and not servers:
            servers = (parse_server(found.server),)
        if not servers:
            raise OptionError(
                "--server-addr",
                "not given, and no file below --root-dir names one",
                "say where the API server is: https://10.0.0.1:6443",
            )
        if not root.ca.is_file():
            ca = found.ca if found else await _discovered(options, servers[0], clock)
            write_whole(root.ca, ca)
        _keep_token(options, root, servers[0])
    except CertificateError as exc:
        raise OptionError("--bootstrap-mode=token", str(exc)) from exc
    except OSError as exc:
        problem = f"{root.path} cannot be used: {exc.strerror}"
        raise OptionError("--root-dir", problem) from exc
    current = root.current("yurthub")
    files = ClientFiles(ca=root.ca, certificate=current, key=current, awaited=True)
    return Identity(servers, files, name)


def _known(options: Options, root: Root) -> Bootstrap | None:
    """Return what a kubeconfig tells: the one that was named, or what was kept."""
    named = options.text("bootstrap-file")
    if named:
        found = read_bootstrap(Path(named))
        if found is None:
            raise OptionError("--bootstrap-file", f"{named} is not there")
        return found
    return read_bootstrap(root.bootstrap)


async def _discovered(options: Options, server: tuple[str, int], clock: Clock) -> bytes:
    if not options.text("join-token"):
        raise OptionError(
            "--bootstrap-mode=token",
            f"there is neither a CA below {options.text('root-dir')}, nor a token",
            "give --join-token or --bootstrap-file",
        )
    token = JoinToken.of(options.text("join-token"))
    pins = options.words("discovery-token-ca-cert-hash")
    check_pins(pins)
    _want_pins(options, pins)
    left = TRIES
    while True:
        left -= 1
        try:
            return await discover(server, token, pins)
        except UpstreamError as exc:
            if not left:
                raise CertificateError(f"no cluster can be joined: {exc}") from exc
            log.warning("not joined yet: tried again", extra={"err": str(exc)})
        await clock.sleep(PAUSE_SECONDS)


def _want_pins(options: Options, pins: tuple[str, ...]) -> None:
    """Have a CA pinned, as kubeadm does: who knows the token can sign any CA."""
    if pins:
        return
    if not options.flag("discovery-token-unsafe-skip-ca-verification"):
        raise OptionError(
            "--discovery-token-ca-cert-hash",
            "not given: whoever knows the join token could pass for the cluster",
            "give what kubeadm token create --print-join-command prints, or"
            " --discovery-token-unsafe-skip-ca-verification",
        )
    log.warning(
        "the cluster's CA is believed on the word of the join token alone",
        extra={"option": "--discovery-token-unsafe-skip-ca-verification"},
    )


def _keep_token(options: Options, root: Root, server: tuple[str, int]) -> None:
    """Keep a token that is given: the next one replaces one that has expired."""
    text = options.text("join-token")
    if not text:
        return
    JoinToken.of(text)
    host, port = server
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    told = Bootstrap(server=f"https://{authority}", ca=root.ca.read_bytes(), token=text)
    if told != read_bootstrap(root.bootstrap):
        write_bootstrap(root.bootstrap, told)


def _node_name(options: Options, root: Root) -> str:
    name = options.text("node-name")
    current = root.current("yurthub")
    if name or not current.is_file():
        if not name:
            raise OptionError("--node-name", "a node that joins by token must have one")
        return name
    return node_name_of(current)
