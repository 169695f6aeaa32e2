# SPDX-License-Identifier: Apache-2.0
"""The CNI plugin: a command in the environment, JSON in, a result or an error out.

As CNI 1.0.0 has it (sections 2 and 5). It asks the API for its pod with the kubeconfig
that the agent has left, through whatever that names, and gives it an address. It makes no
interface: what it shows is the way to the API. Only the standard library, since it runs
on the host.
"""

import base64
import ipaddress
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cni_agent.addresses import Addresses, NoAddressError

VERSION = "1.0.0"
SUPPORTED = ("0.4.0", VERSION)
JSON = dict[str, Any]
INCOMPATIBLE, UNKNOWN, ENVIRONMENT, IO, DECODING, INVALID, LATER = 1, 3, 4, 5, 6, 7, 11
NO_ADDRESS, NOT_AS_IT_WAS = 100, 101
"""Codes from 100 on are the plugin's own."""
ADDRESS = "net.example.org/address"
"""A pod may ask for its address by this annotation."""
SECONDS = 10.0
AGENT = "cni-agent/v1"


class CNIError(Exception):
    """What a runtime is told: a code, a line, and more of it."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


def main() -> None:
    """Do what CNI_COMMAND says; exit as a runtime expects."""
    content = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    status, answer = run(os.environ, content)
    if answer:
        sys.stdout.write(json.dumps(answer) + "\n")
    sys.exit(status)


def run(environment: Mapping[str, str], content: bytes) -> tuple[int, JSON | None]:
    """Return the exit status and what is written; nothing where nothing is said."""
    version = VERSION
    try:
        config = _read(content)
        version = str(config.get("cniVersion", VERSION))
        return 0, _do(environment, config, version)
    except CNIError as exc:
        error = {"code": exc.code, "msg": exc.message, "details": exc.details}
        shown = version if version in SUPPORTED else VERSION
        return 1, {"cniVersion": shown, **error}
    except OSError as exc:
        return 1, {"cniVersion": version, "code": IO, "msg": str(exc), "details": ""}


def _read(content: bytes) -> JSON:
    try:
        config = json.loads(content)
    except ValueError as exc:
        raise CNIError(DECODING, "the configuration is no JSON", str(exc)) from exc
    if not isinstance(config, dict):
        raise CNIError(DECODING, "the configuration is no object")
    return config


def _do(environment: Mapping[str, str], config: JSON, version: str) -> JSON | None:
    command = environment.get("CNI_COMMAND", "")
    if command == "VERSION":
        return {"cniVersion": VERSION, "supportedVersions": list(SUPPORTED)}
    if command not in ("ADD", "DEL", "CHECK"):
        raise CNIError(ENVIRONMENT, f"CNI_COMMAND is {command!r}")
    if version not in SUPPORTED:
        raise CNIError(INCOMPATIBLE, f"{version} is none of {', '.join(SUPPORTED)}")
    needed = ["CNI_CONTAINERID", "CNI_IFNAME"]
    needed += ["CNI_NETNS"] if command != "DEL" else []  # it may be gone by then
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        raise CNIError(ENVIRONMENT, f"not in the environment: {', '.join(missing)}")
    addresses = _addresses(config)
    owner = f"{environment['CNI_CONTAINERID']} {environment['CNI_IFNAME']}"
    if command == "DEL":
        addresses.release(owner)
        return None
    if command == "CHECK":
        _check(addresses, owner, config)
        return None
    return _add(addresses, owner, environment, config, version)


def _addresses(config: JSON) -> Addresses:
    try:
        range_ = ipaddress.ip_network(config["range"])
        directory = Path(config["state"]) / _name(config["name"])
    except (KeyError, TypeError, ValueError) as exc:
        raise CNIError(INVALID, "name, range or state cannot be used", repr(exc)) from (
            exc
        )
    return Addresses(directory, range_)


def _name(name: str) -> str:
    """Return a network's name (section 1): it names a directory here."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name):
        raise ValueError(f"the name {name!r}")
    return name


def _add(
    addresses: Addresses,
    owner: str,
    environment: Mapping[str, str],
    config: JSON,
    version: str,
) -> JSON:
    pod = _pod(environment, config)
    wanted = pod.get("metadata", {}).get("annotations", {}).get(ADDRESS, "")
    try:
        address = ipaddress.ip_address(addresses.allocate(owner, wanted))
    except NoAddressError as exc:
        raise CNIError(NO_ADDRESS, str(exc)) from exc
    length = ipaddress.ip_network(config["range"]).prefixlen
    found: JSON = {
        "address": f"{address}/{length}",
        "gateway": addresses.gateway,
        "interface": 0,
    }
    if version == "0.4.0":
        found["version"] = str(address.version)
    sandbox, name = environment["CNI_NETNS"], environment["CNI_IFNAME"]
    return {
        "cniVersion": version,
        "interfaces": [{"name": name, "sandbox": sandbox}],
        "ips": [found],
        "routes": config.get("routes", []),
        "dns": {},
    }


def _check(addresses: Addresses, owner: str, config: JSON) -> None:
    """Say nothing where the address is the one that ADD has told (section 2, CHECK)."""
    result = config.get("prevResult")
    if not isinstance(result, dict):
        raise CNIError(INVALID, "CHECK has no prevResult")
    told = [str(one.get("address")).split("/")[0] for one in result.get("ips", [])]
    held = addresses.of(owner)
    if held not in told:
        raise CNIError(NOT_AS_IT_WAS, f"{owner} has {held or 'no address'}, not {told}")


# -- the way to the API -------------------------------------------------------------


def _pod(environment: Mapping[str, str], config: JSON) -> JSON:
    """Return the pod that a container is of; nothing where none is named."""
    pairs = (one.split("=", 1) for one in environment.get("CNI_ARGS", "").split(";"))
    named = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    name = named.get("K8S_POD_NAME", "")
    if not name:
        return {}
    namespace = named.get("K8S_POD_NAMESPACE", "default")
    try:
        return get(Path(config["kubernetes"]["kubeconfig"]), namespace, name)
    except (KeyError, IndexError, TypeError, ValueError) as exc:
        raise CNIError(INVALID, "the kubeconfig cannot be used", repr(exc)) from exc


def get(kubeconfig: Path, namespace: str, name: str) -> JSON:
    """Ask the API for a pod, as the kubeconfig says."""
    content = json.loads(kubeconfig.read_bytes())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    headers = {
        "Authorization": f"Bearer {user['token']}",
        "Accept": "application/json",
        "User-Agent": AGENT,
    }
    url = f"{cluster['server']}/api/v1/namespaces/{namespace}/pods/{name}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - of the agent
    context = ssl.create_default_context(cadata=authority)
    # No proxy of the host's environment stands between a node and its API.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            found: JSON = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as exc:
        code = UNKNOWN if exc.code == 404 else LATER
        told = exc.read().decode("utf-8", "replace")
        raise CNIError(code, f"{namespace}/{name}: HTTP {exc.code}", told) from exc
    except OSError as exc:
        raise CNIError(LATER, f"{namespace}/{name}: {exc}") from exc
