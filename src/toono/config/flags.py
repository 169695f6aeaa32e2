# SPDX-License-Identifier: Apache-2.0
"""Every option as one row: YurtHub's names and defaults, and ours.

`comes` is empty where the option works, and else says with what it will: it is taken
today so that a node's arguments need not change, and said once at the start.
"""

from typing import Literal, NamedTuple

Kind = Literal["text", "list", "integer", "flag", "duration"]
Value = str | int | float | bool | tuple[str, ...]


class Flag(NamedTuple):
    """One option."""

    name: str
    kind: Kind
    default: Value
    help: str
    group: str
    comes: str = ""


_HUBS = "a listener for other hubs"

FLAGS: tuple[Flag, ...] = (
    Flag(
        "server-addr",
        "list",
        (),
        "API servers, comma separated: https://10.0.0.1:6443. Default: what the"
        " kubelet's kubeconfig names",
        "Cloud",
    ),
    Flag("lb-mode", "text", "rr", "how servers are chosen: rr or priority", "Cloud"),
    Flag("ca-file", "text", "", "CA of the API servers", "Cloud"),
    Flag("client-cert-file", "text", "", "the node's client certificate", "Cloud"),
    Flag("client-key-file", "text", "", "its key, if not in the same file", "Cloud"),
    Flag("heartbeat-healthy-threshold", "integer", 2, "good probes to be up", "Cloud"),
    Flag("heartbeat-interval-seconds", "integer", 10, "between probes", "Cloud"),
    Flag("heartbeat-timeout-seconds", "integer", 2, "for one probe", "Cloud"),
    Flag("node-name", "text", "", "default: from the client certificate", "Node"),
    Flag("node-uids", "list", ("0",), "users that are the node, by number", "Node"),
    Flag("nodepool-name", "text", "", "the node's pool; default: its label", "Node"),
    Flag("node-ip", "text", "", "address of this node, for its certificate", "Node"),
    Flag("namespace", "text", "kube-system", "of the hub's ConfigMaps", "Node"),
    Flag(
        "working-mode",
        "text",
        "edge",
        "edge; or cloud: nothing is kept, and nothing answered while cut off",
        "Node",
    ),
    Flag("bind-proxy-address", "text", "127.0.0.1", "of the proxy", "Listeners"),
    Flag("proxy-port", "integer", 10261, "of the proxy", "Listeners"),
    Flag(
        "bind-address", "text", "127.0.0.1", "of the hub's own endpoints", "Listeners"
    ),
    Flag("serve-port", "integer", 10267, "of the hub's own endpoints", "Listeners"),
    Flag("proxy-secure-port", "integer", 10268, "for pods, over TLS", "Listeners"),
    Flag("multiplexer-port", "integer", 10269, "for hubs", "Listeners", _HUBS),
    Flag(
        "enable-dummy-if",
        "flag",
        True,
        "make an interface with an address that this node's pods call",
        "Listeners",
    ),
    Flag("dummy-if-name", "text", "hub-dummy0", "its name", "Listeners"),
    Flag("dummy-if-ip", "text", "", "its address. Default: 169.254.2.1", "Listeners"),
    Flag(
        "serving-cert-file",
        "text",
        "",
        "certificate for pods, signed by the CA of kube-root-ca.crt; followed when it"
        " changes",
        "Listeners",
    ),
    Flag("serving-key-file", "text", "", "its key", "Listeners"),
    Flag(
        "token-leeway",
        "duration",
        300.0,
        "for clocks that differ, when a token is checked offline",
        "Identity",
    ),
    Flag(
        "pod-rights-lapse",
        "duration",
        86400.0,
        "how long a pod reads on offline without its right being heard again",
        "Identity",
    ),
    Flag(
        "api-audiences",
        "list",
        (),
        "of the API server, where they are not its issuer alone",
        "Identity",
    ),
    Flag(
        "offline-readers",
        "list",
        (),
        "who may read what offline though it was not asked online:"
        " USER=RESOURCE[.GROUP] or USER=*",
        "Identity",
    ),
    Flag("disk-cache-path", "text", "/etc/kubernetes/cache/", "of the cache", "Cache"),
    Flag(
        "cache-agents", "list", (), "components kept beside the defaults, or *", "Cache"
    ),
    Flag(
        "min-request-timeout",
        "duration",
        1800.0,
        "least life of a watch that the hub holds, where the client names none; twice it"
        " is the most",
        "Cache",
    ),
    Flag(
        "gc-frequency",
        "integer",
        120,
        "minutes between sweeps for what the cloud no longer has; 0: none",
        "Cache",
    ),
    Flag(
        "root-dir",
        "text",
        "/var/lib/yurthub",
        "of the hub's own certificates",
        "Bootstrap",
    ),
    Flag(
        "bootstrap-mode",
        "text",
        "kubeletcertificate",
        "token (the hub asks for a certificate of its own) or kubeletcertificate (what"
        " the kubelet has is used)",
        "Bootstrap",
    ),
    Flag(
        "bootstrap-file",
        "text",
        "",
        "kubeconfig with the token that asks for the first certificate. Default:"
        " bootstrap-hub.conf in --root-dir",
        "Bootstrap",
    ),
    Flag(
        "join-token",
        "text",
        "",
        "token that finds and proves the cluster's CA: abcdef.0123456789abcdef",
        "Bootstrap",
    ),
    Flag(
        "discovery-token-ca-cert-hash",
        "list",
        (),
        "what the CA's public key must be: sha256:...",
        "Bootstrap",
    ),
    Flag(
        "discovery-token-unsafe-skip-ca-verification",
        "flag",
        False,
        "join without such a pin: who knows the join token can then pass for the"
        " cluster",
        "Bootstrap",
    ),
    Flag(
        "hub-cert-organizations",
        "list",
        (),
        "further O= of the node's certificate",
        "Bootstrap",
    ),
    Flag(
        "events-while-offline",
        "text",
        "spool",
        "events written while cut off: spool (kept, sent in order later) or 503",
        "Autonomy",
    ),
    Flag(
        "status-while-offline",
        "text",
        "503",
        "a kubelet's status patches while cut off: 503, or spool (the newest is kept)",
        "Autonomy",
    ),
    Flag("spool-max-writes", "integer", 10000, "that wait for the link", "Autonomy"),
    Flag("spool-max-mebibytes", "integer", 16, "that wait for the link", "Autonomy"),
    Flag(
        "review-lifetime",
        "duration",
        86400.0,
        "how long a verdict on a caller of the kubelet holds while cut off; 0s: never",
        "Autonomy",
    ),
    Flag(
        "lease-interception",
        "text",
        "auto",
        "who renews the node's Lease: auto (the hub, where the kubelet renews through"
        " it and nobody else does), always, never",
        "Autonomy",
    ),
    Flag(
        "kubelet-health-grace-period",
        "duration",
        40.0,
        "without a renewal of the kubelet's, until the hub stops renewing, too; 0s: it"
        " never does",
        "Autonomy",
    ),
    Flag("enable-resource-filter", "flag", True, "answers are filtered", "Filters"),
    Flag("disabled-resource-filters", "list", (), "filters, or *", "Filters"),
    Flag("enable-node-pool", "flag", True, "pools are NodePools", "Filters"),
    Flag(
        "enable-pool-service-topology",
        "flag",
        False,
        "pools are NodeBuckets",
        "Filters",
    ),
    Flag(
        "correct-endpoints",
        "flag",
        True,
        "offline, endpoints of this node have the addresses that its pods have now",
        "Filters",
    ),
    Flag("share-watches", "flag", True, "resources are read once for all", "Filters"),
    Flag("host-control-plane-address", "text", "", "", "Filters", "local mode"),
    Flag("enable-coordinator", "flag", False, "take part in a pool", "Pool"),
    Flag(
        "coordinator-storage-addr",
        "list",
        (),
        "members of the pool's etcd, comma separated: https://10.0.0.5:12379",
        "Pool",
    ),
    Flag(
        "coordinator-storage-prefix",
        "text",
        "/registry",
        "of all keys in the pool's etcd, as an API server over it has it",
        "Pool",
    ),
    Flag(
        "coordinator-ca-file",
        "text",
        "",
        "CA of the pool's etcd. Default: yurt-coordinator-ca.crt in"
        " <root-dir>/yurtcoordinator",
        "Pool",
    ),
    Flag(
        "coordinator-cert-file",
        "text",
        "",
        "this hub's certificate for it. Default: yurt-coordinator-yurthub-client.crt"
        " there",
        "Pool",
    ),
    Flag("coordinator-key-file", "text", "", "its key, likewise", "Pool"),
    Flag(
        "coordinator-server-addr",
        "text",
        "",
        "taken, has no effect: the pool's etcd is asked itself",
        "Pool",
    ),
    Flag(
        "pool-scope-resources",
        "list",
        (),
        "what the leader writes for all, beside services and endpointslices:"
        " Group/Version/Resource",
        "Pool",
    ),
    Flag("leader-elect", "flag", True, "this hub may lead its pool", "Pool"),
    Flag(
        "leader-elect-lease-duration",
        "duration",
        15.0,
        "until a leader that is silent is followed by another",
        "Pool",
    ),
    Flag(
        "leader-elect-renew-deadline",
        "duration",
        10.0,
        "a leader renews twice in it",
        "Pool",
    ),
    Flag("leader-elect-retry-period", "duration", 2.0, "between tries to lead", "Pool"),
    Flag(
        "leader-elect-resource-lock",
        "text",
        "leases",
        "taken, has no effect: the lock is a key and a lease of the pool's etcd",
        "Pool",
    ),
    Flag(
        "leader-elect-resource-name", "text", "yurthub", "taken, has no effect", "Pool"
    ),
    Flag(
        "leader-elect-resource-namespace",
        "text",
        "kube-system",
        "taken, has no effect",
        "Pool",
    ),
    Flag(
        "max-requests-in-flight", "integer", 250, "taken, has no effect", "Deprecated"
    ),
    Flag(
        "heartbeat-failed-retry",
        "integer",
        3,
        "taken, has no effect: health is no matter of the Lease",
        "Deprecated",
    ),
    Flag("enable-iptables", "flag", False, "taken, has no effect", "Deprecated"),
    Flag("profiling", "flag", True, "taken, has no effect", "Deprecated"),
    Flag("kubeconfig", "text", "", "taken, has no effect", "Deprecated"),
    Flag("v", "integer", 0, "taken: see --log-level", "Deprecated"),
    Flag("vmodule", "text", "", "taken: see --log-level", "Deprecated"),
    Flag("log-flush-frequency", "duration", 5.0, "taken, has no effect", "Deprecated"),
    Flag(
        "yurthub-metrics",
        "flag",
        False,
        "show YurtHub's series too",
        "Logs and metrics",
    ),
    Flag("log-format", "text", "text", "text or json", "Logs and metrics"),
    Flag(
        "log-level", "text", "info", "debug, info, warning or error", "Logs and metrics"
    ),
)


def variable(flag: Flag) -> str:
    """Return the environment variable of an option."""
    return "TOONO_" + flag.name.upper().replace("-", "_")
