# SPDX-License-Identifier: Apache-2.0
"""Which printer shows a kind."""

from collections.abc import Mapping
from typing import Any

import msgspec

from toono.codec.json_strict import read
from toono.codec.printers import (
    config,
    events,
    flows,
    jobs,
    network,
    nodes,
    pods,
    scalers,
    storage,
    workloads,
)
from toono.codec.printers.base import Printer
from toono.codec.printers.custom import custom_printer
from toono.codec.printers.fallback import FALLBACK
from toono.codec.printers.reading import Json
from toono.errors import CodecError
from toono.kube.kinds import resource_of

FLOWS = "flowcontrol.apiserver.k8s.io"
PRINTERS: Mapping[tuple[str, str], Printer] = {
    ("", "ConfigMap"): config.CONFIG_MAPS,
    ("", "Endpoints"): network.ENDPOINTS,
    ("", "Event"): events.CORE_EVENTS,
    ("", "Namespace"): config.NAMESPACES,
    ("", "Node"): nodes.NODES,
    ("", "PersistentVolume"): storage.VOLUMES,
    ("", "PersistentVolumeClaim"): storage.CLAIMS,
    ("", "Pod"): pods.PODS,
    ("", "PodTemplate"): workloads.POD_TEMPLATES,
    ("", "ReplicationController"): workloads.REPLICATION_CONTROLLERS,
    ("", "ResourceQuota"): config.RESOURCE_QUOTAS,
    ("", "Secret"): config.SECRETS,
    ("", "Service"): network.SERVICES,
    ("", "ServiceAccount"): config.SERVICE_ACCOUNTS,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): config.WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): config.WEBHOOKS,
    ("apps", "ControllerRevision"): workloads.CONTROLLER_REVISIONS,
    ("apps", "DaemonSet"): workloads.DAEMON_SETS,
    ("apps", "Deployment"): workloads.DEPLOYMENTS,
    ("apps", "ReplicaSet"): workloads.REPLICA_SETS,
    ("apps", "StatefulSet"): workloads.STATEFUL_SETS,
    ("autoscaling", "HorizontalPodAutoscaler"): scalers.AUTOSCALERS,
    ("batch", "CronJob"): jobs.CRON_JOBS,
    ("batch", "Job"): jobs.JOBS,
    ("certificates.k8s.io", "CertificateSigningRequest"): config.CERTIFICATE_REQUESTS,
    ("coordination.k8s.io", "Lease"): nodes.LEASES,
    ("discovery.k8s.io", "EndpointSlice"): network.ENDPOINT_SLICES,
    ("events.k8s.io", "Event"): events.GROUP_EVENTS,
    (FLOWS, "FlowSchema"): flows.FLOW_SCHEMAS,
    (FLOWS, "PriorityLevelConfiguration"): flows.PRIORITY_LEVELS,
    ("networking.k8s.io", "Ingress"): network.INGRESSES,
    ("networking.k8s.io", "IngressClass"): network.INGRESS_CLASSES,
    ("networking.k8s.io", "NetworkPolicy"): network.NETWORK_POLICIES,
    ("networking.k8s.io", "ServiceCIDR"): network.SERVICE_CIDRS,
    ("node.k8s.io", "RuntimeClass"): nodes.RUNTIME_CLASSES,
    ("policy", "PodDisruptionBudget"): workloads.POD_DISRUPTION_BUDGETS,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): config.BINDINGS,
    ("rbac.authorization.k8s.io", "RoleBinding"): config.BINDINGS,
    ("scheduling.k8s.io", "PriorityClass"): nodes.PRIORITY_CLASSES,
    ("storage.k8s.io", "CSIDriver"): storage.DRIVERS,
    ("storage.k8s.io", "CSINode"): nodes.CSI_NODES,
    ("storage.k8s.io", "CSIStorageCapacity"): storage.STORAGE_CAPACITIES,
    ("storage.k8s.io", "StorageClass"): storage.STORAGE_CLASSES,
    ("storage.k8s.io", "VolumeAttachment"): storage.ATTACHMENTS,
}


def printer_of(
    kind: str, api_version: str, *, definition: bytes | None = None
) -> Printer:
    """Return the printer of a kind.

    A built-in kind without columns of its own shows Name and Created At; a custom
    resource what its definition (a CustomResourceDefinition as stored JSON) names,
    else Name and Age.
    """
    group, _, version = api_version.rpartition("/")
    if found := PRINTERS.get((group, kind)):
        return found
    if resource_of(group, kind) is not None:
        return FALLBACK
    return custom_printer(_decoded(definition or b"{}"), version)


def _decoded(definition: bytes) -> Json:
    try:
        return read(_decode, definition)
    except CodecError:
        return {}


_decode = msgspec.json.Decoder(dict[str, Any]).decode
