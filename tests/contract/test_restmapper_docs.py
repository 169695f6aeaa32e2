# SPDX-License-Identifier: Apache-2.0
"""The reference names what there is, and all of it."""

import dataclasses
import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

import toono.restmapper as package
from toono.restmapper import MapperSettings, RESTMapper, SyncRESTMapper
from toono.restmapper.answers import Statistics
from toono.restmapper.metrics import MapperSeries
from toono.restmapper.observing import Observer

TEXT = (Path(__file__).parents[2] / "docs/reference/restmapper.md").read_text()


def section(title):
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def public(thing):
    return {name for name in vars(thing) if not name.startswith("_")}


def test_every_call_is_in_the_reference():
    named = set(re.findall(r"`(?:await )?(\w+)", section("RESTMapper")))
    assert public(RESTMapper) - named == {"run", "aclose"}


def test_the_sync_facade_has_the_same_calls():
    hosts = {"observe", "serve", "run", "aclose", "changed"}
    assert public(RESTMapper) - public(SyncRESTMapper) <= hosts


def test_every_setting_is_in_the_reference_with_its_default():
    rows = dict(re.findall(r"\| `(\w+)` \| (.*?) \|", section("MapperSettings")))
    fields = {each.name: each.default for each in dataclasses.fields(MapperSettings)}
    assert rows.keys() == fields.keys()
    for name, default in fields.items():
        told = rows[name].strip("`").removesuffix(" s").replace('""', "")
        assert told == (f"{default:g}" if type(default) is float else str(default))


def test_every_error_is_in_the_reference():
    errors = {name for name in package.__all__ if name.endswith("Error")}
    named = set(re.findall(r"`(\w+Error)`", section("Errors")))
    assert errors - named == {"TransportError"}


def test_every_observation_and_series_is_in_the_reference():
    hosts = section("For hosts")
    calls = {name for name in public(Observer) if callable(getattr(Observer, name))}
    assert calls == set(re.findall(r"^\| `(\w+)\(", hosts, re.MULTILINE))
    registry = CollectorRegistry()
    nothing = Statistics(0, 0, 0, 0, 0, 0, None, watching=False)
    registry.register(MapperSeries(lambda: nothing))
    for line in generate_latest(registry).decode().splitlines():
        if not line.startswith("#"):
            assert line.split()[0].removeprefix("toono_restmapper") in hosts
