# SPDX-License-Identifier: Apache-2.0
"""`toono ready`: what on this node would not survive a cut that begins now."""

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toono.cli.asking import OUTPUT, ask_hub, listener

PREFETCH_SECONDS = 900.0
"""Ten questions a second, and thousands may be missing."""


@click.command()
@listener
@click.option("--prefetch", is_flag=True, help="fetch what is missing first")
@OUTPUT
def command(bind_address: str, serve_port: int, prefetch: bool, output: str) -> None:
    """Say what would not survive a cut now; exit 1 where something would not.

    \b
    Examples:
      toono ready
      toono ready --prefetch
      toono ready -o json
    """
    path = "/v1/ready/prefetch" if prefetch else "/v1/ready"
    timeout = PREFETCH_SECONDS if prefetch else 60.0
    page = ask_hub((bind_address, serve_port), "POST", path, timeout=timeout)
    if output == "json":
        click.echo(json.dumps(page, indent=2))
    else:
        _show(page)
    if not page["ready"]:
        sys.exit(1)


def _show(page: Any) -> None:
    if page["findings"]:
        table = Table(box=None, pad_edge=False)
        for name in ("WORKLOAD", "LEVEL", "WHAT", "REMEDY"):
            table.add_column(name)
        for one in page["findings"]:
            keys = ("workload", "level", "what", "remedy")
            table.add_row(*(Text(one[key]) for key in keys))
        Console(width=None if sys.stdout.isatty() else 200).print(table)
    click.echo("ready for a cut" if page["ready"] else "not ready for a cut")
