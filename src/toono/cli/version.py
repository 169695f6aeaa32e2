# SPDX-License-Identifier: Apache-2.0
"""`toono version`."""

import json
import platform

import click

from toono import __version__


@click.command()
@click.option(
    "-o",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How it is printed.",
    show_default=True,
)
def command(output: str) -> None:
    """Say which toono this is.

    \b
    Examples:
      toono version
      toono version -o json
    """
    found = {"version": __version__, "python": platform.python_version()}
    if output == "json":
        click.echo(json.dumps(found))
    else:
        click.echo(f"toono {found['version']} (Python {found['python']})")
