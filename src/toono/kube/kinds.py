# SPDX-License-Identifier: Apache-2.0
"""The kinds that every API server has: resource <-> kind, and whether namespaced.

One row a resource whatever its version. Their JSON is "typed" (kind and apiVersion
first) and they exist as protobuf; what is not here is a custom resource or belongs
to an aggregated server, and only discovery can tell its kind (`toono.restmapper`).
"""

from typing import NamedTuple

from toono.kube.names import GroupResource


class BuiltIn(NamedTuple):
    """What is known of a built-in resource."""

    kind: str
    namespaced: bool


def built_in(group: str, resource: str) -> BuiltIn | None:
    """Return the kind of a built-in resource, None where it is none."""
    return _BY_RESOURCE.get(GroupResource(group, resource))


def groups_of(resource: str) -> tuple[str, ...]:
    """Return every group that has a built-in resource of this name, "" for core."""
    return tuple(sorted(one.group for one in _BY_RESOURCE if one.resource == resource))


def has_group(group: str) -> bool:
    """Say whether an API group has built-in resources."""
    return group in _GROUPS


def resource_of(group: str, kind: str) -> str | None:
    """Return the plural of a built-in kind, None where it is none."""
    return _BY_KIND.get((group, kind))


_NAMESPACED: dict[str, dict[str, str]] = {
    "": {
        "bindings": "Binding",
        "configmaps": "ConfigMap",
        "endpoints": "Endpoints",
        "events": "Event",
        "limitranges": "LimitRange",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
        "podtemplates": "PodTemplate",
        "replicationcontrollers": "ReplicationController",
        "resourcequotas": "ResourceQuota",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps": {
        "controllerrevisions": "ControllerRevision",
        "daemonsets": "DaemonSet",
        "deployments": "Deployment",
        "replicasets": "ReplicaSet",
        "statefulsets": "StatefulSet",
    },
    "authorization.k8s.io": {
        "localsubjectaccessreviews": "LocalSubjectAccessReview",
    },
    "autoscaling": {
        "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    },
    "batch": {
        "cronjobs": "CronJob",
        "jobs": "Job",
    },
    "certificates.k8s.io": {
        "podcertificaterequests": "PodCertificateRequest",
    },
    "coordination.k8s.io": {
        "leasecandidates": "LeaseCandidate",
        "leases": "Lease",
    },
    "discovery.k8s.io": {
        "endpointslices": "EndpointSlice",
    },
    "events.k8s.io": {
        "events": "Event",
    },
    "networking.k8s.io": {
        "ingresses": "Ingress",
        "networkpolicies": "NetworkPolicy",
    },
    "policy": {
        "poddisruptionbudgets": "PodDisruptionBudget",
    },
    "rbac.authorization.k8s.io": {
        "rolebindings": "RoleBinding",
        "roles": "Role",
    },
    "resource.k8s.io": {
        "resourceclaims": "ResourceClaim",
        "resourceclaimtemplates": "ResourceClaimTemplate",
    },
    "storage.k8s.io": {
        "csistoragecapacities": "CSIStorageCapacity",
    },
}
_CLUSTER: dict[str, dict[str, str]] = {
    "": {
        "componentstatuses": "ComponentStatus",
        "namespaces": "Namespace",
        "nodes": "Node",
        "persistentvolumes": "PersistentVolume",
    },
    "admissionregistration.k8s.io": {
        "mutatingadmissionpolicies": "MutatingAdmissionPolicy",
        "mutatingadmissionpolicybindings": "MutatingAdmissionPolicyBinding",
        "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
        "validatingadmissionpolicies": "ValidatingAdmissionPolicy",
        "validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
        "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    },
    "apiextensions.k8s.io": {
        "customresourcedefinitions": "CustomResourceDefinition",
    },
    "apiregistration.k8s.io": {
        "apiservices": "APIService",
    },
    "authentication.k8s.io": {
        "selfsubjectreviews": "SelfSubjectReview",
        "tokenreviews": "TokenReview",
    },
    "authorization.k8s.io": {
        "selfsubjectaccessreviews": "SelfSubjectAccessReview",
        "selfsubjectrulesreviews": "SelfSubjectRulesReview",
        "subjectaccessreviews": "SubjectAccessReview",
    },
    "certificates.k8s.io": {
        "certificatesigningrequests": "CertificateSigningRequest",
        "clustertrustbundles": "ClusterTrustBundle",
    },
    "flowcontrol.apiserver.k8s.io": {
        "flowschemas": "FlowSchema",
        "prioritylevelconfigurations": "PriorityLevelConfiguration",
    },
    "internal.apiserver.k8s.io": {
        "storageversions": "StorageVersion",
    },
    "networking.k8s.io": {
        "ingressclasses": "IngressClass",
        "ipaddresses": "IPAddress",
        "servicecidrs": "ServiceCIDR",
    },
    "node.k8s.io": {
        "runtimeclasses": "RuntimeClass",
    },
    "rbac.authorization.k8s.io": {
        "clusterrolebindings": "ClusterRoleBinding",
        "clusterroles": "ClusterRole",
    },
    "resource.k8s.io": {
        "deviceclasses": "DeviceClass",
        "devicetaintrules": "DeviceTaintRule",
        "resourceslices": "ResourceSlice",
    },
    "scheduling.k8s.io": {
        "priorityclasses": "PriorityClass",
    },
    "storage.k8s.io": {
        "csidrivers": "CSIDriver",
        "csinodes": "CSINode",
        "storageclasses": "StorageClass",
        "volumeattachments": "VolumeAttachment",
        "volumeattributesclasses": "VolumeAttributesClass",
    },
    "storagemigration.k8s.io": {
        "storageversionmigrations": "StorageVersionMigration",
    },
}
_BY_RESOURCE = {
    GroupResource(group, resource): BuiltIn(kind, namespaced)
    for table, namespaced in ((_NAMESPACED, True), (_CLUSTER, False))
    for group, resources in table.items()
    for resource, kind in resources.items()
}
_BY_KIND = {
    (group, row.kind): resource for (group, resource), row in _BY_RESOURCE.items()
}
_GROUPS = frozenset(one.group for one in _BY_RESOURCE)
