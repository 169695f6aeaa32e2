# SPDX-License-Identifier: Apache-2.0
"""The partition table: cloud and etcd, each reached or not, for leader and follower."""

import pytest

from toono.pool.decide import Duty, Reach, Source, duty
from toono.pool.leader import Role

LEADER, FOLLOWER, PENDING = Role.LEADER, Role.FOLLOWER, Role.PENDING
ALL, PART, NONE = Reach.MAJORITY, Reach.MINORITY, Reach.NONE
CLOUD, POOL, DISK = Source.CLOUD, Source.POOL, Source.DISK

#    cloud  etcd  role      source  lead   publish upload delegate asks
TABLE = [
    (True, ALL, LEADER, CLOUD, True, True, True, True, False),
    (True, ALL, FOLLOWER, CLOUD, True, False, True, False, False),
    (True, PART, LEADER, CLOUD, False, False, False, False, False),
    (True, PART, FOLLOWER, CLOUD, False, False, False, False, False),
    (True, NONE, LEADER, CLOUD, False, False, False, False, False),
    (True, NONE, FOLLOWER, CLOUD, False, False, False, False, False),
    (False, ALL, LEADER, POOL, False, False, True, False, True),
    (False, ALL, FOLLOWER, POOL, False, False, True, False, True),
    (False, PART, LEADER, POOL, False, False, False, False, False),
    (False, PART, FOLLOWER, POOL, False, False, False, False, False),
    (False, NONE, LEADER, DISK, False, False, False, False, False),
    (False, NONE, FOLLOWER, DISK, False, False, False, False, False),
]


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda row: f"{row[0]}-{row[1].value}-{row[2].name}"
)
def test_each_row_of_the_partition_table(row):
    cloud, etcd, role, source, lead, publish, upload, delegate, asks = row
    assert duty(cloud=cloud, etcd=etcd, role=role) == Duty(
        source=source,
        may_lead=lead,
        publishes=publish,
        uploads=upload,
        delegates=delegate,
        asks_delegation=asks,
    )


@pytest.mark.parametrize("cloud", [True, False])
@pytest.mark.parametrize("etcd", list(Reach))
def test_a_hub_that_does_not_know_its_role_does_what_a_follower_does(cloud, etcd):
    assert duty(cloud=cloud, etcd=etcd, role=PENDING) == duty(
        cloud=cloud, etcd=etcd, role=FOLLOWER
    )
