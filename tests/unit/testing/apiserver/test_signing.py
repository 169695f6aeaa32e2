# SPDX-License-Identifier: Apache-2.0
import asyncio
import base64
import json

import pytest
from cryptography import x509

from toono.certs.names import Wanted, client_wanted, serving_wanted
from toono.certs.request import new_key, prepare
from toono.testing.apiserver.server import APIServer
from toono.testing.apiserver.signing import (
    CLIENT,
    KUBELET_CLIENT,
    RESOURCE,
    SERVING,
    Signing,
    with_requester,
)
from toono.testing.certificates import Authority


def ask(
    tmp_path, *requests: Wanted, auto=(CLIENT, SERVING, KUBELET_CLIENT), verdict=""
):
    """Return the stored requests after whoever is to decide has decided."""

    async def go():
        server = APIServer()
        signing = Signing(server.storage, Authority(tmp_path), auto=auto)
        names = []
        for wanted in requests:
            content = json.loads(prepare(wanted, new_key()).content)
            names.append(content["metadata"]["name"])
            server.create(RESOURCE, content)
        for name in names:
            if verdict:
                signing.decide(name, verdict)
        for _ in range(5):
            await asyncio.sleep(0)
        now = server.storage.collection(RESOURCE).now
        return [now["", name].object for name in names]

    return asyncio.run(go())


def kinds(content) -> list[str]:
    status = content.get("status") or {}
    return [one["type"] for one in status.get("conditions", ())]


def certificate(content) -> x509.Certificate:
    return x509.load_pem_x509_certificate(
        base64.b64decode(content["status"]["certificate"])
    )


def test_approved_requests_are_signed_with_their_names(tmp_path):
    client, serving = ask(
        tmp_path, client_wanted("edge-1"), serving_wanted("edge-1", ["10.96.0.1"])
    )
    assert kinds(client) == kinds(serving) == ["Approved"]
    assert "CN=system:node:edge-1" in certificate(client).subject.rfc4514_string()
    names = certificate(serving).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(one) for one in names.value.get_values_for_type(x509.IPAddress)] == [
        "10.96.0.1"
    ]


def test_a_plain_cluster_approves_neither(tmp_path):
    found = ask(
        tmp_path, client_wanted("a"), serving_wanted("a", []), auto=(KUBELET_CLIENT,)
    )
    assert [kinds(one) for one in found] == [[], []]


@pytest.mark.parametrize("verdict", ["Denied", "Failed"])
def test_what_is_refused_gets_no_certificate(tmp_path, verdict):
    (found,) = ask(tmp_path, client_wanted("a"), auto=(), verdict=verdict)
    assert kinds(found) == [verdict]
    assert "certificate" not in found["status"]


def wanted(**changes) -> Wanted:
    values = {
        "signer": SERVING,
        "usage": "server auth",
        "common_name": "system:node:a",
        "organizations": ("system:nodes",),
        "dns": ("kubernetes",),
    }
    return Wanted(**(values | changes))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (wanted(organizations=("openyurt:yurthub", "system:nodes")), "organization"),
        (wanted(common_name="edge-1"), "common name"),
        (wanted(dns=()), "is required"),
        (wanted(usage="client auth"), "usages"),
        (wanted(signer=KUBELET_CLIENT, usage="client auth"), "not allowed"),
    ],
)
def test_what_a_signer_does_not_sign_fails_in_words(tmp_path, request_, why):
    (found,) = ask(tmp_path, request_)
    assert kinds(found) == ["Approved", "Failed"]
    assert why in found["status"]["conditions"][-1]["message"]


def test_another_s_signer_is_left_alone(tmp_path):
    (found,) = ask(tmp_path, wanted(signer="example.org/x"), verdict="Approved")
    assert kinds(found) == ["Approved"]
    assert "certificate" not in found["status"]


def test_requester_is_the_server_s_to_say():
    told = with_requester({"spec": {"username": "me"}}, name="you", groups=("g",))
    assert told["spec"] == {"username": "you", "groups": ["g"]}
