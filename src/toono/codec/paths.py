# SPDX-License-Identifier: Apache-2.0
"""Where protobuf keeps what field selectors name: made by
`scripts/generate_paths.py`, do not edit. (apiVersion/kind, path) → (field
numbers, scalar type)."""

PATHS: dict[tuple[str, str, str], tuple[tuple[int, ...], str]] = {
    ("v1", "Pod", "spec.nodeName"): ((2, 10), "string"),
    ("v1", "Pod", "spec.restartPolicy"): ((2, 3), "string"),
    ("v1", "Pod", "spec.schedulerName"): ((2, 19), "string"),
    ("v1", "Pod", "spec.serviceAccountName"): ((2, 8), "string"),
    ("v1", "Pod", "spec.hostNetwork"): ((2, 11), "bool"),
    ("v1", "Pod", "status.phase"): ((3, 1), "string"),
    ("v1", "Pod", "status.podIP"): ((3, 6), "string"),
    ("v1", "Pod", "status.nominatedNodeName"): ((3, 11), "string"),
    ("v1", "Node", "spec.unschedulable"): ((2, 4), "bool"),
    ("v1", "Namespace", "status.phase"): ((3, 1), "string"),
    ("v1", "Service", "spec.clusterIP"): ((2, 3), "string"),
    ("v1", "Service", "spec.type"): ((2, 4), "string"),
    ("v1", "Secret", "type"): ((3,), "string"),
    ("v1", "ReplicationController", "status.replicas"): ((3, 1), "int32"),
    ("v1", "Event", "involvedObject.kind"): ((2, 1), "string"),
    ("v1", "Event", "involvedObject.namespace"): ((2, 2), "string"),
    ("v1", "Event", "involvedObject.name"): ((2, 3), "string"),
    ("v1", "Event", "involvedObject.uid"): ((2, 4), "string"),
    ("v1", "Event", "involvedObject.apiVersion"): ((2, 5), "string"),
    ("v1", "Event", "involvedObject.resourceVersion"): ((2, 6), "string"),
    ("v1", "Event", "involvedObject.fieldPath"): ((2, 7), "string"),
    ("v1", "Event", "reason"): ((3,), "string"),
    ("v1", "Event", "reportingComponent"): ((14,), "string"),
    ("v1", "Event", "type"): ((9,), "string"),
    ("apps/v1", "ReplicaSet", "status.replicas"): ((3, 1), "int32"),
    ("batch/v1", "Job", "status.succeeded"): ((3, 5), "int32"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "spec.signerName"): (
        (2, 7),
        "string",
    ),
}
