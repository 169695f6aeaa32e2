# SPDX-License-Identifier: Apache-2.0
"""Adapters from HTTP clients to `Transport`; each imports its client only if used."""
