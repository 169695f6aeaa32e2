# SPDX-License-Identifier: Apache-2.0
"""Composition root: builds every part and owns the order of start and drain."""
