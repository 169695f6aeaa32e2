# SPDX-License-Identifier: Apache-2.0
"""Services, where they lead, and what lets traffic in."""

from toono.codec.printers import descriptions as say
from toono.codec.printers.base import (
    AGE_COLUMN,
    NAME_COLUMN,
    Cell,
    Printer,
    age_of,
    column,
    name_of,
)
from toono.codec.printers.label_text import labels_text, selector_text
from toono.codec.printers.reading import (
    Json,
    at,
    entries,
    has_number,
    number,
    size,
    string_map,
    text,
    text_or,
    texts,
)

_NONE = "<none>"
_SHOWN = 3
"""Of lists: what is more is counted only."""


def _service(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        text(obj, "spec", "type"),
        _cluster_ip(obj),
        _external_ip(obj),
        ",".join(map(_service_port, entries(obj, "spec", "ports"))) or _NONE,
        age_of(obj, now),
        labels_text(string_map(obj, "spec", "selector")),
    ]


def _cluster_ip(service: Json) -> str:
    addresses = texts(service, "spec", "clusterIPs")
    return (addresses[0] if addresses else text(service, "spec", "clusterIP")) or _NONE


def _external_ip(service: Json) -> str:
    external = texts(service, "spec", "externalIPs")
    match text(service, "spec", "type"):
        case "ClusterIP" | "NodePort":
            return ",".join(external) or _NONE
        case "LoadBalancer":
            return ",".join((*_load_balancer(service), *external)) or "<pending>"
        case "ExternalName":
            return text(service, "spec", "externalName")
        case _:
            return "<unknown>"


def _load_balancer(obj: Json) -> list[str]:
    points = entries(obj, "status", "loadBalancer", "ingress")
    found = {text(one, "ip") or text(one, "hostname") for one in points}
    return sorted(found - {""})


def _service_port(port: Json) -> str:
    outside = number(port, "nodePort")
    inside = number(port, "port")
    numbers = f"{inside}:{outside}" if outside > 0 else str(inside)
    return f"{numbers}/{text(port, 'protocol')}"


def _endpoints(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), _subsets(obj), age_of(obj, now)]


def _subsets(obj: Json) -> str:
    if not size(obj, "subsets"):
        return _NONE
    shown: list[str] = []
    count = 0
    for subset in entries(obj, "subsets"):
        addresses = [text(one, "ip") for one in entries(subset, "addresses")]
        # A headless service may have no ports: then addresses stand alone.
        ports: list[Json | None] = [*entries(subset, "ports")]
        for port in ports or [None]:
            count += len(addresses)
            room = addresses[: _SHOWN - len(shown)]
            shown += [_host_port(one, port) for one in room]
    return _with_more(shown, count)


def _host_port(address: str, port: Json | None) -> str:
    if port is None:
        return address
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{number(port, 'port')}"


def _with_more(shown: list[str], count: int) -> str:
    listed = ",".join(shown)
    return f"{listed} + {count - _SHOWN} more..." if count > _SHOWN else listed


def _endpoint_slice(obj: Json, now: float) -> list[Cell]:
    ports = [_slice_port(one) for one in entries(obj, "ports")]
    addresses = [
        address
        for endpoint in entries(obj, "endpoints")
        for address in texts(endpoint, "addresses")
    ]
    return [
        name_of(obj),
        text(obj, "addressType"),
        _with_more(ports[:_SHOWN], len(ports)) or "<unset>",
        _with_more(addresses[:_SHOWN], len(addresses)) or "<unset>",
        age_of(obj, now),
    ]


def _slice_port(port: Json) -> str:
    if has_number(port, "port"):
        return str(number(port, "port"))
    return text_or("*", port, "name")


def _ingress(obj: Json, now: float) -> list[Cell]:
    return [
        name_of(obj),
        text_or(_NONE, obj, "spec", "ingressClassName"),
        _hosts(obj),
        ",".join(_load_balancer(obj)),
        "80, 443" if size(obj, "spec", "tls") else "80",
        age_of(obj, now),
    ]


def _hosts(ingress: Json) -> str:
    """Return the hosts; the API server counts rules, not hosts, beyond the third."""
    rules = entries(ingress, "spec", "rules")
    shown: list[str] = []
    for index, rule in enumerate(rules):
        if host := text(rule, "host"):
            shown.append(host)
        if len(shown) == _SHOWN and index + 1 < len(rules):
            return f"{','.join(shown)} + {len(rules) - _SHOWN} more..."
    return ",".join(shown) or "*"


def _ingress_class(obj: Json, now: float) -> list[Cell]:
    parameters = at(obj, "spec", "parameters")
    shown = _NONE
    if isinstance(parameters, dict):
        group = at(parameters, "apiGroup")
        kind = text(parameters, "kind") + (
            f".{group}" if isinstance(group, str) else ""
        )
        shown = f"{kind}/{text(parameters, 'name')}"
    return [name_of(obj), text(obj, "spec", "controller"), shown, age_of(obj, now)]


def _network_policy(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), selector_text(obj, "spec", "podSelector"), age_of(obj, now)]


def _service_cidr(obj: Json, now: float) -> list[Cell]:
    return [name_of(obj), ",".join(texts(obj, "spec", "cidrs")), age_of(obj, now)]


SERVICES = Printer(
    (
        NAME_COLUMN,
        column("Type", say.SERVICE_TYPE),
        column("Cluster-IP", say.SERVICE_CLUSTER_IP),
        column("External-IP", say.SERVICE_EXTERNAL_IPS),
        column("Port(s)", say.SERVICE_PORTS),
        AGE_COLUMN,
        column("Selector", say.SERVICE_SELECTOR, wide=True),
    ),
    _service,
)
ENDPOINTS = Printer(
    (NAME_COLUMN, column("Endpoints", say.ENDPOINTS_SUBSETS), AGE_COLUMN), _endpoints
)
ENDPOINT_SLICES = Printer(
    (
        NAME_COLUMN,
        column("AddressType", say.SLICE_ADDRESS_TYPE),
        column("Ports", say.SLICE_PORTS),
        column("Endpoints", say.SLICE_ENDPOINTS),
        AGE_COLUMN,
    ),
    _endpoint_slice,
)
INGRESSES = Printer(
    (
        NAME_COLUMN,
        column("Class", "Which IngressClass configures it."),
        column("Hosts", "Hosts that its rules match."),
        column("Address", "Where its load balancer listens."),
        column("Ports", "Ports that it opens."),
        AGE_COLUMN,
    ),
    _ingress,
)
INGRESS_CLASSES = Printer(
    (
        NAME_COLUMN,
        column("Controller", "What serves ingresses of this class."),
        column("Parameters", "Where its settings are kept."),
        AGE_COLUMN,
    ),
    _ingress_class,
)
NETWORK_POLICIES = Printer(
    (NAME_COLUMN, column("Pod-Selector", "Which pods it applies to."), AGE_COLUMN),
    _network_policy,
)
SERVICE_CIDRS = Printer(
    (NAME_COLUMN, column("CIDRs", "Where cluster addresses come from."), AGE_COLUMN),
    _service_cidr,
)
