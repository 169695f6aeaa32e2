# SPDX-License-Identifier: Apache-2.0
"""What options say of the filters: which are off, and what they know of this node."""

from toono.config.certificates import certificates_of, pods_call
from toono.config.options import Options
from toono.errors import OptionError
from toono.filters.approval import switched_off
from toono.filters.base import Door
from toono.filters.inputs import Surroundings
from toono.multiplex.shared import DEFAULTS, Resource

OFF_IN_CLOUD = ("discardcloudservice", "forwardkubesvctraffic", "serviceenvupdater")
"""As in YurtHub: a node beside its cloud reaches what they hide or go around."""


def surroundings_of(options: Options) -> Surroundings:
    """Return what the options say of this node; its name is the hub's to put in."""
    buckets = options.flag("enable-pool-service-topology")
    return Surroundings(
        door=door_of(options),
        pool=options.text("nodepool-name"),
        pools=buckets or options.flag("enable-node-pool"),
        buckets=buckets,
    )


def door_of(options: Options) -> Door | None:
    """Return where pods reach the hub, None where they cannot.

    A pod has a loopback of its own: to this node's nothing may send it.
    """
    host = pods_call(options)
    return Door(host, int(options.number("proxy-secure-port"))) if host else None


def door_shut(options: Options) -> bool:
    """Say whether pods cannot come in yet: they believe a certificate alone."""
    kept = certificates_of(options)
    return kept.serving and not kept.root.current("yurthub-server").is_file()


def shared_of(options: Options) -> tuple[Resource, ...]:
    """Return what all readers of the node share; OptionError for what is none."""
    found = dict.fromkeys(DEFAULTS)
    for text in options.words("pool-scope-resources"):
        resource = Resource.of(text)
        if resource is None:
            remedy = "write it as discovery.k8s.io/v1/endpointslices or /v1/services"
            problem = f"{text!r} is no resource"
            raise OptionError("--pool-scope-resources", problem, remedy)
        found[resource] = None
    return tuple(found) if options.flag("share-watches") else ()


def filters_off(options: Options) -> frozenset[str]:
    """Return the filters that are not applied to anybody.

    Names that are no filter's are passed over, as YurtHub does: its versions differ.
    """
    off = options.words("disabled-resource-filters")
    if options.text("working-mode") == "cloud":
        off = (*off, *OFF_IN_CLOUD)
    return switched_off(
        off,
        enabled=options.flag("enable-resource-filter"),
        door=door_of(options) is not None,
    )
