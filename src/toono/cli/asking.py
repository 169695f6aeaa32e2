# SPDX-License-Identifier: Apache-2.0
"""Asks the running hub's status listener, and says what is wrong in one line.

Beside it the options that all commands have who ask, or print for programs.
"""

import http.client
import json
from collections.abc import Callable
from typing import Any

import click

TIMEOUT = 10.0
OUTPUT = click.option(
    "-o",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How it is printed.",
    show_default=True,
)


def listener(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the hub's status listener."""
    port = click.option(
        "--serve-port",
        default=10267,
        envvar="TOONO_SERVE_PORT",
        show_default=True,
        help="Of the hub's own endpoints.",
    )
    address = click.option(
        "--bind-address",
        default="127.0.0.1",
        envvar="TOONO_BIND_ADDRESS",
        show_default=True,
        help="Of the hub's own endpoints.",
    )
    return address(port(function))


def ask_hub(
    address: tuple[str, int],
    method: str,
    path: str,
    content: object = None,
    *,
    timeout: float = TIMEOUT,
    missing: str = "",
) -> Any:
    """Return the JSON that the hub answers; ClickException where it does not.

    `missing` says what a hub lacks that answers 404.
    """
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        sent = None if content is None else json.dumps(content)
        connection.request(method, path, sent)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status == 403:
            raise click.ClickException("only for this node: run as root")
        if answer.status == 404 and missing:
            raise click.ClickException(f"the hub at {host}:{port} {missing}")
        if answer.status != 200:
            text = told.decode(errors="replace").strip()[:200]
            raise click.ClickException(f"{host}:{port} answers {answer.status}: {text}")
        return json.loads(told)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise click.ClickException(
            f"no hub answers at {host}:{port}: {exc} (is it running? see --serve-port)"
        ) from exc
    finally:
        connection.close()
