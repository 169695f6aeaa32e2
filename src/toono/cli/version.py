# SPDX-License-Identifier: Apache-2.0
"""`toono version`."""

import json
import platform

import click

from toono import __version__
from toono.cli.asking import OUTPUT


@click.command()
@OUTPUT
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
