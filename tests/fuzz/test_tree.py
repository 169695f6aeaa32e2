# SPDX-License-Identifier: Apache-2.0
"""A tree on a bad disk: no byte stops a start, and none is shown as another object."""

import asyncio
import json
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cache.kit import Cache, pod, pod_list
from tests.unit.cache.tree_kit import Copied

from toono.cache.tree import adopt_tree, read_documents, read_manifest, read_tree

PODS = "/api/v1/pods"
NAMES = ("a", "b", "c")
seeds = st.integers(0, 2**32)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return content with bits flipped, a piece lost, or a piece of zeros."""
    if not content:
        return rng.randbytes(8)
    at, length = rng.randrange(len(content)), rng.randrange(1, 64)
    piece = content[at : at + length]
    new = rng.choice(
        (
            b"",
            bytes(len(piece)),
            rng.randbytes(len(piece)),
            bytes([piece[0] ^ (1 << rng.randrange(8))]) + piece[1:],
            piece + piece,
        )
    )
    return rng.choice((content[:at], content[:at] + new + content[at + length :]))


async def copied(path: Path) -> dict[str, dict]:
    """Write a tree; return its pods as they are in the database."""
    cache = Copied(path)
    pods = [pod(name, 5, annotations={"x": "y" * 50}) for name in NAMES]
    await cache.take(PODS, pod_list(7, *pods))
    await cache.copy()
    return {one["metadata"]["name"]: one for one in pods}


@given(seeds)
@settings(max_examples=80, deadline=None)
def test_damage_is_left_out_and_never_shown(seed: int) -> None:
    asyncio.run(one_damage(random.Random(seed)))


async def one_damage(rng: random.Random) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        pods = await copied(path)
        files = sorted(one for one in path.rglob("*") if one.is_file())
        hit = rng.choice(files)
        content = hit.read_bytes()
        hit.write_bytes(damaged(content, rng))
        vouched = read_manifest(path) is not None
        read_documents(path)
        cache = Cache()
        adopt_tree(cache.scopes, read_tree(path))
        for scope in cache.scopes.all():
            for (_, name), row in scope.rows.items():
                if vouched and row.resource_version == "5":
                    assert json.loads(row.data or b"") == pods[name], hit
            if scope.complete:
                assert {name for _, name in scope.rows} == set(NAMES)
                assert scope.version == 7
        await cache.scopes.aclose()


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_may_stand_where_a_file_is_expected(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        for name in ("_internal/toono/scopes.json", "a/pods.v1.core/n/x", "version"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        assert [found.singles for found in read_tree(path)] == []
        read_documents(path)
