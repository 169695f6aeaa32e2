# SPDX-License-Identifier: Apache-2.0
"""What the agent leaves on the node: the CNI configuration, a kubeconfig, the plugin.

A CNI binary runs on the host: it has no pod's files and no InClusterConfig, so the agent
writes down for it what it has itself. A runtime may look at any moment: each file is
whole or not there.
"""

import base64
import os
import tempfile
import zipapp
from pathlib import Path

import msgspec
from kubernetes import client

from cni_agent.kinds import Network
from cni_agent.transport import bearer

PLUGIN = "cni-agent"
"""The name of the binary; `type` in the configuration."""
VERSION = "1.0.0"
SOURCES = Path(__file__).parent


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> bool:
    """Write a file so that nobody sees half of it; say whether it has changed."""
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(mode)
    Path(name).replace(path)
    return True


def kubeconfig(configuration: client.Configuration) -> bytes:
    """Return a kubeconfig that says what InClusterConfig says; JSON is YAML, too."""
    authority = Path(str(configuration.ssl_ca_cert)).read_bytes()
    cluster = {
        "server": configuration.host,
        "certificate-authority-data": base64.b64encode(authority).decode(),
    }
    user = {"token": bearer(configuration).partition(" ")[2]}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": PLUGIN,
        "clusters": [{"name": PLUGIN, "cluster": cluster}],
        "users": [{"name": PLUGIN, "user": user}],
        "contexts": [{"name": PLUGIN, "context": {"cluster": PLUGIN, "user": PLUGIN}}],
    }
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def network_configuration(
    network: Network, *, range_: str, kubeconfig_path: Path, state: Path
) -> bytes:
    """Return the list of plugins that a runtime reads (CNI 1.0.0, section 1)."""
    plugin = {
        "type": PLUGIN,
        "mtu": network.spec.mtu,
        "range": range_,
        "routes": [{k: v for k, v in msgspec.to_builtins(one).items() if v}
                   for one in network.spec.routes],
        "kubernetes": {"kubeconfig": str(kubeconfig_path)},
        "state": str(state),
    }  # fmt: skip
    content = {
        "cniVersion": VERSION,
        "name": network.metadata.name,
        "plugins": [plugin],
    }
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def install_plugin(directory: Path) -> Path:
    """Put the plugin where runtimes look: one file, which needs only Python."""
    with tempfile.TemporaryDirectory() as build:
        package = Path(build) / "tree" / "cni_agent"
        package.mkdir(parents=True)
        for name in ("__init__.py", "plugin.py", "addresses.py"):
            (package / name).write_bytes((SOURCES / name).read_bytes())
        made = Path(build) / PLUGIN
        zipapp.create_archive(
            package.parent,
            made,
            interpreter="/usr/bin/env python3",
            main="cni_agent.plugin:main",
        )
        write_whole(directory / PLUGIN, made.read_bytes(), 0o755)
    return directory / PLUGIN
