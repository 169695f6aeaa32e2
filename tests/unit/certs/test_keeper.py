# SPDX-License-Identifier: Apache-2.0
import asyncio
import json

import pytest

from toono.certs.files import Root, put_current, write_whole
from toono.certs.keeper import Keeper, Kept, Reply
from toono.certs.names import client_wanted, serving_wanted
from toono.certs.request import PATH
from toono.certs.rotation import State
from toono.errors import UpstreamError
from toono.runtime.clock import SystemClock
from toono.testing.apiserver.server import APIServer
from toono.testing.apiserver.signing import CLIENT, RESOURCE, SERVING, Signing
from toono.testing.certificates import Authority
from toono.wire.messages import BytesBody, Peer, Request

YEAR = 365 * 86400.0


class Shifted:
    """The machine's clock, moved."""

    by = 0.0

    def wall(self) -> float:
        return SystemClock().wall() + self.by

    def monotonic(self) -> float:
        return SystemClock().monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Scene:
    """A keeper over an API server that signs; the test approves."""

    def __init__(self, tmp_path, *, auto=(), wanted=None) -> None:
        self.root = Root(tmp_path / "root")
        self.authority = Authority(tmp_path / "ca")
        self.server = APIServer()
        self.clock = Shifted()
        self.signing = Signing(
            self.server.storage, self.authority, auto=auto, clock=self.clock
        )
        self.wanted = wanted or client_wanted("edge-1")
        self.changes = 0
        self.cut = False
        self.asked: list[tuple[str, str]] = []
        self.keeper = self.anew()

    def anew(self) -> Keeper:
        kept = Kept(stem="yurthub", wanted=lambda: self.wanted, changed=self._changed)
        return Keeper(self.root, kept, self.ask, clock=self.clock)

    async def _changed(self) -> None:
        self.changes += 1

    async def ask(self, method: str, target: str, content: bytes) -> Reply:
        if self.cut:
            raise UpstreamError("cut")
        self.asked.append((method, target))
        request = Request(
            method=method,
            target=target.encode(),
            headers=[],
            fields={b"content-type": b"application/json"},
            body=BytesBody(content),
            peer=Peer(connection=0, local=("", 0), remote=("", 0)),
        )
        response = await self.server.handle(request)
        for _ in range(5):
            await asyncio.sleep(0)
        return Reply(response.status, response.content)

    @property
    def requests(self) -> list[str]:
        return [name for _, name in self.server.storage.collection(RESOURCE).now]

    def have(self, seconds: float, *, names=("127.0.0.1",)) -> None:
        """Put a certificate in place that is valid for so long from now on."""
        days = max(seconds / 86400, 0.001)
        pair = self.authority.server(*names, days=days)
        content = pair.certificate.read_bytes() + pair.key.read_bytes()
        put_current(self.root, "yurthub", content, now=self.clock.wall())


def test_issued_at_once_where_it_is_approved_at_once(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        keeper = scene.keeper
        await keeper.step()
        assert keeper.state is State.GOOD
        assert (keeper.note, scene.changes, keeper.replaced) == ("", 1, 1)
        assert "CN=system:node:edge-1" in keeper.held.subject
        assert not scene.root.pending_key("yurthub").exists()
        asked = len(scene.asked)
        assert await keeper.step() == 60
        assert len(scene.asked) == asked

    asyncio.run(go())


def test_pending_request_names_the_command_and_survives_a_restart(tmp_path, caplog):
    async def go():
        scene = Scene(tmp_path)
        await scene.keeper.step()
        (name,) = scene.requests
        command = f"kubectl certificate approve {name}"
        assert command in scene.keeper.note
        assert [one.run for one in caplog.records if hasattr(one, "run")] == [command]
        await scene.keeper.step()
        assert len([one for one in caplog.records if hasattr(one, "run")]) == 1
        again = scene.anew()
        await again.step()
        assert again.pending == name
        assert scene.requests == [name]
        scene.signing.decide(name, "Approved")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await again.step()
        assert (again.note, again.state) == ("", State.GOOD)

    asyncio.run(go())


def test_waits_grow_while_nobody_approves(tmp_path):
    async def go():
        scene = Scene(tmp_path)
        waits = [await scene.keeper.step() for _ in range(30)]
        assert waits[0] == 2
        assert waits == sorted(waits)
        assert waits[-1] == 60

    asyncio.run(go())


@pytest.mark.parametrize("verdict", ["Denied", "Failed"])
def test_refused_request_is_named_and_the_next_is_another(tmp_path, verdict):
    async def go():
        scene = Scene(tmp_path)
        await scene.keeper.step()
        (name,) = scene.requests
        scene.signing.decide(name, verdict, "not this node")
        assert await scene.keeper.step() == 600
        assert f"{name} was {verdict.lower()}" in scene.keeper.note
        assert "not this node" in scene.keeper.note
        await scene.keeper.step()
        assert len(scene.requests) == 2

    asyncio.run(go())


def test_approved_without_a_signer_is_told_apart(tmp_path):
    async def go():
        scene = Scene(tmp_path)
        await scene.keeper.step()
        (name,) = scene.requests
        stored = scene.server.storage.collection(RESOURCE).now["", name].object
        stored = {**stored, "spec": {**stored["spec"], "signerName": "example.org/x"}}
        scene.server.update(RESOURCE, stored)
        scene.signing.decide(name, "Approved")
        await scene.keeper.step()
        assert "approved and not yet signed" in scene.keeper.note

    asyncio.run(go())


def test_request_that_was_swept_is_made_again(tmp_path):
    async def go():
        scene = Scene(tmp_path)
        await scene.keeper.step()
        (name,) = scene.requests
        scene.server.delete(RESOURCE, name)
        await scene.keeper.step()
        assert scene.requests == [name]

    asyncio.run(go())


def test_missing_right_is_named(tmp_path):
    async def go():
        scene = Scene(tmp_path)
        keeper = scene.keeper

        async def refuse(method: str, target: str, content: bytes) -> Reply:
            return Reply(403, b"{}")

        keeper._ask = refuse
        await keeper.step()
        assert "get certificatesigningrequests" in keeper.note
        assert "403" in keeper.note

    asyncio.run(go())


@pytest.mark.parametrize(
    ("status", "content"), [(500, b""), (200, b"<html>"), (200, b"\xff")]
)
def test_answer_of_no_api_server_is_named(tmp_path, status, content):
    async def go():
        keeper = Scene(tmp_path).keeper

        async def strange(method: str, target: str, body: bytes) -> Reply:
            return Reply(status, content)

        keeper._ask = strange
        await keeper.step()
        assert keeper.note
        assert not keeper.usable

    asyncio.run(go())


def test_certificate_for_another_key_is_not_put_in_place(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        others = scene.authority.node("edge-1").certificate.read_bytes()
        scene.authority.sign = lambda *_, **__: others
        await scene.keeper.step()
        assert "another key" in scene.keeper.note
        assert not scene.keeper.file.exists()
        assert not scene.root.pending_key("yurthub").exists()

    asyncio.run(go())


def test_rotation_is_due_late_in_life_and_the_old_one_stays_till_then(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        await scene.keeper.step()
        before = scene.keeper.held.serial
        scene.clock.by = 0.69 * YEAR
        await scene.keeper.step()
        assert scene.keeper.held.serial == before
        scene.clock.by = 0.91 * YEAR
        scene.cut = True
        await scene.keeper.step()
        assert scene.keeper.state is State.DUE
        assert scene.keeper.usable
        assert "cut" in scene.keeper.note
        scene.cut = False
        await scene.keeper.step()
        assert scene.keeper.held.serial != before
        assert (scene.changes, scene.keeper.note) == (2, "")

    asyncio.run(go())


def test_expired_while_cut_off_is_said_and_replaced_when_the_link_is_back(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        await scene.keeper.step()
        scene.clock.by, scene.cut = 2 * YEAR, True
        await scene.keeper.step()
        assert scene.keeper.state is State.EXPIRED
        assert not scene.keeper.usable
        scene.cut = False
        await scene.keeper.step()
        assert scene.keeper.state is State.GOOD

    asyncio.run(go())


def test_clock_in_1970_asks_for_nothing_and_says_so(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        await scene.keeper.step()
        asked = len(scene.asked)
        scene.clock.by = -SystemClock().wall()
        await scene.keeper.step()
        assert len(scene.asked) == asked
        assert "clock" in scene.keeper.note
        scene.clock.by = 0.0
        await scene.keeper.step()
        assert scene.keeper.note == ""

    asyncio.run(go())


def test_further_address_makes_another_certificate(tmp_path):
    async def go():
        first = serving_wanted("edge-1", ["10.96.0.1"])
        scene = Scene(tmp_path, auto=(SERVING,), wanted=first)
        await scene.keeper.step()
        await scene.keeper.step()
        assert len(scene.requests) == 1
        scene.wanted = serving_wanted("edge-1", ["10.96.0.1", "169.254.2.1"])
        await scene.keeper.step()
        assert "169.254.2.1" in scene.keeper.held.names

    asyncio.run(go())


def test_what_to_ask_for_may_not_be_known_yet(tmp_path):
    async def go():
        scene = Scene(tmp_path)
        scene.wanted = None
        await scene.keeper.step()
        assert scene.asked == []
        assert "not known" in scene.keeper.note
        scene.have(86400 * 10)
        await scene.keeper.step()
        assert scene.keeper.note == ""

    asyncio.run(go())


def test_certificate_that_cannot_be_used_is_replaced(tmp_path, caplog):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        write_whole(scene.keeper.file, b"junk")
        write_whole(scene.root.pending_key("yurthub"), b"junk")
        await scene.keeper.step()
        assert scene.keeper.state is State.GOOD
        assert "cannot be used" in caplog.text

    asyncio.run(go())


def test_directory_that_cannot_be_written_is_named(tmp_path):
    async def go():
        scene = Scene(tmp_path)
        (tmp_path / "root").write_text("a file")
        await scene.keeper.step()
        assert str(tmp_path / "root") in scene.keeper.note
        assert scene.requests == []

    asyncio.run(go())


def test_renewal_on_demand_wakes_the_keeper(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        task = asyncio.ensure_future(scene.keeper.run())
        async with asyncio.timeout(10):
            while scene.changes < 1:
                await asyncio.sleep(0.001)
            scene.keeper.renew()
            while scene.changes < 2:
                await asyncio.sleep(0.001)
        posts = [one for one in scene.asked if one == ("POST", PATH)]
        assert len(posts) == 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


def test_link_that_is_back_is_used_at_once(tmp_path):
    async def go():
        scene = Scene(tmp_path, auto=(CLIENT,))
        scene.cut = True
        task = asyncio.ensure_future(scene.keeper.run())
        async with asyncio.timeout(10):
            while not scene.keeper.problem:
                await asyncio.sleep(0.001)
            scene.cut = False
            scene.keeper.hurry()
            while scene.changes < 1:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


def test_keys_are_in_no_log(tmp_path, caplog):
    async def go():
        scene = Scene(tmp_path)
        await scene.keeper.step()
        key = scene.root.pending_key("yurthub").read_text().splitlines()[1]
        assert key not in caplog.text
        (body,) = [
            json.dumps(one.object)
            for one in scene.server.storage.collection(RESOURCE).now.values()
        ]
        assert key not in body

    asyncio.run(go())


def test_certificate_that_nobody_could_use_is_not_asked_for(tmp_path):
    async def go():
        scene, needed = Scene(tmp_path), [False]
        kept = Kept(
            stem="yurthub",
            wanted=lambda: scene.wanted,
            changed=scene._changed,
            needed=lambda: needed[0],
        )
        keeper = Keeper(scene.root, kept, scene.ask, clock=scene.clock)
        keeper.renew()
        await keeper.step()
        assert (scene.asked, keeper.note) == ([], "")
        needed[0] = True
        await keeper.step()
        assert keeper.pending

    asyncio.run(go())
