# SPDX-License-Identifier: Apache-2.0
"""Time as the kit sees it, so that tests need not wait; and the word to stop."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only grow, and a sleep."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or less where the program stops."""
        ...


class RealClock:
    """The machine's time; `stopped` ends every sleep."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - the one place of this program

    def sleep(self, seconds: float) -> None:
        self.stopped.wait(seconds)
