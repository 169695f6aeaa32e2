# SPDX-License-Identifier: Apache-2.0
"""`toono spool`: what this node has written while it was cut off, and waits to be sent."""

import asyncio
import http.client
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from toono.autonomy.inspect import waiting
from toono.autonomy.spool import Spool
from toono.autonomy.spooled import Write
from toono.cli.asking import OUTPUT, listener
from toono.cli.cache import PATH
from toono.codec.sent import read_sent, read_values
from toono.errors import CodecError
from toono.runtime.clock import SystemClock
from toono.store.sqlite import NAME, open_store

TIMEOUT = 5.0
DIRECTORY = Path("_internal") / "toono"
DROP = "/v1/spool/drop"


@click.group()
def command() -> None:
    """Look at writes that wait for the link; safe while a hub runs.

    \b
    Examples:
      toono spool ls
      toono spool show 12
      toono spool drop 12
    """


@command.command("ls")
@PATH
@OUTPUT
def list_writes(disk_cache_path: Path, output: str) -> None:
    """List what waits, in the order in which it will be sent.

    \b
    Example:
      toono spool ls -o json
    """
    rows = [_row(*one) for one in waiting(disk_cache_path / DIRECTORY / NAME)]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("nothing waits")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("SERIAL", "AGE", "KIND", "METHOD", "OBJECT", "OWNER", "BYTES"):
        table.add_column(name)
    now = SystemClock().wall()
    for row in rows:
        age = max(0, int(now - float(str(row["at"]))))
        shown = (row["serial"], f"{age}s", row["kind"], row["method"], row["object"])
        table.add_row(*map(str, (*shown, row["owner"], row["bytes"])))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@command.command("show")
@PATH
@click.argument("serial", type=int)
def show(disk_cache_path: Path, serial: int) -> None:
    """Print one write as it will be sent, without the token that goes with it.

    \b
    Example:
      toono spool show 12
    """
    for found, write in waiting(disk_cache_path / DIRECTORY / NAME):
        if found == serial:
            content = {**_row(found, write), "path": write.path}
            content["contentType"] = write.content_type
            content["body"] = _body(write)
            click.echo(json.dumps(content, indent=2))
            return
    raise click.ClickException(f"no write {serial} waits: see toono spool ls")


@command.command("drop")
@PATH
@listener
@click.option("--all", "everything", is_flag=True, help="drop all that waits")
@click.argument("serials", type=int, nargs=-1)
def drop(
    disk_cache_path: Path,
    bind_address: str,
    serve_port: int,
    everything: bool,
    serials: tuple[int, ...],
) -> None:
    """Drop writes for good: they will never be sent.

    \b
    Examples:
      toono spool drop 12 13
      toono spool drop --all
    """
    if bool(serials) == everything:
        raise click.UsageError("give serials, or --all")
    chosen = serials or tuple(
        serial for serial, _ in waiting(disk_cache_path / DIRECTORY / NAME)
    )
    dropped = _ask_hub(bind_address, serve_port, chosen)
    if dropped is None:
        dropped = asyncio.run(_drop(disk_cache_path / DIRECTORY, chosen))
    click.echo(f"dropped {dropped}")
    if dropped < len(serials):
        raise click.ClickException("not all of them waited: see toono spool ls")


def _ask_hub(host: str, port: int, serials: tuple[int, ...]) -> int | None:
    """Have the running hub drop writes; None where none runs."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    content = json.dumps({"serials": serials})
    try:
        connection.request("POST", DROP, content)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            problem = f"{host}:{port} answers {answer.status}: {told.decode()[:200]}"
            raise click.ClickException(problem)
        return int(json.loads(told)["dropped"])
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException, ValueError, KeyError) as exc:
        raise click.ClickException(
            f"no hub answers at {host}:{port}: {exc} (see --serve-port)"
        ) from exc
    finally:
        connection.close()


async def _drop(directory: Path, serials: tuple[int, ...]) -> int:
    """Drop writes from the database of a hub that does not run."""
    store = await open_store(directory, clock=SystemClock())
    try:
        spool = Spool(store)
        await spool.open()
        chosen = [one for one in spool.entries() if one.serial in serials]
        return await spool.drop(chosen, "dropped")
    finally:
        await store.aclose()


def _row(serial: int, write: Write) -> dict[str, object]:
    target = write.target
    named = ".".join(filter(None, (target.resource, target.group)))
    place = "/".join(filter(None, (target.namespace, target.name)))
    return {
        "serial": serial,
        "at": write.at,
        "kind": write.kind,
        "method": write.method,
        "object": f"{named} {place}",
        "owner": write.owner or "the node",
        "bytes": len(write.body),
    }


def _body(write: Write) -> Mapping[str, object] | str:
    try:
        if write.method == "PATCH":
            return read_values(write.body)
        return read_sent(write.body, write.content_type)
    except CodecError as exc:
        return f"cannot be read: {exc}"
