# SPDX-License-Identifier: Apache-2.0
"""Whose client certificate is this? Asked of certificates that TLS has verified.

Only one answer matters: the node's own, by the name and group that the API server
would read from it. Whether it is signed by the cluster is the listener's question.
"""

from functools import lru_cache

NODE_PREFIX = "system:node:"
NODES = "system:nodes"


@lru_cache(maxsize=256)
def is_of_node(certificate: bytes, node_name: str) -> bool:
    """Say whether a verified certificate (DER) speaks for this very node."""
    from cryptography import x509  # 12 MB: only when somebody brings one
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_der_x509_certificate(certificate).subject
        names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except ValueError:
        return False
    if len(names) != 1 or not node_name:
        return False
    is_node = names[0].value == NODE_PREFIX + node_name
    return is_node and NODES in {group.value for group in groups}
