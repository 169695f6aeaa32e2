# SPDX-License-Identifier: Apache-2.0
"""`toono cert show|renew`: the hub's own certificates, as it tells them."""

import http.client
import json
import sys
from pathlib import Path
from typing import Any

import click

from toono.certs.files import Held, Root, read_held
from toono.certs.rotation import spread_of
from toono.cli.asking import OUTPUT
from toono.cli.options import Grouped, options_of, with_these
from toono.config.options import Options
from toono.errors import OptionError
from toono.runtime.clock import SystemClock

TIMEOUT = 5.0
FACTS = ("state", "subject", "issuer", "begins", "ends", "due", "names", "note")
STEMS = ("yurthub", "yurthub-server")


@click.group()
def command() -> None:
    """Look at the certificates that this hub keeps, and have them replaced.

    \b
    Examples:
      toono cert show
      toono cert renew
    """


SHOW = """\b
Examples:
  toono cert show
  toono cert show -o json
"""


@command.command("show", cls=Grouped, epilog=SHOW)
@OUTPUT
@with_these("bind-address", "serve-port", "root-dir")
def show(output: str, **given: Any) -> None:
    """Show each certificate, and what one waits for; exit 1 where one is lacking.

    A hub that runs is asked; without one the files below --root-dir are read.
    """
    options = options_of(given)
    try:
        status, content = _send(options, "GET", "/v1/certificates")
        page = json.loads(content) if status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        page = _from_files(Root(Path(options.text("root-dir"))))
    if output == "json":
        click.echo(json.dumps(page, indent=2))
    elif not page:
        click.echo("this hub keeps no certificate: it uses what it was given")
    else:
        for one in page.values():
            _print(one)
    if any(one["note"] for one in page.values()):
        sys.exit(1)


@command.command("renew", cls=Grouped)
@with_these("bind-address", "serve-port")
def renew(**given: Any) -> None:
    """Have all certificates that this hub keeps replaced now.

    \b
    Example:
      toono cert renew
    """
    options = options_of(given)
    try:
        status, content = _send(options, "POST", "/v1/certificates/renew")
    except (OSError, http.client.HTTPException) as exc:
        raise OptionError(
            "--serve-port", f"no hub answers: {exc}", "is toono run running?"
        ) from exc
    if status == 404 or status == 405:
        raise OptionError("--bootstrap-mode", "this hub keeps no certificate")
    if status != 202:
        raise OptionError(
            "--serve-port",
            f"the hub answers {status}: {content.decode(errors='replace').strip()}",
            "run it as the user of the kubelet",
        )
    click.echo("asked for: toono cert show tells what became of it")


def _print(one: dict[str, Any]) -> None:
    click.echo(f"{one['file']}:")
    for name in FACTS:
        value = one.get(name)
        if value:
            text = ", ".join(value) if isinstance(value, list) else value
            click.echo(f"  {name:9}{text}")


def _send(options: Options, method: str, path: str) -> tuple[int, bytes]:
    host, port = options.text("bind-address"), int(options.number("serve-port"))
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request(method, path, body=b"" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _from_files(root: Root) -> dict[str, Any]:
    """Return what the files alone tell: nothing of requests under way."""
    page: dict[str, Any] = {}
    now = SystemClock().wall()
    for stem in STEMS:
        found = read_held(root.current(stem))
        if found is None:
            continue
        page[stem] = {"file": str(root.current(stem)), "note": ""}
        if not isinstance(found, Held):
            page[stem] |= {"state": "unusable", "note": found}
            continue
        state = found.life.state(now, spread=spread_of(found.serial))
        page[stem] |= found.told() | {"state": state.value}
    return page
