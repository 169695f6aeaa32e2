# SPDX-License-Identifier: Apache-2.0
"""The floor: a bare relay with the same loop, parser and TLS as the hub, and no more.

It reads a request's head with llhttp, passes its bytes to an upstream connection over
TLS (one a client connection), finds the end of the answer with llhttp and passes its
bytes back. No gate, no policy, no fields added: nothing that relays HTTP in Python on
this loop does less.

    python -m bench.floor --listen 127.0.0.1:8001 --upstream 127.0.0.1:6443 --ca ca.crt
"""

import argparse
import asyncio
import ssl

import httptools
import uvloop


class Upstream(asyncio.Protocol):
    """One connection to the server, used by one client connection."""

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, piece: bytes) -> None:
        self.parser.feed_data(piece)
        self.client.transport.write(piece)

    def on_message_complete(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.client.answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.transport.close()


class Client(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, connect) -> None:
        self.connect = connect
        self.parser = httptools.HttpRequestParser(self)
        self.upstream: Upstream | None = None
        self.waiting = b""
        self.transport: asyncio.Transport = None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, piece: bytes) -> None:
        self.parser.feed_data(piece)
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.write(piece)
            return
        self.waiting += piece
        if self.upstream is None:
            self.upstream = Upstream(self)
            task = asyncio.get_running_loop().create_task(self.open())
            task.add_done_callback(lambda t: t.exception())

    async def open(self) -> None:
        await self.connect(self.upstream)
        self.upstream.transport.write(self.waiting)
        self.waiting = b""

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_message_complete(self) -> None:
        pass

    def answered(self) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.close()


async def serve(
    listen: tuple[str, int],
    upstream: tuple[str, int],
    ca: str,
    pair: tuple[str, str] | None,
) -> None:
    """Relay until cancelled; prints the port once it listens."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=ca) if ca else None
    if context is not None and pair is not None:
        context.load_cert_chain(*pair)

    async def connect(protocol: Upstream) -> None:
        await loop.create_connection(lambda: protocol, *upstream, ssl=context)

    server = await loop.create_server(lambda: Client(connect), *listen)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--ca", default="")
    parser.add_argument("--pair", nargs=2, help="the client's certificate and key")
    args = parser.parse_args()
    host, _, port = args.listen.rpartition(":")
    up_host, _, up_port = args.upstream.rpartition(":")
    pair = (args.pair[0], args.pair[1]) if args.pair else None
    uvloop.run(serve((host, int(port)), (up_host, int(up_port)), args.ca, pair))


if __name__ == "__main__":
    main()
