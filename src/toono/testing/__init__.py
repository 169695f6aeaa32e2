# SPDX-License-Identifier: Apache-2.0
"""An API server in one process, faults for its connections, objects for its store.

For the tests of anything that talks to Kubernetes; usable without the hub.
"""

from toono.testing.apiserver.server import APIServer
from toono.testing.apiserver.storage import Storage

__all__ = ["APIServer", "Storage"]
