# SPDX-License-Identifier: Apache-2.0
"""`toono drill`: cuts the link of a live hub for practice, and tells how it went.

The hub keeps the time, not this program: killed, it leaves a drill that ends by itself.
"""

import json
import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from toono.cli.asking import OUTPUT, ask_hub, listener
from toono.config.options import seconds_of

LOOK_SECONDS = 0.5
Address = tuple[str, int]


@click.command()
@listener
@click.option("--for", "lasting", required=True, help="how long, at most 1h")
@click.option("--only", multiple=True, help="a component; may be given more than once")
@OUTPUT
def command(
    bind_address: str,
    serve_port: int,
    lasting: str,
    only: tuple[str, ...],
    output: str,
) -> None:
    """Cut the hub's link for a time, and tell who was answered and who was not.

    Ctrl-C ends it at once. The node's Lease is not renewed meanwhile where its kubelet
    is cut off: after 40 s the cloud takes the node for lost, as in a real cut.

    \b
    Examples:
      toono drill --for 30s
      toono drill --for 10m --only kubelet
    """
    address = (bind_address, serve_port)
    asked = {"seconds": seconds_of("--for", lasting), "only": list(only)}
    report = ask_hub(address, "POST", "/v1/drill/start", asked)
    try:
        _wait(address, report["left"], shown=output == "text")
    except KeyboardInterrupt:
        click.echo("ended", err=True)
    finally:
        report = ask_hub(address, "POST", "/v1/drill/stop")
    if output == "json":
        click.echo(json.dumps(report, indent=2))
    else:
        _show(report)


def _wait(address: Address, seconds: int, *, shown: bool) -> None:
    """Return when the hub says that it is over."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("cut off", total=seconds)
        while True:
            report = ask_hub(address, "GET", "/v1/drill")
            progress.update(task, completed=seconds - report["left"])
            if not report["on"]:
                return
            time.sleep(LOOK_SECONDS)


def _show(report: Any) -> None:
    click.echo(
        f"cut off for {report['seconds']} s: {', '.join(report['only']) or 'all'}"
    )
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table(box=None, pad_edge=False)
    for name in ("COMPONENT", "ANSWERED", "REFUSED", "HIT RATE", "BEFORE"):
        table.add_column(name)
    for one in report["components"]:
        counts = (str(one["answered"]), str(one["refused"]))
        rates = (_percent(one["rate"]), _percent(one["before"]))
        table.add_row(Text(one["component"]), *counts, *rates)
    console.print(table)
    if not report["refused"]:
        return
    click.echo()
    table = Table(box=None, pad_edge=False)
    for name in ("REFUSED", "VERB", "OBJECT", "CODE", "TIMES"):
        table.add_column(name)
    for one in report["refused"]:
        keys = ("component", "verb", "object", "code", "count")
        table.add_row(*(Text(str(one[key])) for key in keys))
    console.print(table)


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0%}"
