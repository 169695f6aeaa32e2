# SPDX-License-Identifier: Apache-2.0
import asyncio

from toono.autonomy.vault import LEEWAY_SECONDS, Vault
from toono.errors import DamagedRowError, StoreFullError
from toono.identity.sealed import Seal
from toono.store.base import Batch
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock


class Rig:
    def __init__(self, store=None, **more) -> None:
        self.store = store or MemoryStore()
        self.seal = Seal(b"k" * 32)
        self.clock = VirtualClock()
        self.more = more

    async def vault(self, seal: Seal | None = None) -> Vault:
        made = Vault(
            self.store,
            seal or self.seal,
            prefix=b"t",
            clock=self.clock,
            **self.more,
        )
        await made.open()
        return made

    def soon(self, seconds: float = 60.0) -> float:
        return self.clock.wall() + seconds


def test_an_answer_is_there_until_its_end_over_a_restart() -> None:
    async def scenario() -> None:
        rig = Rig()
        vault = await rig.vault()
        vault.put(b"answer", "a", "b", ends_at=rig.soon())
        for one in (vault, await rig.vault()):
            assert await one.get("a", "b") == b"answer"
            assert await one.get("ab") is None
            assert len(one) == 1
        assert vault.lasts("a", "b") == (rig.clock.wall(), rig.soon())
        await rig.clock.advance(60)
        assert await vault.get("a", "b") is None

    asyncio.run(scenario())


def test_the_store_tells_neither_question_nor_answer() -> None:
    async def scenario() -> None:
        rig = Rig()
        vault = await rig.vault()
        vault.put(b"secret-answer", "secret-question", ends_at=rig.soon())
        for key, value in (await rig.store.scan(b"")).rows:
            assert b"secret" not in key + value
        assert await (await rig.vault(Seal(b"x" * 32))).get("secret-question") is None

    asyncio.run(scenario())


def test_an_answer_moved_to_another_question_is_none() -> None:
    async def scenario() -> None:
        rig = Rig()
        vault = await rig.vault()
        vault.put(b"one", "a", ends_at=rig.soon())
        (only,) = (await rig.store.scan(b"t")).rows
        vault.put(b"two", "b", ends_at=rig.soon())
        rows = (await rig.store.scan(b"t")).rows
        (other,) = [key for key, _ in rows if key != only[0]]
        rig.store.apply(Batch(puts=[(other, only[1])]))
        assert await vault.get("b") is None
        rig.store.apply(Batch(puts=[(other, b"nonsense")]))
        assert await vault.get("b") is None
        assert await (await rig.vault()).get("b") is None
        rig.store.apply(Batch(deletes=[other]))
        assert await vault.get("b") is None

    asyncio.run(scenario())


def test_a_clock_that_jumps_hides_and_deletes_nothing() -> None:
    async def scenario() -> None:
        rig = Rig()
        vault = await rig.vault()
        vault.put(b"answer", "a", ends_at=rig.soon())
        true, year = rig.clock._wall, 365 * 86400.0
        for wall, there in [
            (true + year, None),
            (true - year, None),
            (true - LEEWAY_SECONDS, b"answer"),
            (true, b"answer"),
        ]:
            rig.clock._wall = wall
            assert await vault.get("a") == there

    asyncio.run(scenario())


def test_what_ends_first_makes_room() -> None:
    async def scenario() -> None:
        rig = Rig(max_rows=2)
        vault = await rig.vault()
        vault.put(b"1", "long", ends_at=rig.soon(900))
        vault.put(b"2", "short", ends_at=rig.soon(10))
        vault.put(b"3", "long", ends_at=rig.soon(901))
        assert await vault.get("short") == b"2"
        vault.put(b"4", "new", ends_at=rig.soon(20))
        assert await vault.get("short") is None
        assert await vault.get("long") == b"3"
        assert len(await rig.vault()) == 2

    asyncio.run(scenario())


def test_a_store_that_fails_answers_nothing_and_raises_nothing() -> None:
    class Bad(MemoryStore):
        fails = False

        async def get(self, key):
            raise DamagedRowError(key)

        def apply(self, batch, *, sync=False):
            if self.fails:
                raise StoreFullError("full")
            return super().apply(batch, sync=sync)

    async def scenario() -> None:
        rig = Rig(Bad())
        vault = await rig.vault()
        vault.put(b"1", "a", ends_at=rig.soon())
        assert await vault.get("a") is None
        rig.store.fails = True
        vault.put(b"1", "b", ends_at=rig.soon())
        assert len(vault) == 1

    asyncio.run(scenario())
