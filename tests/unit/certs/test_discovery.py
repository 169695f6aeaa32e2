# SPDX-License-Identifier: Apache-2.0
import asyncio
import base64
import hashlib
import hmac
import json

import pytest
from cryptography import x509

from toono.certs.discovery import JoinToken, believe, check_pins, discover
from toono.certs.files import public_bytes
from toono.errors import CertificateError, UpstreamError
from toono.testing.apiserver.server import APIServer
from toono.testing.certificates import Authority
from toono.wire.tls import ServerFiles, make_context

TOKEN = JoinToken.of("abcdef.0123456789abcdef")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def kubeconfig(ca: bytes) -> str:
    data = base64.b64encode(ca).decode()
    cluster = {"server": "https://h:1", "certificate-authority-data": data}
    return json.dumps({"clusters": [{"name": "", "cluster": cluster}]})


def jws(payload: str, *, secret=TOKEN.secret, kid="abcdef", alg="HS256") -> str:
    header = encode(json.dumps({"alg": alg, "kid": kid}).encode())
    signed = f"{header}.{encode(payload.encode())}".encode()
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"{header}..{encode(mac)}"


def cluster_info(text: str, signature: str | None = None) -> dict:
    told = jws(text) if signature is None else signature
    data = {"kubeconfig": text, "jws-kubeconfig-abcdef": told}
    return {"metadata": {"name": "cluster-info"}, "data": data}


def said(content: dict) -> bytes:
    return json.dumps(content).encode()


def pin_of(authority: Authority) -> str:
    found = x509.load_pem_x509_certificate(authority.file.read_bytes())
    return "sha256:" + hashlib.sha256(public_bytes(found.public_key())).hexdigest()


def test_what_the_token_signed_is_believed_with_and_without_its_pin(authority):
    ca = authority.file.read_bytes()
    content = said(cluster_info(kubeconfig(ca)))
    assert believe(content, TOKEN, ()) == ca
    assert believe(content, TOKEN, (pin_of(authority).upper().replace("SHA", "sha"),))


def test_wrong_pin_is_named_with_what_was_found(authority):
    content = said(cluster_info(kubeconfig(authority.file.read_bytes())))
    with pytest.raises(CertificateError, match=pin_of(authority)):
        believe(content, TOKEN, ("sha256:" + "0" * 64,))


def signatures(text: str) -> list[str]:
    good = jws(text)
    header, _, mac = good.split(".")
    return [
        jws(text, secret="fedcba9876543210"),
        jws(text, kid="others"),
        jws(text, alg="none"),
        f"{header}..",
        f"{header}.{encode(text.encode())}.{mac}",
        f"{encode(b'[]')}..{mac}",
        "junk",
        "\u00e9..x",
        jws(text + " "),
    ]


@pytest.mark.parametrize("number", range(9))
def test_what_the_token_did_not_sign_is_not_believed(authority, number):
    text = kubeconfig(authority.file.read_bytes())
    content = said(cluster_info(text, signatures(text)[number]))
    with pytest.raises(CertificateError, match="signed with another token"):
        believe(content, TOKEN, ())


def test_token_that_is_not_there_may_come(authority):
    content = said({"data": {"kubeconfig": "x"}})
    with pytest.raises(UpstreamError, match="not signed with the token abcdef"):
        believe(content, TOKEN, ())


@pytest.mark.parametrize("text", ["", "[", "clusters: []", kubeconfig(b"junk")])
def test_signed_nonsense_is_named(text):
    with pytest.raises(CertificateError, match="names no CA"):
        believe(said(cluster_info(text)), TOKEN, ())


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]"])
def test_answer_of_a_portal_is_asked_again(content):
    with pytest.raises(UpstreamError, match="no ConfigMap"):
        believe(content, TOKEN, ())


@pytest.mark.parametrize("text", ["", "abcdef", "ABCDEF.0123456789abcdef", "a.b"])
def test_what_is_no_token_is_refused_and_not_repeated(text):
    with pytest.raises(CertificateError) as told:
        JoinToken.of(text)
    assert "0123456789abcdef'" not in str(told.value)
    assert TOKEN.secret not in repr(TOKEN)


def test_what_is_no_pin_is_refused():
    with pytest.raises(CertificateError, match="no pin"):
        check_pins(["sha256:12"])


def serve(authority, content, tmp_path, *, hosts=("127.0.0.1",), shown=None):
    async def go():
        pair = (shown or authority).server(*hosts)
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        server = APIServer()
        await server.start(tls=make_context(files))
        if content is not None:
            server.create("configmaps", content, namespace="kube-public")
        try:
            return await discover(server.address, TOKEN, ())
        finally:
            await server.aclose()

    return asyncio.run(go())


def test_ca_is_discovered_over_the_wire(authority, tmp_path):
    ca = authority.file.read_bytes()
    assert serve(authority, cluster_info(kubeconfig(ca)), tmp_path) == ca


def test_server_that_its_own_ca_does_not_verify_is_not_joined(authority, tmp_path):
    content = cluster_info(kubeconfig(authority.file.read_bytes()))
    other = Authority(tmp_path / "other")
    with pytest.raises(UpstreamError, match="certificate"):
        serve(authority, content, tmp_path, shown=other)
    with pytest.raises(UpstreamError, match="certificate"):
        serve(authority, content, tmp_path, hosts=("10.0.0.1",))


def test_cluster_without_the_configmap_is_named(authority, tmp_path):
    with pytest.raises(UpstreamError, match="404"):
        serve(authority, None, tmp_path)


def test_nobody_there_is_named():
    with pytest.raises(UpstreamError):
        asyncio.run(discover(("127.0.0.1", 1), TOKEN, ()))
