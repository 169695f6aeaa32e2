# SPDX-License-Identifier: Apache-2.0
"""What a node does by itself: duties towards its cloud, and what they depend on."""
