# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

ADMISSION = "admissionregistration.k8s.io"
RBAC = "rbac.authorization.k8s.io"


def test_config_maps_count_both_kinds_of_data():
    obj = {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "Mw=="}}
    assert cells("ConfigMap", obj) == {"Data": 3}


def test_secrets_count_their_data():
    found = cells("Secret", {"type": "Opaque", "data": {"a": "MQ=="}})
    assert found == {"Type": "Opaque", "Data": 1}


def test_service_accounts():
    assert cells("ServiceAccount", {"secrets": [{}, {}]}) == {"Secrets": 2}


def test_namespaces():
    found = cells("Namespace", {"status": {"phase": "Active"}})
    assert found == {"Status": "Active"}


def test_resource_quotas():
    status = {
        "hard": {"pods": "4", "cpu": "2", "limits.memory": "2Gi", "limitsx": "1"},
        "used": {"pods": "1", "limits.memory": "1Gi"},
    }
    assert cells("ResourceQuota", {"status": status}) == {
        "Request": "cpu: 0/2, limitsx: 0/1, pods: 1/4",
        "Limit": "limits.memory: 1Gi/2Gi",
    }


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_bindings(kind):
    subjects = [
        {"kind": "User", "name": "u"},
        {"kind": "User", "name": "v"},
        {"kind": "Group", "name": "g"},
        {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
        {"kind": "Other", "name": "o"},
    ]
    obj = {"roleRef": {"kind": "Role", "name": "r"}, "subjects": subjects}
    assert cells(kind, obj, group=RBAC) == {
        "Role": "Role/r",
        "Users": "u, v",
        "Groups": "g",
        "ServiceAccounts": "n/s",
    }


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
def test_webhooks(kind):
    obj = {"webhooks": [{}, {}]}
    found = cells(f"{kind}WebhookConfiguration", obj, group=ADMISSION)
    assert found == {"Webhooks": 2}


def request(spec=None, **status):
    obj = {"spec": spec or {}, "status": status}
    return cells("CertificateSigningRequest", obj, group="certificates.k8s.io")


def test_certificate_requests():
    spec = {"signerName": "s", "username": "u", "expirationSeconds": 3600}
    assert request(spec) == {
        "SignerName": "s",
        "Requestor": "u",
        "RequestedDuration": "60m",
        "Condition": "Pending",
    }
    found = request()
    assert found["SignerName"] == found["RequestedDuration"] == "<none>"


@pytest.mark.parametrize(
    ("kinds", "certificate", "shown"),
    [
        (["Approved"], "", "Approved"),
        (["Approved", "Denied"], "", "Denied"),
        (["Approved", "Failed"], "", "Approved,Failed"),
        (["Approved"], "LS0t", "Approved,Issued"),
        (["Failed"], "LS0t", "Pending,Failed,Issued"),
    ],
)
def test_decisions(kinds, certificate, shown):
    conditions = [{"type": one} for one in kinds]
    found = request(conditions=conditions, certificate=certificate)
    assert found["Condition"] == shown
