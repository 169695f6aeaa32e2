# SPDX-License-Identifier: Apache-2.0
"""The mapper's series, as a scrape shows them."""

import math
import subprocess
import sys

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from tests.unit.restmapper.kit import Wire, X, gk, mapper_over, standard
from tests.unit.restmapper.virtual import run
from toono.restmapper.metrics import MapperSeries


def scraped(registry):
    lines = generate_latest(registry).decode().splitlines()
    values = [line.split() for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in values}


def test_the_series_follow_the_mapper():
    async def main():
        cluster = standard().add(X, "v1", "Driver")
        cluster.down.add((X, "v1"))
        mapper = mapper_over(Wire(cluster))
        registry = CollectorRegistry()
        registry.register(MapperSeries(mapper.statistics))
        before = scraped(registry)
        assert math.isnan(before.pop("toono_restmapper_age_seconds"))
        assert set(before.values()) == {0.0}
        await mapper.rest_mapping(gk("", "Pod"))
        mapper.observe.reconnect()
        after = scraped(registry)
        assert after == {
            "toono_restmapper_requests_total": 2,
            "toono_restmapper_misses_total": 1,
            "toono_restmapper_signals_total": 1,
            "toono_restmapper_changes_total": mapper.snapshot.generation,
            "toono_restmapper_kinds": len(mapper.snapshot.kinds),
            "toono_restmapper_stale_versions": 1,
            "toono_restmapper_age_seconds": 0,
            "toono_restmapper_watching": 0,
        }

    run(main())


def test_the_package_does_not_need_prometheus():
    code = "import sys, toono.restmapper; assert 'prometheus_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
