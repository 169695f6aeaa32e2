# SPDX-License-Identifier: Apache-2.0
"""Resources and kinds of a Kubernetes cluster, right within a second of a change.

Importable by itself: needs an HTTP client that knows the server (`Transport`, one
method), msgspec, and nothing of the rest of toono but its clock and tasks.

    async with RESTMapper(transport) as mapper:
        mapping = await mapper.rest_mapping(GroupKind("apps", "Deployment"))
        mapping.resource.resource   # "deployments"
"""

from toono.restmapper.answers import Expansion, Statistics
from toono.restmapper.errors import (
    AmbiguousError,
    AmbiguousKindError,
    AmbiguousResourceError,
    DiscoveryUnavailableError,
    MapperError,
    NoKindMatchError,
    NoMatchError,
    NoResourceMatchError,
)
from toono.restmapper.events import Change, Event
from toono.restmapper.mapper import RESTMapper
from toono.restmapper.observations import is_not_served
from toono.restmapper.persist import identity_of
from toono.restmapper.serve import Served
from toono.restmapper.settings import MapperSettings
from toono.restmapper.snapshot import Snapshot, VersionRecord
from toono.restmapper.sync import SyncRESTMapper
from toono.restmapper.transport import (
    Reply,
    Transport,
    TransportError,
    WholeBodies,
)
from toono.restmapper.values import (
    APIResource,
    GroupKind,
    GroupVersion,
    GroupVersionKind,
    GroupVersionResource,
    RESTMapping,
    Scope,
    Source,
    State,
    Subresource,
)

GVK = GroupVersionKind
GVR = GroupVersionResource

__all__ = [
    # the mapper
    "RESTMapper",
    "SyncRESTMapper",
    "MapperSettings",
    "Statistics",
    # what it is asked with and answers
    "GroupKind",
    "GroupVersion",
    "GroupVersionKind",
    "GroupVersionResource",
    "GVK",
    "GVR",
    "RESTMapping",
    "APIResource",
    "Subresource",
    "Scope",
    "Source",
    "State",
    "Snapshot",
    "VersionRecord",
    "Expansion",
    "Change",
    "Event",
    # errors
    "MapperError",
    "NoMatchError",
    "NoKindMatchError",
    "NoResourceMatchError",
    "DiscoveryUnavailableError",
    "AmbiguousError",
    "AmbiguousKindError",
    "AmbiguousResourceError",
    # the transport
    "Transport",
    "TransportError",
    "Reply",
    "WholeBodies",
    # for hosts
    "Served",
    "identity_of",
    "is_not_served",
]
