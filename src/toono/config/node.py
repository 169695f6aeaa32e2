# SPDX-License-Identifier: Apache-2.0
"""What the machine already knows: the kubelet's server, CA, certificate and name.

Whatever was said by option wins; what is missing becomes a finding in plain words.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toono.config.options import Options, parse_server
from toono.errors import OptionError
from toono.wire.tls import ClientFiles, make_context

KUBELET_KUBECONFIG = Path("/etc/kubernetes/kubelet.conf")
KUBELET_CA = Path("/etc/kubernetes/pki/ca.crt")
KUBELET_CERTIFICATE = Path("/var/lib/kubelet/pki/kubelet-client-current.pem")
NODE_PREFIX = "system:node:"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the kubelet keeps its things; tests put them elsewhere."""

    kubeconfig: Path = KUBELET_KUBECONFIG
    ca: Path = KUBELET_CA
    certificate: Path = KUBELET_CERTIFICATE


@dataclass(frozen=True, slots=True)
class Identity:
    """The node's way to its cloud."""

    servers: tuple[tuple[str, int], ...]
    files: ClientFiles
    node_name: str


def identify(options: Options, paths: Paths | None = None) -> Identity:
    """Return how this node reaches its cloud; OptionError for what is missing."""
    paths = paths or Paths()
    servers = tuple(parse_server(one) for one in options.words("server-addr"))
    if not servers:
        servers = (_server_of(paths.kubeconfig),)
    ca = Path(options.text("ca-file")) if options.text("ca-file") else paths.ca
    given = options.text("client-cert-file")
    certificate = Path(given) if given else paths.certificate
    key = Path(options.text("client-key-file") or certificate)
    _must_exist("--ca-file", ca, "the CA of the API servers")
    _must_exist("--client-cert-file", certificate, "the node's client certificate")
    _must_exist("--client-key-file", key, "the key of the node's certificate")
    files = ClientFiles(ca=ca, certificate=certificate, key=key)
    _must_do("--ca-file", ClientFiles(ca=ca), f"{ca}")
    _must_do("--client-cert-file", files, f"{certificate} with the key in {key}")
    name = options.text("node-name") or node_name_of(certificate)
    return Identity(servers, files, name)


def _must_do(option: str, files: ClientFiles, named: str) -> None:
    """Raise for files that TLS cannot be spoken with."""
    try:
        make_context(files)
    except (OSError, ssl.SSLError) as exc:
        raise OptionError(option, f"{named} cannot be used: {exc}") from exc


def _must_exist(option: str, path: Path, what: str) -> None:
    if not path.is_file():
        raise OptionError(
            option,
            f"{what} is not there: {path}",
            "name the file, or start the hub after the kubelet has joined",
        )


def _server_of(kubeconfig: Path) -> tuple[str, int]:
    """Return host and port of the API server that a kubeconfig names."""
    try:
        return parse_server(server_in(kubeconfig))
    except OSError as exc:
        raise OptionError(
            "--server-addr",
            f"not given, and {kubeconfig} cannot be read: {exc.strerror}",
            "say where the API server is: https://10.0.0.1:6443",
        ) from exc
    except ValueError as exc:
        raise OptionError(
            "--server-addr", f"not given, and {kubeconfig} names no server"
        ) from exc


def server_in(kubeconfig: Path) -> str:
    """Return the server that a kubeconfig's current context names.

    OSError where it cannot be read, ValueError where it names none.
    """
    try:
        content: Any = yaml.safe_load(kubeconfig.read_text())
        context = content.get("current-context")
        contexts = {one["name"]: one["context"] for one in content["contexts"]}
        clusters = {one["name"]: one["cluster"] for one in content["clusters"]}
        chosen = contexts[context] if context else next(iter(contexts.values()))
        return str(clusters[chosen["cluster"]]["server"])
    except (
        yaml.YAMLError,
        LookupError,
        TypeError,
        AttributeError,
        StopIteration,
    ) as exc:
        raise ValueError("it is no kubeconfig with a cluster") from exc


def node_name_of(certificate: Path) -> str:
    """Return the node that a client certificate speaks for (CN system:node:NAME)."""
    from cryptography import x509  # 12 MB: only when the name is not given
    from cryptography.x509.oid import NameOID

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        common = str(names[0].value) if names else ""
    except (OSError, ValueError) as exc:
        raise OptionError("--client-cert-file", f"{certificate}: {exc}") from exc
    if not common.startswith(NODE_PREFIX):
        raise OptionError(
            "--node-name",
            f"not given, and {certificate} is no node's: its name is {common!r}",
            "give the node's name",
        )
    return common.removeprefix(NODE_PREFIX)
