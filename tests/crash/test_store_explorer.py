# SPDX-License-Identifier: Apache-2.0
"""Crash states of the store: none loses what was acknowledged, none mixes batches.

TOONO_PROVE=1 opens 200,000 states instead of 20,000; TOONO_CRASH_STATES any number.
"""

import itertools
import os
import time
from pathlib import Path

import pytest

from tests.crash.explorer import crash_states, examine, explore, record
from tests.crash.stories import STORIES

PROVE = bool(os.environ.get("TOONO_PROVE"))
STATES = int(os.environ.get("TOONO_CRASH_STATES", "200000" if PROVE else "20000"))
CHUNKS = 20
"""Each a test of its own, so that cores can share them."""


@pytest.mark.timeout(60 + STATES // 100)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_crash_state_loses_or_mixes_batches(
    chunk: int, scratch: Path, record_property
):
    began, opened = time.perf_counter(), 0
    each = STATES // CHUNKS // len(STORIES) + 1
    for number, story in enumerate(STORIES.values()):
        session = record(scratch / f"live-{number}", story, seed=chunk)
        verdict = explore(session, scratch / "state", states=each, seed=chunk)
        assert verdict.bad == []
        opened += verdict.states
    assert opened >= STATES // CHUNKS
    record_property("states_per_second", opened / (time.perf_counter() - began))


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_while_recovering_from_a_crash_loses_nothing(seed: int, scratch: Path):
    """The states that a first crash leaves are lived on from, and crash again."""
    session = record(scratch / "first", STORIES["bursts"], seed=seed)
    states = itertools.islice(crash_states(session, 60, seed), 0, 60, 10)
    for number, (_, files, least, most) in enumerate(states):
        again = scratch / f"again-{number}"
        again.mkdir(mode=0o700)
        for name, content in files.items():
            (again / name).write_bytes(content)
        before = next(
            rows
            for rows in session.states[least : most + 1]
            if examine(files, [rows], scratch / "state") is None
        )
        second = record(again, STORIES["ordinary"], seed=seed, before=before)
        assert explore(second, scratch / "state", states=150, seed=seed).bad == []
