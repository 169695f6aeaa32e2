# SPDX-License-Identifier: Apache-2.0
"""`toono pool status`: this node's part in its pool, as its hub tells it."""

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from toono.cli.asking import OUTPUT, ask_hub, listener

NO_POOL = "is in no pool: see --enable-coordinator"
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
@listener
@OUTPUT
def status(bind_address: str, serve_port: int, output: str) -> None:
    """Show role, leader, reach of etcd and versions; exit 1 where something fails.

    \b
    Example:
      toono pool status
    """
    page = ask_hub((bind_address, serve_port), "GET", "/v1/pool", missing=NO_POOL)
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
