# SPDX-License-Identifier: Apache-2.0
"""Distributions whose kubelet may write its Lease past the hub, told by their marks.

K3s runs the kubelet in its own process; RKE2 and k0s start it with a kubeconfig of
their own. Each is named with the mark that tells it, for the log.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Marked(NamedTuple):
    """A distribution, and what told it."""

    name: str
    evidence: str


_NAMES = {"k3s": "K3s", "rke2": "RKE2", "k0s": "k0s"}
_BUILD = re.compile(r"\+(k3s|rke2|k0s)(?:r?\d|\.|\Z)", re.ASCII)
"""Of versions: v1.34.1+k3s1, v1.34.1+rke2r1, v1.34.1+k0s.0."""
_INSTANCE = "node.kubernetes.io/instance-type"
_PREFIXES = (("k3s.io/", "K3s"), ("rke2.io/", "RKE2"), ("node.k0sproject.io/", "k0s"))


def of_agent(user_agent: str) -> Marked | None:
    """Tell a distribution by what its programs call themselves."""
    product = user_agent.partition(" ")[0][:128]
    name = product.partition("/")[0].lower()
    if name in _NAMES:
        return Marked(_NAMES[name], f"the node's calls come from {product}")
    build = _BUILD.search(product)
    if build is None:
        return None
    return Marked(_NAMES[build[1]], f"the node's calls come from {product}")


def of_node(
    labels: Mapping[str, str], annotations: Mapping[str, str], version: str
) -> Marked | None:
    """Tell a distribution by the node's object: its version, labels, annotations."""
    build = _BUILD.search(version)
    if build is not None:
        return Marked(_NAMES[build[1]], f"the kubelet's version is {version}")
    instance = labels.get(_INSTANCE, "")
    if instance in _NAMES:
        return Marked(_NAMES[instance], f"the node's label {_INSTANCE} is {instance}")
    for key in (*labels, *annotations):
        for prefix, name in _PREFIXES:
            if key.startswith(prefix):
                return Marked(name, f"the node bears {key}")
    return None
