# SPDX-License-Identifier: Apache-2.0
"""The client against real etcds: members killed, TLS, limits, a full disk quota."""

import asyncio
import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.etcd import RAISED, running_etcd

from toono.errors import StoreError
from toono.store.etcd_client import Etcd
from toono.store.etcd_cluster import EtcdSettings
from toono.store.etcd_errors import (
    EtcdDeniedError,
    EtcdFullError,
    EtcdUnavailableError,
    EtcdUnsureError,
)
from toono.store.etcd_messages import Range, end_of, put
from toono.testing.certificates import Authority
from toono.wire.tls import ClientFiles, make_context

QUICK = EtcdSettings(attempt=1, deadline=3)


def over(cluster, story, **options):
    async def run():
        client = cluster.client(**options)
        try:
            return await story(client)
        finally:
            client.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


def test_raised_limits_take_thousands_of_keys_and_give_them_back(tmp_path):
    async def story(etcd):
        rows = [(b"/p/%05d" % n, bytes(6000)) for n in range(3000)]
        done = await etcd.txn([], [put(*row) for row in rows], deadline=30)
        assert done.succeeded
        whole = await etcd.range(Range(b"/p/", end_of(b"/p/")), deadline=30)
        assert [(row.key, row.value) for row in whole.kvs] == rows

    with running_etcd(tmp_path, *RAISED) as cluster:
        over(cluster, story)


def test_a_full_etcd_refuses_writes_and_answers_reads(tmp_path):
    async def story(etcd):
        with pytest.raises(EtcdFullError):
            await filled(etcd)
        assert len((await etcd.scan(b"", keys_only=True)).kvs) > 0
        assert any("NOSPACE" in one for one in (await etcd.status()).errors)

    with running_etcd(tmp_path, "--quota-backend-bytes=4194304") as cluster:
        over(cluster, story)


async def filled(etcd):
    for number in range(200):
        await etcd.put(b"%d" % number, bytes(1024 * 1024))


def test_one_member_of_three_killed_is_not_noticed_and_two_are(tmp_path):
    async def story(cluster):
        etcd = cluster.client(settings=EtcdSettings(attempt=2, deadline=8))
        last = Etcd(cluster.endpoints[2:])
        own = Range(b"a", serializable=True)
        try:
            await etcd.put(b"a", b"1")
            cluster.members[0].kill()
            assert (await etcd.range(Range(b"a"))).kvs[0].value == b"1"
            async with asyncio.timeout(20):
                while not await put_through(etcd):
                    pass
                # A follower hears of a commit with the leader's next message.
                while (await last.range(own)).kvs[0].value != b"2":
                    await asyncio.sleep(0.01)
            cluster.members[1].kill()
            with pytest.raises(EtcdUnavailableError):
                await etcd.put(b"a", b"3")
            assert (await etcd.range(own)).kvs[0].value == b"2"
        finally:
            etcd.close()
            last.close()
            await asyncio.sleep(0)

    with running_etcd(tmp_path, members=3) as cluster:
        asyncio.run(story(cluster))


async def put_through(etcd):
    try:
        return await etcd.put(b"a", b"2")
    except EtcdUnavailableError:
        return 0


def issued(directory, *, days=30):
    """Return an authority, etcd's own pair (both usages) and a hub's pair."""
    authority = Authority(directory)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd")])
    where = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    server = authority._issue("etcd", name, days, [where, x509.ExtendedKeyUsage(both)])
    return authority, server, authority.node("edge-1")


def test_tls_with_client_certificates_and_each_way_it_fails(tmp_path):
    authority, server, hub = issued(tmp_path / "pool")
    other, _, stranger = issued(tmp_path / "other")

    async def story(cluster):
        async def ask(ca, pair):
            files = ClientFiles(
                ca=ca, certificate=pair and pair.certificate, key=pair and pair.key
            )
            context = make_context(files)
            etcd = cluster.client(tls=lambda _: context, settings=QUICK)
            try:
                return await etcd.put(b"a", b"b")
            except StoreError as exc:
                return exc
            finally:
                etcd.close()
                for _ in range(5):
                    await asyncio.sleep(0)

        assert await ask(authority.file, hub) > 1
        wrong_ca = await ask(other.file, hub)
        assert isinstance(wrong_ca, EtcdUnavailableError)
        assert "certificate verify failed" in str(wrong_ca)
        for pair in (stranger, None):
            refused = await ask(authority.file, pair)
            assert isinstance(refused, EtcdUnavailableError | EtcdDeniedError)
            assert not isinstance(refused, EtcdUnsureError)

    tls = (server.certificate, server.key, authority.file)
    with running_etcd(tmp_path / "etcd", tls=tls) as cluster:
        asyncio.run(story(cluster))
