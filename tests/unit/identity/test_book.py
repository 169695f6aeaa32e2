# SPDX-License-Identifier: Apache-2.0
"""The book of verdicts over a memory store; reopened, it knows the same."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

from toono.errors import StoreFullError
from toono.identity import book as book_module
from toono.identity import rows
from toono.identity.book import Book, Verdict
from toono.identity.rows import KeySetRow, Question
from toono.store.base import Batch, Scan
from toono.store.memory import MemoryStore

ALL = Question("list", "", "pods")
SHOP = ALL._replace(namespace="shop")
GET = Question("get", "", "pods", "", "shop")


def play(scenario: Callable[[Book, MemoryStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = MemoryStore()
        book = Book(store)
        await book.open()
        await scenario(book, store)

    asyncio.run(run())


async def reopened(store: MemoryStore) -> Book:
    book = Book(store)
    await book.open()
    return book


def allowed(book: Book, question: Question, identity: str = "a") -> bool | None:
    found = book.find(identity, question)
    return None if found is None else found.allowed


def test_the_exact_answer_decides_and_then_the_wider_right() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        assert allowed(book, SHOP) is None
        book.put("a", ALL, allowed=True, at=1.0)
        for one in (book, await reopened(store)):
            assert allowed(one, ALL) is True
            assert allowed(one, SHOP) is True
            assert allowed(one, SHOP._replace(name="x")) is True
            assert allowed(one, GET) is None
            assert allowed(one, ALL._replace(subresource="status")) is None
            assert allowed(one, ALL, "b") is None
        book.put("a", GET._replace(name="x"), allowed=True, at=1.0)
        assert allowed(book, GET._replace(name="y")) is None
        assert allowed(book, GET) is None

    play(scenario)


def test_a_refusal_ends_the_rights_it_disproves_and_no_other() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        x = GET._replace(name="x")
        for question in (ALL, GET, GET._replace(namespace=""), x):
            book.put("a", question, allowed=True, at=1.0)
        book.put("a", GET._replace(name="y"), allowed=False, at=2.0)
        for one in (book, await reopened(store)):
            assert allowed(one, GET._replace(name="y")) is False
            assert allowed(one, x) is True
            assert allowed(one, GET._replace(name="z")) is None
            assert allowed(one, SHOP) is True

    play(scenario)


def test_a_refusal_heard_again_ends_the_rights_given_meanwhile() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        for lasts in (False, True):
            book.put("a", SHOP, allowed=False, at=1.0, lasts=lasts)
            book.put("a", ALL, allowed=True, at=2.0, lasts=lasts)
            book.put("a", SHOP, allowed=False, at=3.0, lasts=lasts)
            for one in (book, await reopened(store)):
                assert allowed(one, ALL) is None
                assert allowed(one, SHOP) is False

    play(scenario)


def test_a_refusal_of_all_refuses_no_single_name() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.put("a", GET, allowed=False, at=1.0)
        assert allowed(book, GET) is False
        assert allowed(book, GET._replace(name="x")) is None

    play(scenario)


def test_only_what_was_heard_within_the_window_counts() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.put("a", SHOP, allowed=True, at=100.0)
        name = SHOP._replace(name="x")
        for window, found in [
            ((100.0, 100.0), True),
            ((101.0, 200.0), False),
            ((0.0, 99.0), False),
        ]:
            for question in (SHOP, name):
                assert (book.find("a", question, window=window) is not None) is found

    play(scenario)


def test_the_same_word_again_is_written_only_after_a_while() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        written = []
        apply = store.apply
        store.apply = lambda batch, **how: (written.append(batch), apply(batch))[1]
        book.put("a", SHOP, allowed=True, at=100.0)
        book.put("a", SHOP, allowed=True, at=699.0)
        assert len(written) == 1
        book.put("a", SHOP, allowed=False, at=699.0)
        book.put("a", SHOP, allowed=True, at=699.5)
        book.put("a", SHOP, allowed=True, at=1299.5)
        book.put("a", SHOP, allowed=True, at=1.0)  # the clock went back
        assert len(written) == 5
        assert book.find("a", SHOP) == Verdict(True, 1.0)

    play(scenario)


def test_an_identity_that_asks_for_much_pays_with_its_own() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.put("b", SHOP, allowed=True, at=1.0)
        for number in range(600):
            one = GET._replace(name=str(number))
            book.put("a", one, allowed=False, at=1.0)
        for one in (book, await reopened(store)):
            assert len(list(one.told("a"))) == 512
            assert allowed(one, GET._replace(name="599")) is False
            assert allowed(one, GET._replace(name="0")) is None
            assert allowed(one, SHOP, "b") is True

    play(scenario)


def test_the_identity_that_was_longest_silent_goes_first() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        for number in range(512):
            book.put(str(number), SHOP, allowed=True, at=1.0)
        book.put("0", ALL, allowed=True, at=1.0)
        book.put("new", SHOP, allowed=True, at=1.0)
        for one in (book, await reopened(store)):
            assert allowed(one, SHOP, "1") is None
            assert allowed(one, SHOP, "0") is True
            assert allowed(one, SHOP, "new") is True

    play(scenario)


def test_the_node_is_never_pushed_out_by_those_with_tokens() -> None:
    """Its rights are written once and keep their time: they are the oldest of all."""

    async def scenario(book: Book, store: MemoryStore) -> None:
        book.put(rows.NODE, ALL, allowed=True, at=1.0, lasts=True)
        for number in range(1, book_module.MAX_IDENTITIES):
            book.put(f"pod-{number}", ALL, allowed=True, at=float(number + 1))
        again = await reopened(store)
        for number in range(3):
            again.put(f"new-{number}", ALL, allowed=True, at=9_999.0)
        assert again.identities == book_module.MAX_IDENTITIES
        assert allowed(again, ALL, rows.NODE) is True
        assert allowed(again, ALL, "pod-1") is None

    play(scenario)


def test_a_right_without_a_selector_holds_with_any_and_not_the_other_way() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        own = ALL._replace(selector="spec.nodeName=edge-1")
        named = SHOP._replace(selector="a=b")
        book.put("a", own, allowed=True, at=1.0)
        assert allowed(book, own) is True
        assert allowed(book, ALL) is None
        assert allowed(book, SHOP._replace(selector=own.selector)) is True
        assert allowed(book, named) is None
        book.put("a", ALL, allowed=False, at=2.0)
        assert allowed(book, own) is True
        assert allowed(book, ALL) is False
        book.put("a", ALL, allowed=True, at=3.0)
        for one in (book, await reopened(store)):
            assert allowed(one, named) is True
        book.put("a", named, allowed=False, at=4.0)
        for one in (book, await reopened(store)):
            assert allowed(one, ALL) is None

    play(scenario)


def test_what_a_hash_learned_goes_to_its_owner() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        one = book.identity_of(b"token")
        assert b"token" not in one.encode().removeprefix(b"token/")
        book.put(one, SHOP, allowed=True, at=1.0)
        book.move(one, "a")
        book.move(one, "a")
        for again in (book, await reopened(store)):
            assert allowed(again, SHOP) is True
            assert allowed(again, SHOP, one) is None
        book.forget("a")
        assert allowed(await reopened(store), SHOP) is None

    play(scenario)


def test_what_a_hash_learned_does_not_undo_what_its_owner_heard_later() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        one = book.identity_of(b"token")
        book.put(one, SHOP, allowed=True, at=1.0)
        book.put("a", SHOP, allowed=False, at=2.0)
        book.move(one, "a")
        assert allowed(book, SHOP) is False

    play(scenario)


def test_a_hash_brings_no_right_that_its_owner_was_refused_a_part_of_later() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.put("token/x", ALL, allowed=True, at=1.0)
        book.put("token/x", GET, allowed=True, at=3.0)
        book.put("a", SHOP, allowed=False, at=2.0)
        book.put("a", GET._replace(name="y"), allowed=False, at=2.0)
        book.move("token/x", "a")
        for one in (book, await reopened(store)):
            assert allowed(one, ALL) is None
            assert allowed(one, GET) is True
            assert allowed(one, GET._replace(name="y")) is False

    play(scenario)


def test_what_a_hash_learned_comes_in_the_order_it_was_heard() -> None:
    async def scenario(book: Book, _: MemoryStore) -> None:
        book.put("token/x", SHOP, allowed=False, at=1.0)
        book.put("token/x", ALL, allowed=True, at=2.0)
        book.put("token/x", SHOP, allowed=True, at=3.0)
        book.put("token/x", GET, allowed=False, at=1.0)
        book.put("token/x", GET._replace(namespace=""), allowed=True, at=2.0)
        book.put("token/x", GET, allowed=False, at=2.0)
        book.move("token/x", "a")
        assert allowed(book, ALL) is True
        assert allowed(book, SHOP) is True
        assert allowed(book, GET._replace(namespace="")) is None

    play(scenario)


def test_hashes_are_keyed_by_a_secret_that_stays() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        one = book.identity_of(b"token")
        assert (await reopened(store)).identity_of(b"token") == one
        assert (await reopened(MemoryStore())).identity_of(b"token") != one

    play(scenario)


def test_a_refused_token_is_known_by_what_was_signed() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.refuse(b"h.c.s", at=1.0, genuine=True)
        for one in (book, await reopened(store)):
            assert one.is_refused(b"h.c.s")
            assert one.is_refused(b"h.c.other")
            assert not one.is_refused(b"h.d.s")
        again = await reopened(store)
        again.accept(b"h.c.s")
        again.accept(b"h.c.s")
        assert not (await reopened(store)).is_refused(b"h.c.s")

    play(scenario)


def test_nobody_can_have_another_s_token_refused_nor_its_refusal_forgotten() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.refuse(b"h.c.forged", at=1.0, genuine=False)
        assert book.is_refused(b"h.c.forged")
        assert not book.is_refused(b"h.c.s")
        assert not (await reopened(store)).is_refused(b"h.c.forged")
        book.refuse(b"h.c.s", at=1.0, genuine=True)
        for number in range(1100):
            book.refuse(b"%d" % number, at=1.0, genuine=False)
        assert not book.is_refused(b"0")
        assert book.is_refused(b"1099")
        assert book.is_refused(b"h.c.s")
        book.accept(b"1099")
        assert not book.is_refused(b"1099")
        for number in range(1100):
            book.refuse(b"h.%d.s" % number, at=1.0, genuine=True)
        for one in (book, await reopened(store)):
            assert not one.is_refused(b"h.c.s")
            assert one.is_refused(b"h.1099.s")

    play(scenario)


def test_what_token_owners_feed_is_marked_for_good() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        book.feed("", "services")
        book.feed("", "services")
        for one in (book, await reopened(store)):
            assert one.is_fed("", "services")
            assert not one.is_fed("", "pods")
        for number in range(1200):
            book.feed("", str(number))
        assert book.is_fed("nobody", "knows")  # too many: every one is doubted

    play(scenario)


def test_what_lasts_is_written_once_and_there_may_be_more_of_it() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        for number in range(600):
            one = GET._replace(name=str(number))
            book.put("node", one, allowed=True, at=1.0, lasts=True)
        assert len(list((await reopened(store)).told("node"))) == 600
        book.put("node", SHOP, allowed=True, at=1.0, lasts=True)
        book.put("node", SHOP, allowed=True, at=9999.0, lasts=True)
        assert book.find("node", SHOP) == Verdict(True, 1.0)
        book.put("node", SHOP, allowed=False, at=9999.0, lasts=True)
        assert book.find("node", SHOP) == Verdict(False, 9999.0)

    play(scenario)


def test_what_is_asked_often_is_not_the_oldest(monkeypatch) -> None:
    monkeypatch.setattr("toono.identity.book.MAX_LASTING", 3)

    async def scenario(book: Book, store: MemoryStore) -> None:
        for number in range(9):
            book.put("node", SHOP, allowed=True, at=1.0, lasts=True)
            one = GET._replace(name=str(number))
            book.put("node", one, allowed=True, at=1.0, lasts=True)
        assert allowed(book, SHOP, "node") is True

    play(scenario)


def test_the_key_set_stays() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        row = KeySetRow("https://issuer", b"{}", 7.0)
        book.keep_key_set(row)
        assert (await reopened(store)).key_set == row

    play(scenario)


class Damaged(MemoryStore):
    """A store some of whose rows are damaged."""

    def __init__(self, *keys: bytes) -> None:
        super().__init__()
        self.keys = keys

    async def scan(self, prefix: bytes) -> Scan:
        rows, _ = await super().scan(prefix)
        return Scan(rows, self.keys)


def test_damage_is_a_lost_right_and_never_a_gained_one(caplog) -> None:
    async def scenario() -> None:
        store = MemoryStore()
        await store.apply(Batch(puts=[(rows.VERDICT_PREFIX + b"x", b"\xc1")]))
        book = await reopened(store)
        assert book.lost_rows == 1
        store = Damaged(rows.FED_PREFIX + b"x")
        book = await reopened(store)
        assert book.lost_rows == 1
        assert book.is_fed("any", "thing")
        store = MemoryStore()
        book = await reopened(store)
        book.refuse(b"h.c.s", at=1.0, genuine=True)
        book.put("a", SHOP, allowed=True, at=1.0)
        book.put("node", SHOP, allowed=True, at=1.0)
        (refused,) = [key for key, _ in (await store.scan(rows.REFUSED_PREFIX)).rows]
        kept = dict((await store.scan(b"")).rows)
        for lost in (refused, rows.SALT):
            store = Damaged(lost)
            puts = [(key, value) for key, value in kept.items() if key != lost]
            await store.apply(Batch(puts=puts))
            book = await reopened(store)
            assert book.is_refused(b"h.c.s") or allowed(book, SHOP) is None
            assert allowed(book, SHOP, "node") is True

    asyncio.run(scenario())
    assert "remembered rights are lost" in caplog.text


def test_a_full_store_loses_a_row_and_no_answer(caplog) -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        def full(*_, **__):
            raise StoreFullError("full")

        store.apply = full
        book.put("a", SHOP, allowed=True, at=1.0)
        assert allowed(book, SHOP) is True

    play(scenario)
    assert "could not be written down" in caplog.text


def test_a_write_that_fails_later_is_nobody_s_error() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        loop = asyncio.get_running_loop()
        failed, cancelled = loop.create_future(), loop.create_future()
        failed.set_exception(StoreFullError("x"))
        cancelled.cancel()
        for one in (failed, cancelled):
            book_module._seen(one)

    play(scenario)


def test_a_write_that_fails_is_the_store_s_to_tell_and_nobody_else_s() -> None:
    async def scenario(book: Book, store: MemoryStore) -> None:
        heard: list[dict] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context))

        def lost(*_, **__):
            future = loop.create_future()
            future.set_exception(StoreFullError("gone"))
            return future

        def given_up(*_, **__):
            future = loop.create_future()
            future.cancel()
            return future

        for store.apply in (lost, given_up):
            book.put("a", SHOP, allowed=True, at=1.0)
            book.put("a", SHOP, allowed=False, at=2.0)
            await asyncio.sleep(0)
            gc.collect()
        assert heard == []

    play(scenario)
