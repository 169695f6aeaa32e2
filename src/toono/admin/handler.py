# SPDX-License-Identifier: Apache-2.0
"""The hub's own endpoints (10267): is it alive, is it ready, what does it do.

Ready does not mean that the cloud can be reached: a node that is cut off is ready,
that is the product. Paths under /v1 are YurtHub's.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs

from toono import __version__
from toono.admin.metrics import CONTENT_TYPE, Metrics
from toono.admin.page import Rows, html_page, text_page
from toono.wire.messages import Headers, Request, Response
from toono.wire.pages import WHY, is_from_page, is_loopback

HTML: Headers = [
    (b"Content-Type", b"text/html; charset=utf-8"),
    (b"Content-Security-Policy", b"default-src 'none'; style-src 'unsafe-inline'"),
]
TEXT: Headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
JSON: Headers = [(b"Content-Type", b"application/json")]
NO_PAGES = WHY.encode() + b"\n"
Check = Callable[[], bool]
Note = Callable[[], str]
Action = Callable[[Request], Awaitable[Response]]


class Admin:
    """Answers the status listener. `checks` are what readiness depends on.

    `notes` are what is wrong and no reason to take the hub out of use: text where
    something is, shown by verbose readiness. `pages` are answered as JSON; `tables`
    stand on the status page. `actions` answer a POST or PUT, and decide for themselves
    who may ask for it.
    """

    def __init__(
        self,
        *,
        checks: Mapping[str, Check],
        status: Callable[[], Mapping[str, object]],
        metrics: Metrics,
        notes: Mapping[str, Note] | None = None,
        pages: Mapping[str, Callable[[], object]] | None = None,
        tables: Mapping[str, Callable[[], Rows]] | None = None,
        actions: Mapping[str, Action] | None = None,
    ) -> None:
        self._tables = tables or {}
        self._notes = notes or {}
        self._pages = pages or {}
        self._actions = actions or {}
        self._checks = checks
        self._status = status
        self._metrics = metrics

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        near = is_loopback(request.peer.local[0])
        if near and is_from_page(request.fields):  # with a token, too
            return Response(status=403, headers=TEXT, content=NO_PAGES)
        path, _, query = request.target.decode("latin-1").partition("?")
        if request.method in ("POST", "PUT") and path in self._actions:
            if b"origin" in request.fields:  # a browser says so of all that pages send
                return Response(status=403, headers=TEXT, content=NO_PAGES)
            return await self._actions[path](request)
        if request.method not in ("GET", "HEAD"):
            return Response(status=405, headers=TEXT, content=b"Method Not Allowed\n")
        if path in ("/livez", "/healthz"):
            return Response(status=200, headers=TEXT, content=b"ok")
        if path == "/v1/healthz":
            return Response(status=200, headers=TEXT, content=b"OK")
        if path == "/v1/readyz":
            return self._yurthub_ready()
        if path == "/readyz" or path.startswith("/readyz/"):
            return self._ready(path, parse_qs(query, keep_blank_values=True))
        if path == "/metrics":
            headers = [(b"Content-Type", CONTENT_TYPE)]
            return Response(status=200, headers=headers, content=self._metrics.text())
        if path in self._pages:
            content = json.dumps(self._pages[path]()).encode()
            return Response(status=200, headers=JSON, content=content)
        if path in ("/", "/statusz"):
            return self._statusz(request)
        return Response(status=404, headers=TEXT, content=b"404 page not found\n")

    def _ready(self, path: str, query: Mapping[str, list[str]]) -> Response:
        excluded = {one for part in query.get("exclude", []) for one in part.split(",")}
        name = path.removeprefix("/readyz").strip("/")
        if name and name not in self._checks:
            return Response(status=404, headers=TEXT, content=b"404 page not found\n")
        chosen = (
            [name] if name else [one for one in self._checks if one not in excluded]
        )
        results = {one: self._checks[one]() for one in chosen}
        good = all(results.values())
        if good and "verbose" not in query:
            return Response(status=200, headers=TEXT, content=b"ok")
        lines = [f"[{'+' if ok else '-'}]{one}" for one, ok in results.items()]
        told = {one: note() for one, note in self._notes.items() if not name}
        lines += [f"[!]{one}: {text}" for one, text in told.items() if text]
        lines.append("readyz check passed" if good else "readyz check failed")
        content = ("\n".join(lines) + "\n").encode()
        return Response(status=200 if good else 500, headers=TEXT, content=content)

    def _yurthub_ready(self) -> Response:
        failing = [name for name, check in self._checks.items() if not check()]
        if failing:
            content = f"{failing[0]} is not ready".encode()
            return Response(status=500, headers=TEXT, content=content)
        return Response(status=200, headers=TEXT, content=b"OK")

    def _statusz(self, request: Request) -> Response:
        status = {"version": __version__, **self._status()}
        accepted = request.fields.get(b"accept", b"")
        if b"application/json" in accepted:
            content = json.dumps(status).encode()
            return Response(status=200, headers=JSON, content=content)
        if b"text/html" not in accepted:
            content = (text_page(status) + "\n").encode()
            return Response(status=200, headers=TEXT, content=content)
        told = {name: note() for name, note in self._notes.items()}
        page = html_page(
            status,
            notes={name: text for name, text in told.items() if text},
            tables={title: rows() for title, rows in self._tables.items()},
        )
        return Response(status=200, headers=HTML, content=page.encode())
