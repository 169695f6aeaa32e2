# SPDX-License-Identifier: Apache-2.0
"""The reconcile loop: from what the informers know to files on the node and a status.

Level-triggered, as kubebuilder's: a reconcile is told a name, not what has happened, and
makes everything of that name as it should be. The status is this node's part only, so
that no two agents write over one another.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from kubernetes import client

from cni_agent import files
from cni_agent.kinds import (
    NETWORKS,
    NODES,
    PODS,
    POLICIES,
    Network,
    Node,
    NodeStatus,
    Pod,
    Policy,
)
from cni_agent.kit.api import MERGE_PATCH, RefusedError, UnreachableError
from cni_agent.kit.clock import RealClock
from cni_agent.kit.informer import Informer
from cni_agent.kit.limiter import TokenBucket
from cni_agent.kit.meta import Kind
from cni_agent.kit.queue import WorkQueue
from cni_agent.transport import Transport

logger = logging.getLogger(__name__)
QPS, BURST = 5.0, 10
"""As client-go's defaults."""
TOKEN_SECONDS = 60.0
"""How often the kubeconfig is compared with the token that the kubelet rotates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are on the node."""

    conf: Path = Path("/etc/cni/net.d")
    bin: Path = Path("/opt/cni/bin")
    state: Path = Path("/var/lib/cni-agent")

    @property
    def kubeconfig(self) -> Path:
        """Beside the configuration, in a folder that no runtime reads."""
        return self.conf / "cni-agent.d" / "kubeconfig"

    def of_network(self, name: str) -> Path:
        """The file that a runtime reads."""
        return self.conf / f"10-{name}.conflist"


class Agent:
    """One node's agent."""

    def __init__(
        self, configuration: client.Configuration, *, node: str, places: Places
    ) -> None:
        self._configuration, self._node, self._places = configuration, node, places
        self._clock = RealClock()
        limiter = TokenBucket(rate=QPS, burst=BURST, clock=self._clock)
        self._api = Transport(configuration, limiter)
        self._queue: WorkQueue[str] = WorkQueue(clock=self._clock)
        here = {"fieldSelector": f"spec.nodeName={node}"}
        self.networks: Informer[Network] = Informer(
            self._api, NETWORKS, Network, self._network, clock=self._clock
        )
        self.pods: Informer[Pod] = Informer(
            self._api, PODS, Pod, self._any, clock=self._clock, selector=here
        )
        self.nodes: Informer[Node] = Informer(
            self._api, NODES, Node, self._any, clock=self._clock
        )
        self.policies: Informer[Policy] = Informer(
            self._api, POLICIES, Policy, self._any, clock=self._clock
        )
        self._synced = [
            self.networks.synced,
            self.pods.synced,
            self.nodes.synced,
            self.policies.synced,
        ]
        self._told: dict[str, tuple[str, NodeStatus]] = {}
        """What was told of which version of a network."""
        self._threads: list[threading.Thread] = []

    # -- life -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin; threads do the rest."""
        files.install_plugin(self._places.bin)
        self._spawn(self.networks.run)
        self._spawn(self.pods.run)
        self._spawn(self.nodes.run)
        self._spawn(self.policies.run)
        self._spawn(self._tick)
        self._spawn(self._work)

    def stop(self) -> None:
        """End: watches are left, the work in hand is finished."""
        self._clock.stopped.set()
        self._queue.close()
        self._api.close()
        for thread in self._threads:
            thread.join(10)
        self._api.drop()

    def _spawn(self, target: Callable[[threading.Event], None]) -> None:
        stopped = self._clock.stopped
        thread = threading.Thread(target=target, args=(stopped,), daemon=True)
        thread.start()
        self._threads.append(thread)

    # -- what makes work --------------------------------------------------------------

    def _network(self, old: Network | None, new: Network | None) -> None:
        one = new or old
        assert one is not None
        self._queue.put(one.key)

    def _any(self, _old: Kind | None, _new: Kind | None) -> None:
        for network in self.networks.all():
            self._queue.put(network.key)

    # -- work -------------------------------------------------------------------------

    def _tick(self, stopped: threading.Event) -> None:
        """Look at everything from time to time: the kubelet rotates the token."""
        while not stopped.wait(TOKEN_SECONDS):
            self._any(None, None)

    def _work(self, _stopped: threading.Event) -> None:
        while (name := self._queue.take()) is not None:
            try:
                self.reconcile(name)
            except (RefusedError, UnreachableError, OSError) as exc:
                seconds = self._queue.retry(name)
                logger.warning("%s: %s; again in %.1f s", name, exc, seconds)
            else:
                self._queue.forget(name)
            finally:
                self._queue.done(name)

    def reconcile(self, name: str) -> None:
        """Make the node as a network wants it, and say so."""
        if not all(synced.is_set() for synced in self._synced):
            self._queue.put_after(name, 0.1)
            return
        network = self.networks.get(name)
        if network is None:
            self._told.pop(name, None)
            self._places.of_network(name).unlink(missing_ok=True)
            return
        status = self._status(network)
        if status.ready:
            self._write(network, status)
        # Until the watch brings back what was told, the network looks as before.
        told = (network.metadata.resource_version, status)
        if status != network.status.nodes.get(self._node) and told != self._told.get(
            name
        ):
            self._tell(network, status)
            self._told[name] = told

    def _status(self, network: Network) -> NodeStatus:
        """Return what there is to say: all of it from what is known, nothing asked."""
        node = self.nodes.get(self._node)
        range_ = node.spec.pod_cidr if node else ""
        pods = [one for one in self.pods.all() if not one.spec.host_network]
        policies = self.policies.all()
        isolated = [pod for pod in pods if any(one.selects(pod) for one in policies)]
        others = [one for one in self.nodes.all() if one.key != self._node]
        return NodeStatus(
            observed_generation=network.metadata.generation,
            ready=bool(range_),
            range=range_,
            pods=len(pods),
            isolated=len(isolated),
            peers=len([one for one in others if one.address and one.spec.pod_cidr]),
            message="" if range_ else f"node {self._node} has no podCIDR",
        )

    def _write(self, network: Network, status: NodeStatus) -> None:
        places = self._places
        content = files.kubeconfig(self._configuration)
        files.write_whole(places.kubeconfig, content, 0o600)
        content = files.network_configuration(
            network,
            range_=status.range,
            kubeconfig_path=places.kubeconfig,
            state=places.state,
        )
        # Last: a runtime that reads it may call the plugin at once.
        if files.write_whole(places.of_network(network.metadata.name), content):
            logger.info("%s: wrote its configuration", network.metadata.name)

    def _tell(self, network: Network, status: NodeStatus) -> None:
        name = network.metadata.name
        patch = {"status": {"nodes": {self._node: status}}}
        path = f"{NETWORKS}/{name}/status"
        self._api.patch(path, msgspec.json.encode(patch), MERGE_PATCH)
        logger.info("%s: told its status", name)
