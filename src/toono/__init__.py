# SPDX-License-Identifier: Apache-2.0
"""toono: a Kubernetes API proxy for edge nodes that keeps answering while cut off."""

__version__ = "0.1.0"
