# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

NETWORK = "networking.k8s.io"


def service(status=None, **spec):
    return cells("Service", {"spec": spec, "status": status or {}})


def test_services():
    ports = [
        {"port": 80, "nodePort": 30080, "protocol": "TCP"},
        {"port": 53, "protocol": "UDP"},
    ]
    assert service(
        type="NodePort",
        clusterIPs=["10.0.0.1", "fd::1"],
        ports=ports,
        selector={"a": "b"},
    ) == {
        "Type": "NodePort",
        "Cluster-IP": "10.0.0.1",
        "External-IP": "<none>",
        "Port(s)": "80:30080/TCP,53/UDP",
        "Selector": "a=b",
    }


def test_cluster_addresses():
    assert service(clusterIP="None")["Cluster-IP"] == "None"
    assert service()["Cluster-IP"] == "<none>"
    assert service()["Port(s)"] == "<none>"


POINTS = {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "lb"}, {}]}}


@pytest.mark.parametrize(
    ("kind", "external", "status", "shown"),
    [
        ("ClusterIP", [], POINTS, "<none>"),
        ("ClusterIP", ["1.1.1.1", "2.2.2.2"], {}, "1.1.1.1,2.2.2.2"),
        ("NodePort", ["1.1.1.1"], {}, "1.1.1.1"),
        ("LoadBalancer", [], {}, "<pending>"),
        ("LoadBalancer", [], POINTS, "9.9.9.9,lb"),
        ("LoadBalancer", ["1.1.1.1"], POINTS, "9.9.9.9,lb,1.1.1.1"),
        ("LoadBalancer", ["1.1.1.1"], {}, "1.1.1.1"),
        ("", ["1.1.1.1"], {}, "<unknown>"),
    ],
)
def test_external_addresses(kind, external, status, shown):
    found = service(status, type=kind, externalIPs=external)
    assert found["External-IP"] == shown


def test_external_names():
    found = service(type="ExternalName", externalName="db.example.com")
    assert found["External-IP"] == "db.example.com"


def endpoints(*subsets) -> str:
    return cells("Endpoints", {"subsets": list(subsets)})["Endpoints"]


def subset(addresses, *ports):
    return {
        "addresses": [{"ip": one} for one in addresses],
        "ports": [{"port": one} for one in ports],
    }


@pytest.mark.parametrize(
    ("subsets", "shown"),
    [
        ([], "<none>"),
        ([subset([])], ""),
        ([subset(["a"], 80)], "a:80"),
        ([subset(["::1"], 80)], "[::1]:80"),
        ([subset(["a", "b"])], "a,b"),
        ([subset(["a", "b"], 80, 81)], "a:80,b:80,a:81 + 1 more..."),
        ([subset(["a", "b", "c"], 80)], "a:80,b:80,c:80"),
        ([subset(["a", "b", "c", "d"]), subset(["e"], 1)], "a,b,c + 2 more..."),
    ],
)
def test_endpoints(subsets, shown):
    assert endpoints(*subsets) == shown


def test_endpoints_without_subsets():
    assert cells("Endpoints", {})["Endpoints"] == "<none>"


def test_endpoint_slices():
    found = cells(
        "EndpointSlice",
        {
            "addressType": "IPv4",
            "ports": [{"port": 80}, {"name": "x"}, {}, {"port": 81}],
            "endpoints": [{"addresses": ["a", "b"]}, {"addresses": ["c", "d", "e"]}],
        },
        group="discovery.k8s.io",
    )
    assert found == {
        "AddressType": "IPv4",
        "Ports": "80,x,* + 1 more...",
        "Endpoints": "a,b,c + 2 more...",
    }


def test_empty_endpoint_slices():
    found = cells("EndpointSlice", {"ports": None}, group="discovery.k8s.io")
    assert found == {"AddressType": "", "Ports": "<unset>", "Endpoints": "<unset>"}


def ingress(**spec):
    return cells("Ingress", {"spec": spec, "status": POINTS}, group=NETWORK)


def test_ingresses():
    assert ingress(ingressClassName="nginx", rules=[{"host": "h"}], tls=[{}]) == {
        "Class": "nginx",
        "Hosts": "h",
        "Address": "9.9.9.9,lb",
        "Ports": "80, 443",
    }
    found = ingress()
    assert (found["Class"], found["Hosts"], found["Ports"]) == ("<none>", "*", "80")


@pytest.mark.parametrize(
    ("hosts", "shown"),
    [
        (["a", "b", "c"], "a,b,c"),
        (["a", "b", "c", "d"], "a,b,c + 1 more..."),
        (["a", "", "b", "c", ""], "a,b,c + 2 more..."),
        (["", ""], "*"),
    ],
)
def test_hosts(hosts, shown):
    assert ingress(rules=[{"host": one} for one in hosts])["Hosts"] == shown


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        (None, "<none>"),
        ({"kind": "P", "name": "n"}, "P/n"),
        ({"kind": "P", "apiGroup": "g.io", "name": "n"}, "P.g.io/n"),
    ],
)
def test_ingress_classes(parameters, shown):
    spec = {"controller": "c", "parameters": parameters}
    found = cells("IngressClass", {"spec": spec}, group=NETWORK)
    assert found == {"Controller": "c", "Parameters": shown}


def test_network_policies():
    spec = {"podSelector": {"matchLabels": {"a": "b"}}}
    found = cells("NetworkPolicy", {"spec": spec}, group=NETWORK)
    assert found == {"Pod-Selector": "a=b"}
    assert cells("NetworkPolicy", {}, group=NETWORK) == {"Pod-Selector": "<none>"}


def test_service_cidrs():
    found = cells("ServiceCIDR", {"spec": {"cidrs": ["a/8", "b/8"]}}, group=NETWORK)
    assert found == {"CIDRs": "a/8,b/8"}
