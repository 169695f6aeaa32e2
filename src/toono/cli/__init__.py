# SPDX-License-Identifier: Apache-2.0
"""The `toono` command. Each subcommand is a module, imported when it is called."""

import sys

import click

from toono.errors import ToonoError


class Lazy(click.Group):
    """A group whose commands are imported only when one is asked for."""

    COMMANDS = (
        "run",
        "demo",
        "check",
        "cache",
        "spool",
        "ready",
        "drill",
        "who",
        "cert",
        "api-resources",
        "pool",
        "node-setup",
        "version",
    )

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.COMMANDS:
            return None
        import importlib

        module = importlib.import_module(f"toono.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def toono() -> None:
    """A Kubernetes API proxy for edge nodes that keeps answering while cut off.

    \b
    Examples:
      toono demo                     see what it does, in half a minute
      toono check                    what is missing on this machine
      toono node-setup --print       the service, and how the kubelet comes to it
      toono run                      serve this node
      toono cache ls                 what is remembered
      toono spool ls                 what waits to be sent
      toono ready                    what would not survive a cut now
      toono drill --for 30s          a cut for practice
      toono who 4242                 what a process may read while cut off
      toono cert show                the hub's own certificates
      toono api-resources            what the cluster serves
      toono pool status              this node's part in its pool
    """


def main() -> None:
    """Run the command line; errors of ours are one line and exit 1."""
    try:
        toono()
    except ToonoError as exc:
        click.echo(f"toono: {exc}", err=True)
        sys.exit(1)
