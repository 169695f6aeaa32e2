# SPDX-License-Identifier: Apache-2.0
"""What a kube-apiserver 1.34 serves of its own: a table, one line a resource.

`plural Kind scope`, then where it has them `=short,names` `+categories` `:verbs` (all,
unless said) and `/subresources`. Facts of the API alone; what the embedded server does
with them is said elsewhere.
"""

from collections.abc import Iterator
from typing import NamedTuple

ALL_VERBS = (
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
)  # fmt: skip
CHANGES = ("get", "patch", "update")


class Line(NamedTuple):
    """One resource as the table tells it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    """Empty: all."""
    subresources: tuple[str, ...]


class Part(NamedTuple):
    """A subresource, as discovery tells of it."""

    verbs: tuple[str, ...]
    kind: str = "{}"
    """`{}` stands for the resource's own kind."""
    group: str = ""
    version: str = ""


PARTS = {
    "approval": Part(CHANGES),
    "attach": Part(("create", "get"), "{}AttachOptions"),
    "binding": Part(("create",), "Binding"),
    "ephemeralcontainers": Part(CHANGES),
    "eviction": Part(("create",), "Eviction", "policy", "v1"),
    "exec": Part(("create", "get"), "{}ExecOptions"),
    "finalize": Part(("update",)),
    "log": Part(("get",)),
    "portforward": Part(("create", "get"), "{}PortForwardOptions"),
    "proxy": Part(("create", "delete", "get", "patch", "update"), "{}ProxyOptions"),
    "resize": Part(CHANGES),
    "scale": Part(CHANGES, "Scale", "autoscaling", "v1"),
    "status": Part(CHANGES),
    "token": Part(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
}
STORED_IN = {
    "autoscaling/v1": "autoscaling/v2",
    "apiextensions.k8s.io/v1": "apiextensions.k8s.io/v1beta1",
    "events.k8s.io/v1": "/v1",
}
"""Group-versions whose objects etcd holds in another one."""
NOT_STORED = frozenset({"bindings", "componentstatuses"})
"""Beside what can only be created: reviews, which are answers and no objects."""
_TABLE = """
v1
  bindings Binding n :create
  componentstatuses ComponentStatus c =cs :get,list
  configmaps ConfigMap n =cm
  endpoints Endpoints n =ep
  events Event n =ev
  limitranges LimitRange n =limits
  namespaces Namespace c =ns :create,delete,get,list,patch,update,watch /finalize,status
  nodes Node c =no /proxy,status
  persistentvolumeclaims PersistentVolumeClaim n =pvc /status
  persistentvolumes PersistentVolume c =pv /status
  pods Pod n =po +all /attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize,status
  podtemplates PodTemplate n
  replicationcontrollers ReplicationController n =rc +all /scale,status
  resourcequotas ResourceQuota n =quota /status
  secrets Secret n
  serviceaccounts ServiceAccount n =sa /token
  services Service n =svc +all /proxy,status
apiregistration.k8s.io/v1
  apiservices APIService c +api-extensions /status
apps/v1
  controllerrevisions ControllerRevision n
  daemonsets DaemonSet n =ds +all /status
  deployments Deployment n =deploy +all /scale,status
  replicasets ReplicaSet n =rs +all /scale,status
  statefulsets StatefulSet n =sts +all /scale,status
events.k8s.io/v1
  events Event n =ev
authentication.k8s.io/v1
  selfsubjectreviews SelfSubjectReview c :create
  tokenreviews TokenReview c :create
authorization.k8s.io/v1
  localsubjectaccessreviews LocalSubjectAccessReview n :create
  selfsubjectaccessreviews SelfSubjectAccessReview c :create
  selfsubjectrulesreviews SelfSubjectRulesReview c :create
  subjectaccessreviews SubjectAccessReview c :create
autoscaling/v2
  horizontalpodautoscalers HorizontalPodAutoscaler n =hpa +all /status
autoscaling/v1
  horizontalpodautoscalers HorizontalPodAutoscaler n =hpa +all /status
batch/v1
  cronjobs CronJob n =cj +all /status
  jobs Job n +all /status
certificates.k8s.io/v1
  certificatesigningrequests CertificateSigningRequest c =csr /approval,status
networking.k8s.io/v1
  ingressclasses IngressClass c
  ingresses Ingress n =ing /status
  ipaddresses IPAddress c =ip
  networkpolicies NetworkPolicy n =netpol
  servicecidrs ServiceCIDR c /status
policy/v1
  poddisruptionbudgets PodDisruptionBudget n =pdb /status
rbac.authorization.k8s.io/v1
  clusterrolebindings ClusterRoleBinding c
  clusterroles ClusterRole c
  rolebindings RoleBinding n
  roles Role n
storage.k8s.io/v1
  csidrivers CSIDriver c
  csinodes CSINode c
  csistoragecapacities CSIStorageCapacity n
  storageclasses StorageClass c =sc
  volumeattachments VolumeAttachment c /status
  volumeattributesclasses VolumeAttributesClass c =vac
admissionregistration.k8s.io/v1
  mutatingwebhookconfigurations MutatingWebhookConfiguration c +api-extensions
  validatingadmissionpolicies ValidatingAdmissionPolicy c +api-extensions /status
  validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding c +api-extensions
  validatingwebhookconfigurations ValidatingWebhookConfiguration c +api-extensions
apiextensions.k8s.io/v1
  customresourcedefinitions CustomResourceDefinition c =crd,crds +api-extensions /status
scheduling.k8s.io/v1
  priorityclasses PriorityClass c =pc
coordination.k8s.io/v1
  leases Lease n
node.k8s.io/v1
  runtimeclasses RuntimeClass c
discovery.k8s.io/v1
  endpointslices EndpointSlice n
resource.k8s.io/v1
  deviceclasses DeviceClass c
  resourceclaims ResourceClaim n /status
  resourceclaimtemplates ResourceClaimTemplate n
  resourceslices ResourceSlice c
flowcontrol.apiserver.k8s.io/v1
  flowschemas FlowSchema c /status
  prioritylevelconfigurations PriorityLevelConfiguration c /status
"""


def lines() -> Iterator[Line]:
    """Yield the table, in the order in which discovery tells it."""
    group = version = ""
    for text in _TABLE.splitlines():
        words = text.split()
        if not words:
            continue
        if len(words) == 1:
            group, _, version = words[0].rpartition("/")
            continue
        plural, kind, scope, *rest = words
        told = {word[0]: tuple(word[1:].split(",")) for word in rest}
        yield Line(
            group,
            version,
            plural,
            kind,
            scope == "n",
            *(told.get(mark, ()) for mark in "=+:/"),
        )


def groups() -> list[str]:
    """Return the groups in the table's order, the core group first."""
    return list(dict.fromkeys(line.group for line in lines()))
