# SPDX-License-Identifier: Apache-2.0
"""`toono demo`: the whole job in half a minute, each answer checked.

An API server (the embedded one), a hub in a process of its own, a client. Then the
link is cut, the hub is killed, and the link comes back.
"""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from toono.cli.demo_client import Client
from toono.runtime.clock import SystemClock
from toono.testing import APIServer
from toono.testing.certificates import Authority
from toono.wire.tls import ServerFiles, make_context

NODE = "edge-1"
PODS = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
WAIT_SECONDS = 10.0


class Failed(Exception):  # noqa: N818 - a result of the demo, not an error of ours
    """An answer was not what it had to be."""


class Demo:
    """The stage: a server, a hub in a child process, and a teller."""

    def __init__(self, directory: Path, console: Console) -> None:
        self._directory = directory
        self._console = console
        self._authority = Authority(directory / "pki")
        self._child: asyncio.subprocess.Process | None = None
        self._clock = SystemClock()
        self.server = APIServer()
        self.client = Client(0)
        self.checked = 0

    # -- the stage -------------------------------------------------------------

    async def start_server(self, port: int = 0) -> None:
        pair = self._authority.server("127.0.0.1", "localhost")
        files = ServerFiles(certificate=pair.certificate, key=pair.key)
        await self.server.start(port=port, tls=make_context(files))

    async def start_hub(self) -> None:
        """Start `toono run` as a node would, and wait until it serves."""
        node = self._authority.node(NODE)
        arguments = [
            f"--server-addr={self.server.url}",
            f"--ca-file={self._authority.file}",
            f"--client-cert-file={node.certificate}",
            f"--client-key-file={node.key}",
            f"--disk-cache-path={self._directory / 'cache'}",
            f"--proxy-port={self.client.port}",
            "--serve-port=0",
            f"--node-uids={os.getuid()}",
            "--log-level=error",
        ]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "toono.cli",
            "run",
            *arguments,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._child.stderr is not None
        async with asyncio.timeout(WAIT_SECONDS):
            while line := await self._child.stderr.readline():
                if b"serving on" in line:
                    self.client.port = int(line.rsplit(b":", 1)[1])
                    return
                self.tell(line.decode().rstrip())
        raise Failed("the hub did not start")

    async def kill_hub(self) -> None:
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()

    async def aclose(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()
            await self._child.wait()
        await self.server.aclose()

    # -- telling ----------------------------------------------------------------

    def tell(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def act(self, number: int, text: str) -> None:
        self._console.print(f"\n[bold]{number}. {text}[/bold]", highlight=False)

    def check(self, what: str, got: object, expected: object) -> None:
        """Compare one answer, and say so."""
        self.checked += 1
        if got != expected:
            raise Failed(f"{what}: expected {expected!r}, got {got!r}")
        self._console.print(f"   [green]ok[/green]  {what}: {got}", highlight=False)

    async def until_online(self) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while (await self.client.get("/readyz")).status != 200:
                await self._clock.sleep(0.05)


async def play(demo: Demo) -> None:
    """Show the whole job, checking every answer."""
    server, client = demo.server, demo.client
    demo.act(1, "A cluster with three pods on this node, and a hub before it")
    await demo.start_server()
    for number in range(3):
        server.create("pods", pod(f"web-{number}"), namespace="default")
    await demo.start_hub()
    await demo.until_online()
    demo.tell(f"   API server at {server.url}, hub at http://127.0.0.1:{client.port}")

    demo.act(2, "A client lists, watches and reads through the hub")
    before = await client.get(PODS)
    demo.check("LIST", before.names(), ["web-0", "web-1", "web-2"])
    watch = await client.watch(PODS, before.version())
    server.create("pods", pod("web-3"), namespace="default")
    demo.check("WATCH", await watch.next(), ("ADDED", "web-3"))
    server.delete("pods", "web-0", namespace="default")
    demo.check("WATCH", await watch.next(), ("DELETED", "web-0"))
    version = watch.version
    one = await client.get("/api/v1/namespaces/default/pods/web-1")
    demo.check("GET", (one.status, one.name()), (200, "web-1"))

    demo.act(3, "The link is cut")
    port = server.address[1]
    await server.aclose()
    demo.check("WATCH ends cleanly", await watch.next(), None)
    await same_questions(demo, version, one.body)

    demo.act(4, "The hub is killed with -9, and starts again, still cut off")
    await demo.kill_hub()
    await demo.start_hub()
    await same_questions(demo, version, one.body)
    watch = await client.watch(PODS, version)
    demo.tell("       WATCH from the version the client has: held open")

    demo.act(5, "The link returns")
    await demo.start_server(port)
    demo.check("the held watch ends cleanly", await watch.next(), None)
    await demo.until_online()
    asked = len(server.requests)
    watch = await client.watch(PODS, version)
    server.create("pods", pod("web-4"), namespace="default")
    demo.check("WATCH goes on", await watch.next(), ("ADDED", "web-4"))
    lists = [
        target
        for method, target in server.requests[asked:]
        if method == "GET" and "/pods" in target and "watch" not in target
    ]
    demo.check("lists asked of the API server since", lists, [])
    watch.close()


async def same_questions(demo: Demo, version: str, body: bytes) -> None:
    """Ask again what was asked online: the same answers, from the cache."""
    client = demo.client
    again = await client.get(PODS)
    demo.check("LIST", again.names(), ["web-1", "web-2", "web-3"])
    demo.check("  at the version last seen", again.version(), version)
    demo.check("  answered by", again.field("cache-status"), "toono; hit")
    one = await client.get("/api/v1/namespaces/default/pods/web-1")
    demo.check("GET, byte for byte", one.body == body, True)
    gone = await client.get("/api/v1/namespaces/default/pods/web-9")
    demo.check("GET of a name nobody asked for", gone.status, 503)
    services = await client.get("/api/v1/services")
    demo.check("LIST of what nobody asked for", services.status, 503)
    write = await client.send("POST", "/api/v1/namespaces/default/pods", b"{}")
    demo.check("a write is refused, not promised", write.status, 503)
    if again.field("warning"):
        demo.tell(f"       Warning: {again.field('warning')}")


def pod(name: str) -> dict[str, object]:
    """Return a pod of this node."""
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "web:1"}]},
        "status": {"phase": "Running"},
    }


async def run() -> int:
    """Play the demo; return the exit code."""
    console = Console()
    clock = SystemClock()
    started = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="toono-demo-") as directory:
        demo = Demo(Path(directory), console)
        try:
            await play(demo)
        except (Failed, TimeoutError, OSError) as exc:
            console.print(f"[red]failed[/red]: {exc or type(exc).__name__}")
            return 1
        finally:
            await demo.aclose()
    seconds = clock.monotonic() - started
    console.print(f"\n{demo.checked} answers checked, all right, in {seconds:.1f} s.")
    return 0


@click.command()
def command() -> None:
    """Show the whole job: list, watch, cut the link, kill the hub, reconnect.

    Everything it needs is in the package, the API server too; it talks to loopback
    alone, keeps nothing, and exits 0 only if every answer was what it had to be.

    \b
    Example:
      toono demo
    """
    sys.exit(asyncio.run(run()))
