# SPDX-License-Identifier: Apache-2.0
"""A small CNI-like agent: it knows Kubernetes, and nothing of the hub."""
