# SPDX-License-Identifier: Apache-2.0
"""X-40: whatever happens in whatever order, after quiet all is as a fresh mapper says.

One mapper lives through CRDs that come, change and go, servers that lag behind one
another, APIs that are down, a link that is cut, watches that end, and lookups that
overlap with all of it. What nobody touched must never be called absent meanwhile.
"""

import asyncio
import contextlib
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.unit.restmapper.kit import (
    CRD_PATH,
    MODES,
    Wire,
    crd,
    gk,
    gvk,
    gvr,
    mapper_over,
    standard,
)
from tests.unit.restmapper.virtual import VirtualLoop
from toono.restmapper import MapperError, NoMatchError
from toono.runtime.tasks import cancel_and_wait

both_modes = pytest.mark.parametrize("mode", MODES)
TIMES = int(os.environ.get("TOONO_PROVE", "1"))
GROUPS = ["x.example.com", "y.example.com"]
KINDS = ["Driver", "Rider"]
PLURALS = {"Driver": ["drivers", "driverz"], "Rider": ["riders"]}
VERSIONS = ["v1", "v2", "v1beta1"]
QUIET = 300.0
"""Three polls, the longest back-off and the time of a row, and some more."""

groups = st.sampled_from(GROUPS)
kinds = st.sampled_from(KINDS)
versions = st.sampled_from(VERSIONS)
some_versions = st.lists(versions, min_size=1, max_size=3, unique=True)


class Life(RuleBasedStateMachine):
    """A cluster's changes and a mapper's questions, in virtual time."""

    def __init__(self, mode):
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.cluster = standard(mode)
        self.crds = {}
        """(group, kind) → (plural, versions, namespaced)."""
        self.wire = Wire(self.cluster)
        self.asking = set()

    def do(self, coroutine):
        return self.runner.run(coroutine)

    @initialize(watches=st.booleans())
    def begin(self, watches):
        self.wire.watch_status = 200 if watches else 403
        self.mapper = mapper_over(self.wire)
        self.do(self.mapper.__aenter__())
        self.do(asyncio.sleep(1))
        self.do(self.mapper.rest_mapping(gk("apps", "Deployment")))
        self.do(self.mapper.rest_mapping(gk("", "Pod")))

    # -- the servers ---------------------------------------------------------------

    @rule(
        group=groups,
        kind=kinds,
        other=st.booleans(),
        served=some_versions,
        namespaced=st.booleans(),
    )
    def install(self, group, kind, other, served, namespaced):
        """A CRD comes or changes; one of another plural takes its place."""
        plural = PLURALS[kind][-1 if other else 0]
        known = self.crds.get((group, kind))
        if known is not None and known[0] != plural:
            self.uninstall(group, kind)
        self._unserve(group, kind)
        self.crds[group, kind] = (plural, tuple(served), namespaced)
        for version in served:
            self.cluster.add(group, version, kind, plural, namespaced=namespaced)
        self._tell("MODIFIED" if known else "ADDED", group, kind)

    @rule(group=groups, kind=kinds)
    def uninstall(self, group, kind):
        if (group, kind) in self.crds:
            self._tell("DELETED", group, kind)
            self._unserve(group, kind)
            del self.crds[group, kind]

    def _unserve(self, group, kind):
        plural, served, _ = self.crds.get((group, kind), ("", (), True))
        for version in served:
            self.cluster.remove(group, version, plural)

    def _tell(self, event, group, kind):
        """To the watch, if there is one, and to the next list."""
        plural, served, namespaced = self.crds[group, kind]
        listed = self.wire.listed.setdefault(CRD_PATH, {})
        number = str(len(self.wire.requests) + 100)
        listed[f"{plural}.{group}"] = number
        if event == "DELETED":
            del listed[f"{plural}.{group}"]
        if CRD_PATH in self.wire.watchers and not self.wire.cut:
            scope = "Namespaced" if namespaced else "Cluster"
            told = crd(kind, group, served, plural=plural, scope=scope)
            told["metadata"]["resourceVersion"] = number
            self.wire.tell(event, told)

    @rule(group=groups, version=versions)
    def prefer(self, group, version):
        self.cluster.preferred[group] = version

    @rule(group=groups, version=versions)
    def go_down(self, group, version):
        self.cluster.down.add((group, version))

    @rule()
    def come_up(self):
        self.cluster.down.clear()

    @rule()
    def lag(self):
        """A second server stays where both are now."""
        self.wire.clusters = [self.cluster, self.cluster.copy()]

    @rule()
    def catch_up(self):
        self.wire.clusters = [self.cluster]

    @rule()
    def cut(self):
        self.wire.cut = True
        self.end_watches()

    @rule()
    def mend(self):
        self.wire.cut = False

    @rule()
    def end_watches(self):
        for path in list(self.wire.watchers):
            self.wire.end_watch(path)
            del self.wire.watchers[path]

    # -- the callers ---------------------------------------------------------------

    @rule(group=groups, kind=kinds, asked=st.lists(versions, max_size=2, unique=True))
    def ask_kind(self, group, kind, asked):
        self._ask(self.mapper.rest_mapping(gk(group, kind), *asked))

    @rule(
        group=st.sampled_from(["", *GROUPS]),
        name=st.sampled_from(["drivers", "driver", "driverz", "riders"]),
        version=st.sampled_from(["", *VERSIONS]),
    )
    def ask_resource(self, group, name, version):
        self._ask(self.mapper.kinds_for(gvr(group, version, name)))

    def _ask(self, question):
        """Asked now, answered whenever: it overlaps with what comes next."""

        async def asking():
            with contextlib.suppress(MapperError):
                await question

        self.asking.add(self.runner.get_loop().create_task(asking()))

    @rule()
    def cancel_questions(self):
        self.do(cancel_and_wait(*self.asking))
        self.asking.clear()

    @rule(group=st.sampled_from([None, *GROUPS]))
    def invalidate(self, group):
        self.mapper.invalidate(group)

    @rule(group=st.sampled_from([None, *GROUPS]))
    def refresh(self, group):
        self._ask(self.mapper.refresh(group))

    @rule(group=groups, plural=st.sampled_from(["drivers", "driverz", "riders"]))
    def see_traffic(self, group, plural):
        """What a proxy would tell of requests that pass through it."""
        for (of, kind), (name, served, _) in self.crds.items():
            if (of, name) == (group, plural):
                target = f"/apis/{group}/{served[0]}/{plural}"
                self.mapper.observe.body(target, f"{group}/{served[0]}", kind + "List")
                return
        self.mapper.observe.not_served(f"/apis/{group}/v1/{plural}")

    @rule(seconds=st.sampled_from([0.0005, 0.0015, 0.03, 0.5, 3.0, 20.0, 90.0]))
    def pass_time(self, seconds):
        self.do(asyncio.sleep(seconds))

    # -- what must hold --------------------------------------------------------------

    @invariant()
    def what_nobody_touched_is_there(self):
        if not hasattr(self, "mapper"):
            return
        assert self.mapper.lookup(gvk("apps", "v1", "Deployment"))
        assert self.mapper.lookup(gvk("", "v1", "Pod"))

    def teardown(self):
        try:
            if hasattr(self, "mapper"):
                self.do(self._end())
        finally:
            self.runner.close()

    async def _end(self):
        self.come_up()
        self.catch_up()
        self.mend()
        await asyncio.sleep(QUIET)
        fresh = mapper_over(Wire(self.cluster))
        for question in questions():
            assert await answer(self.mapper, question) == await answer(fresh, question)
            await asyncio.sleep(1)
        await cancel_and_wait(*self.asking)
        await self.mapper.__aexit__(None, None, None)
        await fresh.aclose()


def questions():
    for group in GROUPS:
        for kind in KINDS:
            for asked in ([], *([each] for each in VERSIONS)):
                yield "rest_mappings", (gk(group, kind), *asked)
            yield "rest_mapping", (gk(group, kind),)
        for name in ("driverz", "riders"):
            yield "kind_for", (gvr(group, "", name),)
    for name in ("driver", "drivers", "rider", "pods"):
        yield "resources_for", (gvr("", "", name),)


async def answer(mapper, question):
    call, arguments = question
    try:
        return await getattr(mapper, call)(*arguments)
    except NoMatchError:
        return "absent"


@both_modes
def test_x_40_after_quiet_any_history_equals_a_fresh_mapper(mode):
    run_state_machine_as_test(
        lambda: Life(mode),
        settings=settings(
            max_examples=25 * TIMES,
            derandomize=TIMES == 1,
            database=None,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
