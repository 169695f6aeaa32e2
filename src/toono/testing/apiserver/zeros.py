# SPDX-License-Identifier: Apache-2.0
"""What an empty object of each built-in kind looks like in JSON, metadata aside.

A bookmark is such an object with a version in it: fields of its kind that are not
left out when empty are there. Kinds not named here have none.
"""

from typing import Any

JSON = dict[str, Any]

_TEMPLATE = {"metadata": {}, "spec": {"containers": None}}
_NODE_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage",
    "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion",
    "operatingSystem", "architecture",
)  # fmt: skip
_NUMBERS = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled",
    "numberReady",
)  # fmt: skip

ZERO: dict[str, JSON] = {
    "v1/Pod": {"spec": {"containers": None}, "status": {}},
    "v1/Node": {
        "spec": {},
        "status": {
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": dict.fromkeys(_NODE_INFO, ""),
        },
    },
    "v1/Namespace": {"spec": {}, "status": {}},
    "v1/PersistentVolume": {"spec": {}, "status": {}},
    "v1/PersistentVolumeClaim": {"spec": {"resources": {}}, "status": {}},
    "v1/Service": {"spec": {}, "status": {"loadBalancer": {}}},
    "v1/Event": {
        "involvedObject": {},
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
    },
    "events.k8s.io/v1/Event": {
        "eventTime": None,
        "regarding": {},
        "deprecatedSource": {},
        "deprecatedFirstTimestamp": None,
        "deprecatedLastTimestamp": None,
    },
    "discovery.k8s.io/v1/EndpointSlice": {
        "addressType": "",
        "endpoints": None,
        "ports": None,
    },
    "coordination.k8s.io/v1/Lease": {"spec": {}},
    "storage.k8s.io/v1/CSINode": {"spec": {"drivers": None}},
    "storage.k8s.io/v1/CSIDriver": {"spec": {}},
    "storage.k8s.io/v1/StorageClass": {"provisioner": ""},
    "storage.k8s.io/v1/VolumeAttachment": {
        "spec": {"attacher": "", "source": {}, "nodeName": ""},
        "status": {"attached": False},
    },
    "node.k8s.io/v1/RuntimeClass": {"handler": ""},
    "apiextensions.k8s.io/v1/CustomResourceDefinition": {
        "spec": {
            "group": "",
            "names": {"plural": "", "kind": ""},
            "scope": "",
            "versions": None,
        },
        "status": {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": None,
        },
    },
    "apiregistration.k8s.io/v1/APIService": {
        "spec": {"groupPriorityMinimum": 0, "versionPriority": 0},
        "status": {},
    },
    "apps/v1/Deployment": {
        "spec": {"selector": None, "template": _TEMPLATE, "strategy": {}},
        "status": {},
    },
    "apps/v1/DaemonSet": {
        "spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}},
        "status": dict.fromkeys(_NUMBERS, 0),
    },
    "apps/v1/StatefulSet": {
        "spec": {
            "selector": None,
            "template": _TEMPLATE,
            "serviceName": "",
            "updateStrategy": {},
        },
        "status": {"replicas": 0, "availableReplicas": 0},
    },
    "apps/v1/ReplicaSet": {
        "spec": {"selector": None, "template": _TEMPLATE},
        "status": {"replicas": 0},
    },
    "batch/v1/Job": {"spec": {"template": _TEMPLATE}, "status": {}},
    "batch/v1/CronJob": {
        "spec": {
            "schedule": "",
            "jobTemplate": {"metadata": {}, "spec": {"template": _TEMPLATE}},
        },
        "status": {},
    },
    "networking.k8s.io/v1/Ingress": {"spec": {}, "status": {"loadBalancer": {}}},
    "v1/LimitRange": {"spec": {"limits": None}},
    "v1/PodTemplate": {"template": {"metadata": {}, "spec": {"containers": None}}},
    "v1/ReplicationController": {"spec": {}, "status": {"replicas": 0}},
    "v1/ResourceQuota": {"spec": {}, "status": {}},
    "apps/v1/ControllerRevision": {"data": None, "revision": 0},
    "autoscaling/v2/HorizontalPodAutoscaler": {
        "spec": {"scaleTargetRef": {"kind": "", "name": ""}, "maxReplicas": 0},
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    },
    "autoscaling/v1/HorizontalPodAutoscaler": {
        "spec": {"scaleTargetRef": {"kind": "", "name": ""}, "maxReplicas": 0},
        "status": {"currentReplicas": 0, "desiredReplicas": 0},
    },
    "certificates.k8s.io/v1/CertificateSigningRequest": {
        "spec": {"request": None, "signerName": ""},
        "status": {},
    },
    "networking.k8s.io/v1/IngressClass": {"spec": {}},
    "networking.k8s.io/v1/IPAddress": {"spec": {}},
    "networking.k8s.io/v1/NetworkPolicy": {"spec": {"podSelector": {}}},
    "networking.k8s.io/v1/ServiceCIDR": {"spec": {}, "status": {}},
    "policy/v1/PodDisruptionBudget": {
        "spec": {},
        "status": {
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        },
    },
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": {
        "roleRef": {"apiGroup": "", "kind": "", "name": ""}
    },
    "rbac.authorization.k8s.io/v1/ClusterRole": {"rules": None},
    "rbac.authorization.k8s.io/v1/RoleBinding": {
        "roleRef": {"apiGroup": "", "kind": "", "name": ""}
    },
    "rbac.authorization.k8s.io/v1/Role": {"rules": None},
    "storage.k8s.io/v1/CSIStorageCapacity": {"storageClassName": ""},
    "storage.k8s.io/v1/VolumeAttributesClass": {"driverName": ""},
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": {
        "spec": {},
        "status": {},
    },
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": {"spec": {}},
    "scheduling.k8s.io/v1/PriorityClass": {"value": 0},
    "resource.k8s.io/v1/DeviceClass": {"spec": {}},
    "resource.k8s.io/v1/ResourceClaim": {
        "spec": {"devices": {"requests": None}},
        "status": {},
    },
    "resource.k8s.io/v1/ResourceClaimTemplate": {
        "spec": {"metadata": {}, "spec": {"devices": {"requests": None}}}
    },
    "resource.k8s.io/v1/ResourceSlice": {
        "spec": {
            "driver": "",
            "pool": {"name": "", "generation": 0, "resourceSliceCount": 0},
            "devices": None,
        }
    },
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": {
        "spec": {"priorityLevelConfiguration": {"name": ""}, "matchingPrecedence": 0},
        "status": {},
    },
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": {
        "spec": {"type": ""},
        "status": {},
    },
}
