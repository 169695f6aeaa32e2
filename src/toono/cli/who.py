# SPDX-License-Identifier: Apache-2.0
"""`toono who`: what a caller may read while this node is cut off, and why."""

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toono.cli.asking import OUTPUT
from toono.cli.options import Grouped, options_of, with_these
from toono.config.options import Options
from toono.config.rights import rights_of
from toono.errors import OptionError
from toono.identity.explain import (
    ALL,
    Explained,
    explain_nobody,
    explain_node,
    explain_token,
    kept_rights,
)
from toono.identity.processes import Process, look_at
from toono.identity.rights import Rights
from toono.runtime.clock import SystemClock
from toono.store.sqlite import NAME

EPILOG = """\b
Examples:
  toono who 4242                        a process, and the token that is mounted in it
  toono who -                           a token on standard input, which ps never shows
  toono who -o json 4242
"""
ELSEWHERE = "it calls from another network than this machine's own"


@click.command(cls=Grouped, epilog=EPILOG)
@click.argument("caller", metavar="TOKEN|PID")
@OUTPUT
@with_these(
    "disk-cache-path",
    "node-uids",
    "token-leeway",
    "pod-rights-lapse",
    "api-audiences",
    "offline-readers",
)
def command(caller: str, output: str, **given: Any) -> None:
    """Say what a caller may read while cut off, and why.

    CALLER is a process's number, a bearer token, or - for a token on standard input.
    Safe while a hub runs: its database is read, nothing is asked or changed. Give the
    options of the hub, where it has any of these.
    """
    found = asyncio.run(_explain(options_of(given), caller))
    if output == "json":
        click.echo(json.dumps({name: asdict(one) for name, one in found}, indent=2))
        return
    for number, (name, one) in enumerate(found):
        click.echo("\n" * bool(number) + f"{name}:")
        _show(one)


Callers = list[tuple[str, Explained]]


async def _explain(options: Options, caller: str) -> Callers:
    clock = SystemClock()
    directory = Path(options.text("disk-cache-path"))
    database = directory / "_internal" / "toono" / NAME
    rights = kept_rights(database, settings=rights_of(options), clock=clock)
    if not caller.isdecimal():
        token = sys.stdin.read().strip() if caller == "-" else caller
        words = token.removeprefix("Bearer ").encode()
        return [("with this token", explain_token(rights, words, now=clock.wall()))]
    try:
        process = look_at(int(caller))
    except OSError as exc:
        raise OptionError(
            "PID",
            f"process {caller} cannot be looked at: {exc.strerror or exc}",
            "run as root",
        ) from exc
    found = [(f"{process.name}, without a token", _without_token(rights, process))]
    if process.token:
        told = explain_token(rights, process.token, now=clock.wall())
        found.append((f"{process.name}, with the token mounted in it", told))
    return found


def _without_token(rights: Rights, process: Process) -> Explained:
    why = rights.why_not_node(process.owner)
    if not process.same_network:
        why = ELSEWHERE
    return explain_nobody(why) if why else explain_node(rights)


def _show(one: Explained) -> None:
    click.echo(f"  caller   {one.user or 'not known'}")
    if one.token:
        bound = f", of pod {one.pod}" if one.pod else ""
        ends = f", ends {_moment(one.ends_at)}" if one.ends_at else ""
        click.echo(f"  token    {one.token}{bound}{ends}")
    if one.why:
        click.echo(f"  why      {one.why}")
    if not one.rights:
        answer = one.answer if one.answer != 200 else 503
        click.echo(f"  cut off  {answer} to everything")
        return
    Console(width=None if sys.stdout.isatty() else 200).print(_table(one))


def _table(one: Explained) -> Table:
    table = Table(box=None, pad_edge=False)
    columns = ("RESOURCE", "NAMESPACE", "NAME", "VERBS", "CUT OFF", "WHY", "UNTIL")
    for name in columns:
        table.add_column(name)
    for right in one.rights:
        name = right.selector if right.name == ALL and right.selector else right.name
        cells = (
            *(right.resource, right.namespace, name, ",".join(right.verbs)),
            *(str(right.answer), right.why, _moment(right.lapses_at)),
        )
        table.add_row(*map(Text, cells))  # callers choose names: none is markup
    return table


def _moment(at: float | None) -> str:
    if at is None:
        return ""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
