# SPDX-License-Identifier: Apache-2.0
"""The composition root: builds every part of a hub, and knows no rule of any."""

from toono.app.hub import DRAIN_SECONDS, Hub
from toono.app.settings import HubSettings

__all__ = ["DRAIN_SECONDS", "Hub", "HubSettings"]
