# SPDX-License-Identifier: Apache-2.0
"""Who may do what: a small RBAC given as plain values, and the Node authorizer.

Rules and their matching are those of rbac.authorization.k8s.io/v1; the node's are those
of kube-apiserver's Node authorizer with field selectors looked at (KEP-4601): a node
reads its own Node and its own pods, and what those pods refer to, by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.storage import Storage

NODE_PREFIX = "system:node:"
NODES = "system:nodes"
AUTHENTICATED = "system:authenticated"
ANONYMOUS = "system:anonymous"
READ = ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class User:
    """Who a request is from, after authentication."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    credential: str = field(default="", compare=False, kw_only=True)
    """What of its credential the server tells back: never more than a hash."""

    @property
    def node(self) -> str:
        """The node's name where this is one, else empty."""
        is_node = self.name.startswith(NODE_PREFIX) and NODES in self.groups
        return self.name.removeprefix(NODE_PREFIX) if is_node else ""


NOBODY = User(ANONYMOUS, ("system:unauthenticated",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is asked of an authorizer: of a resource, or of a plain path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""

    @property
    def qualified(self) -> str:
        """The resource as a rule names it: pods, pods/log."""
        return "/".join(filter(None, (self.resource, self.subresource)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One PolicyRule; * stands for all."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ("",)
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows(self, asked: Attributes) -> bool:
        """Say whether this rule allows what is asked."""
        if not _in(asked.verb, self.verbs):
            return False
        if asked.path:
            return any(_path_matches(asked.path, one) for one in self.paths)
        return (
            _in(asked.group, self.groups)
            and (
                _in(asked.qualified, self.resources)
                or f"*/{asked.subresource}" in self.resources
            )
            and (not self.names or asked.name in self.names)
        )


@dataclass(frozen=True, slots=True)
class _Binding:
    subject: str
    """A user's or a group's name."""
    rule: Rule
    namespace: str
    """Of a RoleBinding; empty for one of the whole cluster."""


PUBLIC = Rule(
    verbs=("get",), paths=("/healthz", "/livez", "/readyz", "/version", "/version/")
)
DISCOVERY = Rule(
    verbs=("get",), paths=("/api", "/api/*", "/apis", "/apis/*", "/openapi/*")
)
KEYS = Rule(
    verbs=("get",), paths=("/.well-known/openid-configuration", "/openid/v1/jwks")
)
ASK_OF_SELF = Rule(
    verbs=("create",),
    groups=("authorization.k8s.io", "authentication.k8s.io"),
    resources=(
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "selfsubjectreviews",
    ),
)


def _role_key(kind: str, meta: JSON) -> tuple[str, str, str]:
    return kind, meta.get("namespace", ""), meta["name"]


def _rule(told: JSON) -> Rule:
    return Rule(
        verbs=tuple(told["verbs"]),
        groups=tuple(told.get("apiGroups", ())),
        resources=tuple(told.get("resources", ())),
        names=tuple(told.get("resourceNames", ())),
        paths=tuple(told.get("nonResourceURLs", ())),
    )


@dataclass(slots=True)
class RBAC:
    """The bindings of one cluster; begins with those that every cluster has."""

    bindings: list[_Binding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.grant("system:unauthenticated", PUBLIC)
        self.grant(AUTHENTICATED, PUBLIC)
        self.grant(AUTHENTICATED, DISCOVERY)
        self.grant(AUTHENTICATED, ASK_OF_SELF)
        self.grant("system:serviceaccounts", KEYS)
        self.grant(
            "system:masters", Rule(verbs=("*",), groups=("*",), resources=("*",))
        )
        self.grant("system:masters", Rule(verbs=("*",), paths=("*",)))

    def grant(self, subject: str, rule: Rule, *, namespace: str = "") -> None:
        """Bind a rule to a user's or a group's name."""
        self.bindings.append(_Binding(subject, rule, namespace))

    def apply(self, documents: Iterable[JSON]) -> None:
        """Bind what roles and bindings of rbac.authorization.k8s.io/v1 say."""
        found = list(documents)
        roles = {
            _role_key(one["kind"], one["metadata"]): one["rules"]
            for one in found
            if not one["kind"].endswith("Binding")
        }
        for one in found:
            if not one["kind"].endswith("Binding"):
                continue
            named, meta = one["roleRef"], one["metadata"]
            namespace = meta.get("namespace", "")
            place = namespace if named["kind"] == "Role" else ""
            for rule in roles[named["kind"], place, named["name"]]:
                for subject in one["subjects"]:
                    self.grant(subject["name"], _rule(rule), namespace=namespace)

    def revoke(self, subject: str) -> None:
        """Take every binding of a subject away."""
        self.bindings = [one for one in self.bindings if one.subject != subject]

    def allows(self, user: User, asked: Attributes) -> bool:
        """Say whether some binding of the user's allows what is asked."""
        subjects = {user.name, *user.groups}
        return any(
            binding.subject in subjects
            and binding.namespace in ("", asked.namespace)
            and binding.rule.allows(asked)
            for binding in self.bindings
        )


_ANY_NODE = (
    Rule(verbs=READ, resources=("services",)),
    Rule(verbs=READ, groups=("node.k8s.io",), resources=("runtimeclasses",)),
    Rule(verbs=READ, groups=("storage.k8s.io",), resources=("csidrivers",)),
    Rule(verbs=("create", "patch", "update"), resources=("events",)),
    Rule(
        verbs=("create",),
        groups=("authentication.k8s.io",),
        resources=("tokenreviews",),
    ),
    Rule(
        verbs=("create",),
        groups=("authorization.k8s.io",),
        resources=("subjectaccessreviews", "localsubjectaccessreviews"),
    ),
    Rule(
        verbs=("create", "get", "list", "watch"),
        groups=("certificates.k8s.io",),
        resources=("certificatesigningrequests",),
    ),
    Rule(verbs=("create",), resources=("nodes", "pods", "pods/eviction")),
)
"""Of the role system:node, what does not depend on which node it is."""


@dataclass(frozen=True, slots=True)
class NodeRights:
    """What a node may: its own objects, and what its pods refer to."""

    storage: Storage

    def allows(self, node: str, asked: Attributes) -> bool:
        """Say whether the node may do what is asked."""
        if asked.path:
            return False
        if any(rule.allows(asked) for rule in _ANY_NODE):
            return True
        if asked.resource == "nodes":
            return self._own_node(node, asked)
        if asked.resource in ("leases", "csinodes"):
            return asked.verb == "create" or asked.name == node
        if asked.resource == "pods":
            return self._own_pods(node, asked)
        if asked.resource in ("secrets", "configmaps"):
            wanted = (asked.resource, asked.namespace, asked.name)
            return asked.verb in READ and wanted in set(self._referred(node))
        if (asked.resource, asked.subresource) == ("serviceaccounts", "token"):
            wanted = (asked.resource, asked.namespace, asked.name)
            return asked.verb == "create" and wanted in set(self._referred(node))
        return False

    def reason(self, node: str, asked: Attributes) -> str:
        """Say why a node may not do this, where kube-apiserver does."""
        if asked.path or asked.resource not in ("secrets", "configmaps"):
            return ""
        if asked.verb not in READ:
            return "can only read resources of this type"
        if not asked.namespace:
            return "can only read namespaced object of this type"
        if not asked.name:
            return "No Object name found"
        return f"no relationship found between node '{node}' and this object"

    def _own_node(self, node: str, asked: Attributes) -> bool:
        own = f"metadata.name={node}"
        if asked.verb in ("list", "watch"):
            return asked.name == node or asked.field_selector == own
        return asked.verb in ("get", "update", "patch") and asked.name == node

    def _own_pods(self, node: str, asked: Attributes) -> bool:
        if asked.verb in ("list", "watch") and not asked.name:
            return f"spec.nodeName={node}" in asked.field_selector.split(",")
        own = (asked.namespace, asked.name) in {
            (pod["metadata"]["namespace"], pod["metadata"]["name"])
            for pod in self._pods(node)
        }
        if asked.subresource not in ("", "status"):
            return False
        return asked.verb in (*READ, "delete", "patch", "update") and own

    def _pods(self, node: str) -> Iterator[JSON]:
        for stored in self.storage.collection("pods").now.values():
            if stored.object.get("spec", {}).get("nodeName") == node:
                yield stored.object

    def _referred(self, node: str) -> Iterator[tuple[str, str, str]]:
        """Yield (resource, namespace, name) of all that the node's pods name."""
        for pod in self._pods(node):
            namespace, spec = pod["metadata"]["namespace"], pod["spec"]
            account = spec.get("serviceAccountName", "default")
            yield "serviceaccounts", namespace, account
            for pull in spec.get("imagePullSecrets", ()):
                yield "secrets", namespace, pull["name"]
            for volume in spec.get("volumes", ()):
                if "secret" in volume:
                    yield "secrets", namespace, volume["secret"]["secretName"]
                if "configMap" in volume:
                    yield "configmaps", namespace, volume["configMap"]["name"]
            for resource, name in _of_environment(spec.get("containers", ())):
                yield resource, namespace, name


def _of_environment(containers: Iterable[JSON]) -> Iterator[tuple[str, str]]:
    for container in containers:
        for one in container.get("envFrom", ()):
            if "secretRef" in one:
                yield "secrets", one["secretRef"]["name"]
            if "configMapRef" in one:
                yield "configmaps", one["configMapRef"]["name"]


def _in(value: str, allowed: tuple[str, ...]) -> bool:
    return "*" in allowed or value in allowed


def _path_matches(path: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern
