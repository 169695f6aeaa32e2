# SPDX-License-Identifier: Apache-2.0
"""A new join token for a running hub: who may give one, and which is believed."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.certs.test_discovery import cluster_info, kubeconfig, pin_of
from toono.app.board import Board
from toono.app.settings import HubSettings
from toono.app.token import MAX_BYTES, PAGE, UPDATED, open_token
from toono.certs.files import Root, read_bootstrap
from toono.config.certificates import CertificateSettings
from toono.testing.apiserver.server import APIServer
from toono.testing.certificates import Authority
from toono.wire.messages import BytesBody, Peer, Request
from toono.wire.tls import ServerFiles, make_context

TOKEN = "abcdef.0123456789abcdef"


class Rights:
    """Who asks is the node, or is not."""

    def __init__(self, *, node: bool) -> None:
        self.node = node

    async def is_node(self, _: object) -> bool:
        return self.node


class Scene:
    """A hub's action over a cluster whose CA it knows."""

    def __init__(self, directory: Path, **chosen) -> None:
        self.authority = Authority(directory / "ca")
        self.root = Root(directory / "root")
        self.root.pki.mkdir(parents=True)
        self.root.ca.write_bytes(self.authority.file.read_bytes())
        self.server = APIServer()
        self.told = cluster_info(kubeconfig(self.authority.file.read_bytes()))
        self.chosen = CertificateSettings(root=self.root, **{"client": True} | chosen)
        self.rights = Rights(node=True)
        self.taken = 0
        self.servers: tuple[tuple[str, int], ...] = ()

    @asynccontextmanager
    async def running(self):
        pair = self.authority.server("127.0.0.1")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        await self.server.start(tls=make_context(files))
        self.server.create("configmaps", self.told, namespace="kube-public")
        self.servers = (("127.0.0.1", 1), self.server.address)
        try:
            yield self
        finally:
            await self.server.aclose()

    def _note(self) -> None:
        self.taken += 1

    async def give(self, content: bytes) -> tuple[int, str]:
        board = Board()
        settings = HubSettings(
            servers=self.servers, tls=None, node_name="edge-1", cache_path=Path("/x")
        )
        open_token(settings, self.chosen, board, rights=self.rights, taken=self._note)
        request = Request(
            method="PUT",
            target=PAGE.encode(),
            headers=[],
            fields={},
            body=BytesBody(content),
            peer=Peer(connection=1, local=("", 0), remote=("", 0)),
        )
        response = await board.actions[PAGE](request)
        return response.status, response.content.decode().strip()


def said(token: object) -> bytes:
    return json.dumps({"jointoken": token}).encode()


def given(scene: Scene, content: bytes) -> tuple[int, str]:
    async def story() -> tuple[int, str]:
        async with scene.running():
            return await scene.give(content)

    return asyncio.run(story())


def test_token_that_the_cluster_signed_with_is_kept_and_used_at_once(tmp_path) -> None:
    scene = Scene(tmp_path)
    assert given(scene, said(TOKEN)) == (200, UPDATED)
    kept = read_bootstrap(scene.root.bootstrap)
    assert (kept.token, kept.ca) == (TOKEN, scene.authority.file.read_bytes())
    assert kept.server.startswith("https://127.0.0.1:")
    assert scene.taken == 1


def test_only_the_node_gives_one(tmp_path) -> None:
    scene = Scene(tmp_path)
    scene.rights.node = False
    assert given(scene, said(TOKEN))[0] == 403
    assert not scene.root.bootstrap.exists()


def test_hub_with_the_kubelet_s_certificate_needs_none(tmp_path) -> None:
    scene = Scene(tmp_path, client=False)
    assert given(scene, b"nonsense") == (200, UPDATED)
    assert (scene.root.bootstrap.exists(), scene.taken) == (False, 0)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"nonsense", 400, "could not decode tokens"),
        (said(5), 400, "could not decode tokens"),
        (b"\xff", 400, "could not decode tokens"),
        (b"{}", 400, "no join token is set"),
        (said("slip"), 500, "a join token is written as"),
        (said("fedcba.0123456789abcdef"), 500, "not signed with the token fedcba"),
        (said("abcdef.fedcba9876543210"), 500, "is signed with another token"),
        (b" " * (MAX_BYTES + 1), 413, "more than 4096 bytes"),
    ],
)
def test_what_is_no_good_token_is_named_and_changes_nothing(
    tmp_path, content: bytes, code: int, words: str
) -> None:
    scene = Scene(tmp_path)
    found, text = given(scene, content)
    assert (found, words in text) == (code, True), text
    assert "0123456789abcdef" not in text.replace("abcdef.0123456789abcdef", "")
    assert (scene.root.bootstrap.exists(), scene.taken) == (False, 0)


def test_cluster_with_another_ca_is_another_cluster(tmp_path) -> None:
    scene = Scene(tmp_path)
    other = Authority(tmp_path / "other")
    scene.root.ca.write_bytes(other.file.read_bytes())
    code, text = given(scene, said(TOKEN))
    assert (code, pin_of(scene.authority) in text) == (500, True)


def test_pins_that_were_given_count(tmp_path) -> None:
    scene = Scene(tmp_path, pins=("sha256:" + "0" * 64,))
    assert given(scene, said(TOKEN))[0] == 500


def test_nobody_to_ask_is_said(tmp_path) -> None:
    scene = Scene(tmp_path)
    code, text = asyncio.run(scene.give(said(TOKEN)))
    assert (code, text.endswith("there is no server to ask")) == (500, True)
