# SPDX-License-Identifier: Apache-2.0
"""`toono api-resources`: what the cluster serves, as a hub tells it, cut off or not."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.table import Table

from toono.errors import UpstreamError
from toono.pipeline.discovering import FILE
from toono.restmapper import (
    DiscoveryUnavailableError,
    MapperSettings,
    RESTMapper,
    RESTMapping,
    Scope,
)
from toono.restmapper.persist import identity_in
from toono.restmapper.transports.relay import RelayTransport
from toono.wire.client import Origin
from toono.wire.messages import Answer

DEFAULT = "http://127.0.0.1:10261"
COLUMNS = ("NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND")
WIDE = (*COLUMNS, "VERBS", "CATEGORIES")


@click.command()
@click.option(
    "--server",
    default=DEFAULT,
    show_default=True,
    envvar="TOONO_SERVER",
    help="A hub, or any plain HTTP URL of an API server.",
)
@click.option(
    "--disk-cache-path",
    type=click.Path(path_type=Path),
    default=Path("/etc/kubernetes/cache"),
    show_default=True,
    envvar="TOONO_DISK_CACHE_PATH",
    help="Read what was kept here where no hub answers.",
)
@click.option("--api-group", help='Only this group; "" is the core group.')
@click.option(
    "-o",
    "output",
    type=click.Choice(["text", "wide", "json"]),
    default="text",
    help="How it is printed.",
    show_default=True,
)
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds.")
def command(
    server: str,
    disk_cache_path: Path,
    api_group: str | None,
    output: str,
    timeout: float,
) -> None:
    """List the resources that are served, asked of a hub or any plain HTTP URL.

    A hub that is cut off tells what it knows. Where no hub runs, what it kept is
    listed. Exit 1 where something cannot be told; what is known is listed all the same.

    \b
    Examples:
      toono api-resources
      toono api-resources --api-group apps -o wide
      toono api-resources -o json --server http://127.0.0.1:8001
    """
    logging.getLogger("toono").addHandler(logging.NullHandler())  # it is said below
    found, problem = asyncio.run(_ask(server, timeout))
    if problem and not found:
        found, problem = _kept(disk_cache_path, problem)
    shown = [one for one in found if api_group in (None, one.resource.group)]
    if output == "json":
        click.echo(json.dumps([_told(one) for one in shown], indent=2))
    else:
        _print(shown, wide=output == "wide")
    if problem:
        click.echo(f"toono: {problem}", err=True)
        sys.exit(1)


async def _ask(server: str, timeout: float) -> tuple[list[RESTMapping], str]:
    """What is served, and why it may not be all."""
    problem = ""
    async with _connected(server) as transport:
        mapper = RESTMapper(transport)
        try:
            await mapper.load(timeout=timeout)
        except DiscoveryUnavailableError as exc:
            problem = _sentence(server, exc, mapper.snapshot.generation == 0)
        finally:
            await mapper.aclose()
        return list(mapper.snapshot.all_mappings()), problem


def _sentence(server: str, exc: DiscoveryUnavailableError, all_of_it: bool) -> str:
    if not all_of_it:
        return f"{server}: {exc}"
    reason = exc.reason.partition("; ")[0].partition(": ")[2]
    if reason.startswith("HTTP"):
        return f"{server} answers {reason}: it knows nothing of what is served"
    return f"no hub answers at {server} ({reason.rpartition('] ')[2]})"


def _kept(directory: Path, problem: str) -> tuple[list[RESTMapping], str]:
    """What a hub kept here, and what there is to say of it."""
    file = directory / FILE
    identity = identity_in(file)
    if identity is None:
        return [], f"{problem}, and nothing is kept in {file}"

    async def nobody(target: str, headers: Mapping[str, str]) -> Answer:
        raise UpstreamError("nobody is asked")

    settings = MapperSettings(file=file, identity=identity)
    mapper = RESTMapper(RelayTransport(nobody), settings=settings)
    found = list(mapper.snapshot.all_mappings())
    click.echo(f"toono: {problem}; this is what was kept in {file}", err=True)
    return found, ""


@asynccontextmanager
async def _connected(server: str) -> AsyncIterator[RelayTransport]:
    url = urlsplit(server)
    if url.scheme != "http" or not url.hostname or url.path not in ("", "/"):
        raise click.BadParameter(
            f"{server} is no http://HOST:PORT", param_hint="server"
        )
    origin = Origin(url.hostname, url.port or 80, tls=lambda credential: None)

    async def send(target: str, headers: Mapping[str, str]) -> Answer:
        sent = {"Host": origin.authority, **headers}
        fields = [(name.encode(), value.encode()) for name, value in sent.items()]
        return await origin.send("GET", target.encode(), fields, None, credential=None)

    try:
        yield RelayTransport(send)
    finally:
        origin.close()


def _told(one: RESTMapping) -> dict[str, object]:
    """One resource for programs; the names are those of a v1.APIResource."""
    group, version, kind = one.kind
    return {
        "name": one.resource.resource,
        "singularName": one.api.singular,
        "shortNames": list(one.api.short_names),
        "apiVersion": f"{group}/{version}" if group else version,
        "namespaced": None if one.scope is Scope.UNKNOWN else _is_namespaced(one),
        "kind": kind,
        "verbs": list(one.api.verbs),
        "categories": list(one.api.categories),
        "stale": one.stale,
    }


def _is_namespaced(one: RESTMapping) -> bool:
    return one.scope is Scope.NAMESPACED


def _print(shown: list[RESTMapping], *, wide: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for name in WIDE if wide else COLUMNS:
        table.add_column(name, no_wrap=True)
    for one in shown:
        told = _told(one)
        row = [
            one.resource.resource,
            ",".join(one.api.short_names),
            str(told["apiVersion"]),
            str(_is_namespaced(one)).lower(),
            one.kind.kind,
            ",".join(one.api.verbs),
            ",".join(one.api.categories),
        ]
        table.add_row(*row[: len(WIDE if wide else COLUMNS)])
    Console(width=None if sys.stdout.isatty() else 250, markup=False).print(table)
