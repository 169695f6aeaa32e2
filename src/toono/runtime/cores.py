# SPDX-License-Identifier: Apache-2.0
"""Whatever ends this process, its memory is not written to a file.

A core of a hub holds the tokens of every pod that was just answered, the node's key
and the Secrets in its cache. A limit of 0 is enough for files; where the kernel pipes
cores to a program, only a process that is not dumpable is left out (core(5), prctl(2)).
"""

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def leave_no_core() -> bool:
    """Forbid cores for the life of this process; False where that cannot be done."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return False
    return bool(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
