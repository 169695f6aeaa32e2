# SPDX-License-Identifier: Apache-2.0
"""Asks the running hub's status listener, and says what is wrong in one line."""

import http.client
import json
from typing import Any

import click

TIMEOUT = 10.0


def ask_hub(
    address: tuple[str, int],
    method: str,
    path: str,
    content: object = None,
    *,
    timeout: float = TIMEOUT,
) -> Any:
    """Return the JSON that the hub answers; ClickException where it does not."""
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        sent = None if content is None else json.dumps(content)
        connection.request(method, path, sent)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status == 403:
            raise click.ClickException("only for this node: run as root")
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
