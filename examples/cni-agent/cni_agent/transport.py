# SPDX-License-Identifier: Apache-2.0
"""The kit's API over the official client: its configuration, its pool, raw bytes.

Nothing here says where the API is: `load_incluster_config` does, from the pod's own
environment and files, and reads the token again when the kubelet has rotated it.
"""

import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import msgspec
import urllib3
from kubernetes import client

from cni_agent.kit.api import RefusedError, UnreachableError
from cni_agent.kit.limiter import TokenBucket

AGENT = "cni-agent/v1"
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
SILENCE_SECONDS = 700.0
"""A watch says something, or ends, sooner: it asked for at most 600 s."""


class _Status(msgspec.Struct):
    message: str = ""


class Transport:
    """Speaks to the API as the pod's service account. Safe to use from threads."""

    def __init__(
        self, configuration: client.Configuration, limiter: TokenBucket
    ) -> None:
        self._configuration, self._limiter = configuration, limiter
        # A watch holds its connection: the pool must not make the others wait.
        configuration.connection_pool_maxsize = 16
        self._api = client.ApiClient(configuration)
        self._pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        self._open: set[urllib3.BaseHTTPResponse] = set()
        self._lock = threading.Lock()
        self._closed = False

    def get(self, path: str, query: Mapping[str, str]) -> bytes:
        response = self._ask("GET", path, query, READ_SECONDS)
        try:
            return response.data
        except urllib3.exceptions.HTTPError as exc:
            raise UnreachableError(str(exc)) from exc

    def patch(self, path: str, content: bytes, media_type: str) -> bytes:
        response = self._ask("PATCH", path, {}, READ_SECONDS, content, media_type)
        try:
            return response.data
        except urllib3.exceptions.HTTPError as exc:
            raise UnreachableError(str(exc)) from exc

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        response = self._ask("GET", path, query, SILENCE_SECONDS)
        with self._lock:
            self._open.add(response)
            if self._closed:
                response.shutdown()
        try:
            yield from _lines(response)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise UnreachableError(str(exc)) from exc
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def close(self) -> None:
        """End the watches that are open or open yet, from another thread than theirs."""
        with self._lock:
            self._closed = True
            for response in self._open:
                response.shutdown()

    def drop(self) -> None:
        """Give back the connections that are idle; when nobody asks any more."""
        self._pool.clear()

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        seconds: float,
        content: bytes = b"",
        media_type: str = "",
    ) -> urllib3.BaseHTTPResponse:
        self._limiter.wait()
        headers = {"Accept": "application/json", "User-Agent": AGENT}
        if media_type:
            headers["Content-Type"] = media_type
        headers["Authorization"] = bearer(self._configuration)
        url = self._configuration.host + path + ("?" + urlencode(query)) * bool(query)
        try:
            response = self._pool.request(
                method,
                url,
                headers=headers,
                body=content or None,
                preload_content=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
            )
            if response.status >= 300:
                raise _refusal(response, response.data)
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise UnreachableError(str(exc)) from exc
        return response


def bearer(configuration: client.Configuration) -> str:
    """Return the credential; asking for it reads a rotated token again."""
    return str(configuration.auth_settings()["BearerToken"]["value"])


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for piece in response.stream(amt=None, decode_content=True):
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)


def _refusal(response: urllib3.BaseHTTPResponse, body: bytes) -> RefusedError:
    try:
        message = msgspec.json.decode(body, type=_Status).message
    except msgspec.MsgspecError:
        message = body[:200].decode("utf-8", "replace")
    after = response.headers.get("Retry-After", "")
    seconds = float(after) if after.isdigit() else 0.0
    return RefusedError(response.status, message, retry_after=seconds)
