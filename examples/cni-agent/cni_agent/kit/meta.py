# SPDX-License-Identifier: Apache-2.0
"""What every object of Kubernetes has."""

import msgspec


class Meta(msgspec.Struct, rename="camel"):
    """ObjectMeta, as far as controllers look at it."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Kind(msgspec.Struct, rename="camel"):
    """An object: its kinds are its subclasses. A field that is not named is dropped."""

    metadata: Meta = msgspec.field(default_factory=Meta)

    @property
    def key(self) -> str:
        """NAMESPACE/NAME, or NAME."""
        meta = self.metadata
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
