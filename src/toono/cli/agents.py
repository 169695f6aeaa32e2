# SPDX-License-Identifier: Apache-2.0
"""`toono cache agents`: who asked through the hub and is not kept, and how to keep it."""

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from toono.cli.asking import OUTPUT, ask_hub, listener
from toono.runtime.clock import SystemClock


@click.command()
@listener
@OUTPUT
def command(bind_address: str, serve_port: int, output: str) -> None:
    """List who asked and is not kept, with the line to add.

    \b
    Example:
      toono cache agents
    """
    page = ask_hub((bind_address, serve_port), "GET", "/v1/agents")
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
