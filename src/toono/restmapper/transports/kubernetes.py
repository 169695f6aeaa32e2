# SPDX-License-Identifier: Apache-2.0
"""The mapper over the official Python client.

    kubernetes.config.load_kube_config()
    with SyncRESTMapper(lambda: KubernetesTransport(kubernetes.client.ApiClient())) as m:
        m.rest_mapping(GroupKind("apps", "Deployment"))

That client blocks, so each request has a thread, watches for as long as they last.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import urllib3
from kubernetes import client

from toono.restmapper.transport import Reply, TransportError

CHUNK_BYTES = 64 << 10
CONNECT_SECONDS = 10.0
READ_SECONDS = 330.0
"""A thread that reads cannot be cancelled; servers send a bookmark every minute."""
THREADS = 16

T = TypeVar("T")


class KubernetesTransport:
    """A `Transport`. `close` it when the mapper is done."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="restmapper")

    def close(self) -> None:
        """Wait for no thread; those that still read end with their answers."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        """Send a GET request."""
        try:
            response = await self._call(lambda: self._send(target, headers))
            try:
                yield Reply(
                    status=response.status,
                    headers={
                        name.lower(): value for name, value in response.headers.items()
                    },
                    chunks=self._chunks(response),
                )
            finally:
                _abort(response)
        except urllib3.exceptions.HTTPError as exc:
            raise TransportError(str(exc)) from exc

    def _send(
        self, target: str, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """Send, with the credentials that the client has by now."""
        configuration = self._client.configuration
        sent = {**self._client.default_headers, **headers}
        for setting in configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                sent[setting["key"]] = setting["value"]
        pool: urllib3.PoolManager = self._client.rest_client.pool_manager
        return pool.request(
            "GET",
            configuration.host + target,
            headers=sent,
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )

    async def _chunks(self, response: urllib3.BaseHTTPResponse) -> AsyncIterator[bytes]:
        while piece := await self._call(lambda: _next(response)):
            yield piece

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


def _next(response: urllib3.BaseHTTPResponse) -> bytes:
    """What is there already, at least a byte; b"" at the end."""
    return response.read1(CHUNK_BYTES, decode_content=False)


def _abort(response: urllib3.BaseHTTPResponse) -> None:
    """Wake the thread that reads, then give the connection up."""
    with suppress(ValueError, RuntimeError, OSError):
        response.shutdown()
    response.close()
