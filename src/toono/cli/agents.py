# SPDX-License-Identifier: Apache-2.0
"""`toono cache agents`: who asked through the hub and is not kept, and how to keep it."""

import http.client
import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from toono.runtime.clock import SystemClock

TIMEOUT = 5.0


@click.command()
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
def command(bind_address: str, serve_port: int, output: str) -> None:
    """List who asked and is not kept, with the line to add.

    \b
    Example:
      toono cache agents
    """
    page = _page(bind_address, serve_port)
    if output == "json":
        click.echo(json.dumps(page, indent=2))
        return
    click.echo("kept: " + ", ".join(page["agents"]))
    if page["problem"]:
        click.echo(f"not used: {page['problem']}")
    if not page["notKept"]:
        click.echo("nobody else has asked since the hub started")
        return
    Console(width=None if sys.stdout.isatty() else 200).print(_table(page["notKept"]))
    click.echo(f"\nto keep them, in ConfigMap {page['configMap']}, below data:")
    click.echo(f"  {page['line']}")


def _page(host: str, port: int) -> Any:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/v1/agents")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise click.ClickException(f"{host}:{port} answers {answer.status}")
        return json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise click.ClickException(
            f"no hub answers at {host}:{port}: {exc} (is it running? see --serve-port)"
        ) from exc
    finally:
        connection.close()


def _table(askers: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("COMPONENT", "REQUESTS", "LAST", "ASKS AS", "RESOURCES"):
        table.add_column(name)
    now = SystemClock().wall()
    for one in askers:
        table.add_row(
            one["component"],
            str(one["requests"]),
            f"{max(0, int(now - one['lastSeen']))}s",
            "itself" if one["ownToken"] else "the node",
            ", ".join(one["resources"]),
        )
    return table
