# SPDX-License-Identifier: Apache-2.0
"""CertificateSigningRequests, as kube-controller-manager approves and signs them.

What a signer requires of a request, and the conditions that tell of it, are those of
the Kubernetes signers named kubernetes.io/... Only `auto` are approved unasked: a plain
cluster does so for a kubelet's client certificate and for nothing else.
"""

import asyncio
import base64
import binascii
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from toono.runtime.clock import Clock, SystemClock
from toono.testing.apiserver.query import JSON
from toono.testing.apiserver.rbac import NODE_PREFIX, NODES
from toono.testing.apiserver.storage import Change, Storage, Stored
from toono.testing.certificates import Authority

RESOURCE = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"
DAY_SECONDS = 86400.0
_BASIC = {"digital signature", "key encipherment"}
_USAGES = {
    CLIENT: "client auth",
    KUBELET_CLIENT: "client auth",
    SERVING: "server auth",
}


class Signing:
    """Approves and signs what is in one storage, as its changes come."""

    def __init__(
        self,
        storage: Storage,
        authority: Authority,
        *,
        auto: Collection[str] = (KUBELET_CLIENT,),
        seconds: float = 365 * DAY_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self.auto = frozenset(auto)
        self.seconds = seconds
        """How long what is signed from now on is valid."""
        self.signed: list[str] = []
        self._storage, self._authority = storage, authority
        self._clock = clock or SystemClock()
        storage.listen(self._take)

    def decide(self, name: str, verdict: str, message: str = "by an operator") -> None:
        """Put the condition Approved, Denied or Failed, as kubectl certificate does."""
        stored = self._storage.collection(RESOURCE).now["", name]
        self._condition(stored, verdict, "ByTest", message)

    def _take(self, resource: str, change: Change) -> None:
        if resource == RESOURCE and change.after is not None:
            # Later: whoever else listens must hear this change before its answer.
            asyncio.get_running_loop().call_soon(self._settle, change.after.key)

    def _settle(self, key: tuple[str, str]) -> None:
        stored = self._storage.collection(RESOURCE).now.get(key)
        if stored is None:
            return
        status = stored.object.get("status") or {}
        kinds = {one["type"] for one in status.get("conditions", ())}
        if kinds & {"Denied", "Failed"} or status.get("certificate"):
            return
        spec = stored.object["spec"]
        signer = spec["signerName"]
        if "Approved" not in kinds:
            if signer in self.auto:
                self._condition(stored, "Approved", "AutoApproved", "Auto approved")
            return
        if signer not in _USAGES:
            return  # another's to sign
        try:
            request = base64.b64decode(spec["request"])
            found = x509.load_pem_x509_csr(request)
            problem = problem_of(signer, found, spec.get("usages", ()))
        except (ValueError, binascii.Error) as exc:
            problem = str(exc)
        if problem:
            self._condition(stored, "Failed", "SignerValidationFailure", problem)
            return
        seconds = min(self.seconds, spec.get("expirationSeconds") or self.seconds)
        pem = self._authority.sign(
            found, usage=_USAGES[signer], now=self._clock.wall(), seconds=seconds
        )
        self.signed.append(key[1])
        told = {"certificate": base64.b64encode(pem).decode()}
        self._put(stored, status | told)

    def _condition(self, stored: Stored, kind: str, reason: str, message: str) -> None:
        now = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%FT%TZ")
        condition: JSON = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = stored.object.get("status") or {}
        conditions = [*status.get("conditions", ()), condition]
        self._put(stored, status | {"conditions": conditions})

    def _put(self, stored: Stored, status: JSON) -> None:
        self._storage.put(RESOURCE, stored.key, stored.object | {"status": status})


def problem_of(signer: str, found: Any, usages: Collection[str]) -> str:
    """Say why a signer will not sign a request; empty: it will."""
    if not found.is_signature_valid:
        return "the request is not signed by its own key"
    wanted = _USAGES[signer]
    if wanted not in usages or set(usages) - _BASIC - {wanted}:
        return f"usages did not match {sorted({*_BASIC, wanted})}"
    if signer == CLIENT:
        return ""
    subject = found.subject
    groups = [
        one.value for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    ]
    if groups != [NODES]:
        return "subject organization is not system:nodes"
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not str(names[0].value).startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    has_names = any(
        isinstance(one.value, x509.SubjectAlternativeName) for one in found.extensions
    )
    if has_names and signer == KUBELET_CLIENT:
        return "subjectAltNames are not allowed"
    if not has_names and signer == SERVING:
        return "at least one DNS or IP subjectAltName is required"
    return ""


def with_requester(content: JSON, *, name: str, groups: Collection[str]) -> JSON:
    """Return a new request with who made it: no client says that of itself."""
    spec = content.get("spec") or {}
    return content | {"spec": spec | {"username": name, "groups": list(groups)}}
