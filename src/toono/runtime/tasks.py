# SPDX-License-Identifier: Apache-2.0
"""The only place that makes tasks: each has a name, an owner and an end.

A task that fails is logged with its name; nothing dies in silence.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)

_background: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Run `coroutine` as a task of its own; the caller owns and cancels it.

    The task is kept alive until done. An exception other than cancellation is
    logged once, because nobody may be waiting for the task.
    """
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _background.add(task)
    task.add_done_callback(_done)
    return task


def _done(task: asyncio.Task[Any]) -> None:
    _background.discard(task)
    if task.cancelled():
        return
    failure = task.exception()
    if failure is not None:
        log.error("task failed", exc_info=failure, extra={"task": task.get_name()})


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel `tasks` and wait until each has ended; their failures are logged."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
