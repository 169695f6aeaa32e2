# SPDX-License-Identifier: Apache-2.0
"""The official Python client's informer through a cut: synced, quiet, and nothing missed.

TOONO_INFORMER_SECONDS says how long the quiet lasts (`make prove`: 90).
"""

import os
import threading
import time
from collections import Counter
from functools import wraps

import pytest

from tests.interop.test_clients import Stage, listed

QUIET_SECONDS = float(os.environ.get("TOONO_INFORMER_SECONDS", "2"))


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.aclose()


class Informed:
    """One informer, what it asked and what it heard."""

    def __init__(self, core) -> None:
        from kubernetes.informer import ADDED, DELETED, SharedInformer

        self.asked: Counter[str] = Counter()
        self.heard: list[tuple[str, str]] = []
        list_pods = core.list_namespaced_pod

        @wraps(list_pods)  # a Watch learns its objects' type from there
        def counted(*arguments, **options):
            self.asked["watch" if options.get("watch") else "list"] += 1
            return list_pods(*arguments, **options)

        self.informer = SharedInformer(counted, namespace="default")
        for kind in (ADDED, DELETED):
            self.informer.add_event_handler(kind, self._noted(kind))
        self.informer.start()

    def _noted(self, kind: str):
        return lambda obj: self.heard.append((kind, obj.metadata.name))

    def names(self) -> set[str]:
        return {key.rpartition("/")[2] for key in self.informer.cache.list_keys()}

    def stop(self, stage: Stage) -> None:
        """Let it go: it looks whether it shall stop at each event, and no sooner."""
        ending = threading.Thread(target=self.informer.stop)
        ending.start()
        stage.create(f"last-of-{id(self)}")
        ending.join(20)
        assert not ending.is_alive()


def wait_for(fact, seconds: float = 20.0) -> None:
    ending = threading.Event()
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until
        ending.wait(0.02)


def test_an_informer_lives_through_a_cut(stage: Stage) -> None:
    from kubernetes import client

    for name in ("web-0", "web-1"):
        stage.create(name)
    configuration = client.Configuration()
    configuration.host = stage.url
    with client.ApiClient(configuration) as api:
        api.user_agent = "informer/1.0"
        core = client.CoreV1Api(api)
        listed(core)
        before = Informed(core)
        wait_for(lambda: before.names() == {"web-0", "web-1"})
        stage.cut()
        after = Informed(core)  # a program that starts while cut off
        wait_for(lambda: after.names() == {"web-0", "web-1"}, seconds=2.0)
        asked = [sum(one.asked.values()) for one in (before, after)]
        threading.Event().wait(QUIET_SECONDS)
        for one, count in zip((before, after), asked, strict=True):
            assert sum(one.asked.values()) - count <= max(2, QUIET_SECONDS / 10)
            assert one.names() == {"web-0", "web-1"}
        stage.delete("web-0")
        stage.mend()
        stage.create("web-2")
        for one in (before, after):
            wait_for(lambda one=one: one.names() == {"web-1", "web-2"})
            assert ("DELETED", "web-0") in one.heard
            assert one.asked["list"] == 1, "it listed again"
        for one in (before, after):
            one.stop(stage)
