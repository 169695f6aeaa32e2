# SPDX-License-Identifier: Apache-2.0
"""Crash states of the whole cache, each opened by a fresh one and asked for all.

No answer is wrong, older than what was durable, or from after the crash, and nothing
that was known is unknown. TOONO_PROVE=1 opens 200,000 states instead of 6,000;
TOONO_CACHE_STATES any number.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.crash.cache_explorer import explore, explore_losses
from tests.crash.cache_session import record
from tests.crash.cache_stories import STORIES, Life
from toono.cache import persist

PROVE = bool(os.environ.get("TOONO_PROVE"))
STATES = int(os.environ.get("TOONO_CACHE_STATES", "200000" if PROVE else "6000"))
SEED = int(os.environ.get("TOONO_SEED", "0"))
EACH = 120
"""Of one session: more of them tell more than more states of each."""
CHUNKS = 10
AHEAD = (400, 1200, persist.WRITE_AHEAD_BYTES)
"""Above so many bytes a list is written ahead: often, sometimes, where it is lost."""


@pytest.mark.timeout(60 + STATES // 50)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_crash_state_says_what_it_must_not(
    chunk: int, scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    opened, seed = 0, SEED + chunk
    while opened < STATES // CHUNKS:
        monkeypatch.setattr(persist, "WRITE_AHEAD_BYTES", AHEAD[seed % len(AHEAD)])
        for name, story in STORIES.items():
            live = scratch / f"{name}-{seed}"
            session = record(live, story, seed, Life)
            verdict = explore(session, scratch / "state", states=EACH, seed=seed)
            assert verdict.bad == [], (name, seed)
            opened += verdict.states
            shutil.rmtree(live)
        seed += CHUNKS


@pytest.mark.parametrize("seed", [174, 210])
def test_a_list_that_is_being_written_may_be_lost_with_a_kill(
    seed: int, scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its question was answered by another scope before, which a full disk ended."""
    monkeypatch.setattr(persist, "WRITE_AHEAD_BYTES", AHEAD[0])
    session = record(scratch / "live", STORIES["troubled"], seed, Life)
    assert explore(session, scratch / "state", states=EACH, seed=seed).bad == []


@pytest.mark.parametrize("name", STORIES)
def test_no_row_that_a_disk_lost_is_taken_for_absent(name: str, scratch: Path):
    """Every row of the last state is lost without a trace, and damaged, in turn."""
    lost = 0
    for seed in range(SEED, SEED + 4):
        session = record(scratch / f"live-{seed}", STORIES[name], seed, Life)
        verdict = explore_losses(session, scratch / "state")
        assert verdict.bad == []
        lost += verdict.states
    assert lost > 4
