# SPDX-License-Identifier: Apache-2.0
"""`python -m cni_agent`: the agent, in a pod; `python -m cni_agent cni`: the plugin."""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path


def main() -> None:
    """Run what the first word says."""
    if sys.argv[1:] == ["cni"]:
        from cni_agent import plugin

        plugin.main()
    parser = argparse.ArgumentParser(prog="cni-agent")
    parser.add_argument("--node", default=os.environ.get("NODE_NAME", ""))
    parser.add_argument("--conf", type=Path, default=Path("/etc/cni/net.d"))
    parser.add_argument("--bin", type=Path, default=Path("/opt/cni/bin"))
    parser.add_argument("--state", type=Path, default=Path("/var/lib/cni-agent"))
    options = parser.parse_args()
    if not options.node:
        parser.error("which node is this? --node or NODE_NAME")
    run(options)


def run(options: argparse.Namespace) -> None:
    """Run the agent until a signal ends it."""
    from kubernetes import client, config

    from cni_agent.controller import Agent, Places

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    configuration = client.Configuration()
    config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    places = Places(conf=options.conf, bin=options.bin, state=options.state)
    agent = Agent(configuration, node=options.node, places=places)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    agent.start()
    stop.wait()
    agent.stop()


if __name__ == "__main__":
    main()
