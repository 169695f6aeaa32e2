# SPDX-License-Identifier: Apache-2.0
"""`toono pool status`: this node's part in its pool, as its hub tells it."""

import http.client
import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

TIMEOUT = 5.0
ANSWERS = {
    "cloud": "the API server",
    "pool": "the pool where it is newer than this node's cache",
    "disk": "this node's cache alone",
}
FACTS = (
    ("node", "node"),
    ("role", "role"),
    ("leader", "leader"),
    ("etcd", "etcd reached"),
    ("cluster", "cluster id"),
    ("revision", "revision"),
    ("delegated", "heartbeats delegated"),
    ("fenced", "writes fenced"),
)


@click.group()
def command() -> None:
    """Look at the pool that this node shares with others.

    \b
    Examples:
      toono pool status
      toono pool status -o json
    """


@command.command("status")
@click.option(
    "--bind-address",
    default="127.0.0.1",
    envvar="TOONO_BIND_ADDRESS",
    show_default=True,
    help="Of the hub's own endpoints.",
)
@click.option(
    "--serve-port",
    default=10267,
    envvar="TOONO_SERVE_PORT",
    show_default=True,
    help="Of the hub's own endpoints.",
)
@click.option(
    "-o",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How it is printed.",
    show_default=True,
)
def status(bind_address: str, serve_port: int, output: str) -> None:
    """Show role, leader, reach of etcd and versions; exit 1 where something fails.

    \b
    Example:
      toono pool status
    """
    page = _page(bind_address, serve_port)
    if output == "json":
        click.echo(json.dumps(page, indent=2))
    else:
        _print(page)
    if page["problem"]:
        sys.exit(1)


def _print(page: Any) -> None:
    for key, label in FACTS:
        click.echo(f"{label + ':':22}{page[key]}")
    click.echo(f"{'answers come from:':22}{ANSWERS[page['answersFrom']]}")
    asked = ", ".join(f"{count} {name}" for name, count in page["requests"].items())
    click.echo(f"{'asked of etcd:':22}{asked}")
    if page["problem"]:
        click.echo(f"{'problem:':22}{page['problem']}")
    table = Table(box=None, pad_edge=False)
    for name in ("RESOURCE", "VERSION", "OBJECTS", "PUBLISHED", "ADOPTED", "UPLOADED"):
        table.add_column(name)
    for one in page["collections"]:
        keys = ("version", "objects", "published", "adopted")
        table.add_row(one["resource"], *(str(one[key]) for key in keys), "")
    for resource, version in page["uploaded"].items():
        table.add_row(resource, "", "", "", "", str(version))
    click.echo()
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _page(host: str, port: int) -> Any:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/v1/pool")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 404:
            raise click.ClickException(
                f"the hub at {host}:{port} is in no pool: see --enable-coordinator"
            )
        if answer.status != 200:
            raise click.ClickException(f"{host}:{port} answers {answer.status}")
        return json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise click.ClickException(
            f"no hub answers at {host}:{port}: {exc} (is it running? see --serve-port)"
        ) from exc
    finally:
        connection.close()
