# SPDX-License-Identifier: Apache-2.0
"""A small kit for controllers: informer, work queue, limiter. It imports no client."""
